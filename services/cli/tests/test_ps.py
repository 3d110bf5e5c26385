import json

import pytest
from kakuri._text import cell_width
from kakuri_http import problem

from .conftest import without_color

ERROR = {"reason": "Error", "exit_code": 3, "restarts": 2}
BACK_OFF = {"reason": "BackOff", "restarts": 7, "restart_at": "2026-11-26T14:01:40.000000Z"}


@pytest.fixture
def some(api):
    """Add a workload in each state."""
    api.add("web", address="10.88.7.2")
    api.add("api", "pending", reason="Pulling", spec={"image": "registry.example/team/acme/api:9"})
    api.add("job-1", "failed", **ERROR, spec={"image": "busybox:1.37"})
    api.add("cron", "pending", **BACK_OFF, spec={"image": "acme/sync:1"})
    api.add("seed", "succeeded", exit_code=0, spec={"image": "busybox:1.37"})


PIPED = """\
NAME    STATE       REASON          IMAGE                              CREATED                       RESTARTS   NODE    ADDRESS
api     pending     Pulling         registry.example/team/acme/api:9   2026-11-26T14:01:00.000000Z   0          node1
cron    pending     BackOff 23s     acme/sync:1                        2026-11-26T14:01:00.000000Z   7          node1
job-1   failed      Error, exit 3   busybox:1.37                       2026-11-26T14:01:00.000000Z   2          node1
seed    succeeded   exit 0          busybox:1.37                       2026-11-26T14:01:00.000000Z   0          node1
web     running                     nginx:1.27                         2026-11-26T14:01:00.000000Z   0          node1   10.88.7.2
"""

AT_80 = """\
NAME    STATE       REASON       IMAGE        AGE   RESTARTS   NODE    ADDRESS
api     pending     Pulling      registry.…   17s   0          node1
cron    pending     BackOff 2…   acme/sync…   17s   7          node1
job-1   failed      Error, ex…   busybox:1…   17s   2          node1
seed    succeeded   exit 0       busybox:1…   17s   0          node1
web     running                  nginx:1.27   17s   0          node1   10.88.7.2
"""

AT_200 = """\
NAME    STATE       REASON          IMAGE                              AGE   RESTARTS   NODE    ADDRESS
api     pending     Pulling         registry.example/team/acme/api:9   17s   0          node1
cron    pending     BackOff 23s     acme/sync:1                        17s   7          node1
job-1   failed      Error, exit 3   busybox:1.37                       17s   2          node1
seed    succeeded   exit 0          busybox:1.37                       17s   0          node1
web     running                     nginx:1.27                         17s   0          node1   10.88.7.2
"""


def test_ps_in_a_pipe_cuts_nothing_and_prints_times(kakuri, some):
    result = kakuri("ps", "-a")
    assert (result.code, result.out, result.err) == (0, PIPED, "")


@pytest.mark.parametrize(("width", "expected"), [(80, AT_80), (200, AT_200)])
def test_ps_on_a_terminal_fits_its_width_and_prints_ages(kakuri, some, width, expected):
    result = kakuri("ps", "-a", width=width)
    assert without_color(result.out) == expected


def test_ps_on_a_terminal_colours_states(kakuri, some):
    assert "\x1b[31mfailed\x1b[0m" in kakuri("ps", "-a", width=120).out


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_ps_has_no_colour_where_the_environment_forbids_it(kakuri, some, environment, variable):
    environment.setenv(*variable)
    assert "\x1b" not in kakuri("ps", "-a", width=120).out


def test_color_option_beats_the_environment(kakuri, some, environment):
    environment.setenv("NO_COLOR", "1")
    assert "\x1b[31m" in kakuri("ps", "-a", "--color", "always").out


def test_ps_without_all_omits_ended_workloads(kakuri, some):
    assert kakuri("ps", "-q").out == "api\ncron\nweb\n"


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["-a"], ["api", "cron", "job-1", "seed", "web"]),
        (["--state", "failed"], ["job-1"]),
        (["--state", "Failed"], ["job-1"]),
        (["job-1", "web"], ["job-1", "web"]),
        (["-a", "--sort", "restarts"], ["cron", "job-1", "api", "seed", "web"]),
        (["-a", "--sort", "state"], ["job-1", "api", "cron", "web", "seed"]),
        (["-l", "team=a"], []),
    ],
)
def test_ps_selects_and_sorts(kakuri, some, options, ids):
    assert kakuri("ps", "-q", *options).out.split() == ids


def test_ps_as_json_is_the_document_of_the_api(kakuri, some, api):
    result = kakuri("ps", "-a", "-o", "json")
    assert json.loads(result.out) == {"workloads": [api.workloads[one] for one in
                                                    sorted(api.workloads)]}  # fmt: skip


def test_ps_as_json_lines_has_one_document_for_each_workload(kakuri, some):
    lines = kakuri("ps", "-a", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["api", "cron", "job-1", "seed", "web"]


def test_ps_reads_every_page(kakuri, api):
    for number in range(250):
        api.add(f"w{number:03}")
    assert len(kakuri("ps", "-q").out.split()) == 250
    assert len(json.loads(kakuri("ps", "--json").out)["workloads"]) == 250


def test_ps_of_an_unknown_id_is_not_found(kakuri, some):
    result = kakuri("ps", "web", "nothing")
    assert (result.code, result.err) == (3, "error: no workload 'nothing'\n")


@pytest.mark.parametrize("command", [["nodes"], ["node", "node1"]])
def test_simulated_node_is_reported_by_one_line(kakuri, api, command):
    message = "nothing really runs: the runtime is simulated"
    api.nodes[0] |= {"simulated": True, "message": message, "reason": "Simulated"}
    result = kakuri(*command)
    assert "simulated" in result.out
    assert (result.out + result.err).count("nothing really runs") == 1
    api.nodes[0] |= {"message": "the store accepts no changes", "reason": "StoreFailed"}
    assert "the store accepts no changes" in kakuri(*command).out


def test_ps_of_a_simulated_node_warns_once_on_standard_error(kakuri, some, api):
    api.nodes[0]["simulated"] = True
    result = kakuri("ps", "-q")
    assert result.err == "warning: the runtime is simulated: nothing really runs\n"


def test_ps_wide_has_limits_class_and_message(kakuri, api):
    api.add("web", message="all \x1b[31mwell")
    header, row = kakuri("ps", "-o", "wide").out.splitlines()
    assert header.split()[-4:] == ["MEMORY", "CPU", "CLASS", "MESSAGE"]
    assert row.endswith("256 MiB   0.5   edera-zone   all \\x1b[31mwell")


def test_ps_shows_requests_in_progress(kakuri, api):
    api.add("web", desired="removed")
    assert "being removed" in kakuri("ps").out


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ([], {}), (["-l", "a=b"], {"label": "a=b"}), (["-l", ""], {"label": ""}), (["--state", "failed"], {"state": "failed"}),
        (["--removed"], {"removed": "true"}),
    ],
)  # fmt: skip
def test_options_of_ps_are_parameters_of_the_query(kakuri, api, options, query):
    kakuri("ps", *options)
    assert dict(api.received[0].query) == {"spec": "true", "limit": "100", **query}


@pytest.mark.parametrize(
    ("sort", "is_needed"), [("name", False), ("state", False), ("age", True), ("restarts", True)]
)
def test_list_of_ids_requests_the_details_only_to_sort_by_them(kakuri, some, api, sort, is_needed):
    kakuri("ps", "-q", "--sort", sort)
    assert ("spec" in api.received[0].query) is is_needed


def test_ps_of_removed_workloads_lists_those_that_are_kept(kakuri, api):
    for name in ("a", "b"):
        api.add(name, "failed")
    kakuri("rm", "a")
    assert kakuri("ps", "-q", "--removed").out == "a\n"


def test_ps_sorts_by_age_and_unknown_states_last(kakuri, api):
    api.is_later_release = True  # which may have another state
    for name, state, created in (
        ("c", "running", 1), ("b", "another", 2), ("a", "failed", 3), ("d", "another", 0),
    ):  # fmt: skip
        api.add(name, state)["created_at"] = f"2026-11-26T14:01:0{created}.000000Z"
    assert kakuri("ps", "-aq", "--sort", "age").out.split() == ["d", "c", "b", "a"]
    assert kakuri("ps", "-aq", "--sort", "state").out.split() == ["a", "c", "b", "d"]


def test_ps_of_several_unknown_ids_names_each(kakuri, some):
    result = kakuri("ps", "a", "web", "b")
    assert (result.code, result.err) == (3, "error: no workload 'a', 'b'\n")
    assert "web" in result.out


def test_ps_as_json_of_a_part_has_the_part(kakuri, some):
    document = json.loads(kakuri("ps", "--json").out)
    assert [one["id"] for one in document["workloads"]] == ["api", "cron", "web"]


def test_watched_list_on_a_terminal_is_printed_in_place(kakuri, some, environment):
    environment.setattr("kakuri._events.updates", lambda *_: iter([None]))
    shown = kakuri("ps", "-w", width=100).out
    assert shown.startswith("\x1b[H\x1b[JNAME")
    assert "\x1b[?" not in shown  # a signal could leave a changed mode of the terminal
    assert "\x1b[H" not in kakuri("ps", "-w").out
    assert "\x1b[H" not in kakuri("ps", "-w", "--json", width=100).out
    environment.setenv("TERM", "dumb")
    assert "\x1b[H" not in kakuri("ps", "-w", width=100).out


@pytest.mark.parametrize("form", ["table", "wide", "name"])
@pytest.mark.parametrize("width", [1, 7, 30, 60])
def test_lines_of_a_watched_list_fit_the_terminal(kakuri, api, environment, form, width):
    environment.setattr("kakuri._events.updates", lambda *_: iter([None]))
    for number in range(40):
        api.add(f"w{number:062d}")
    lines = kakuri("ps", "-w", "-o", form, "--color", "never", width=width).out.splitlines()
    assert max(map(cell_width, lines[1:])) == width


def test_watched_list_is_cut_to_the_lines_of_the_terminal(kakuri, api, environment):
    environment.setattr("kakuri._events.updates", lambda *_: iter([None]))
    for number in range(120):
        api.add(f"w{number:03d}")
    lines = kakuri("ps", "-w", width=100).out.splitlines()
    assert len(lines) == 39  # of 40: the cursor is on the last one
    assert (lines[-2].split()[0], lines[-1]) == ("w036", "and 83 more")
    assert len(kakuri("ps", "-w").out.splitlines()) == 121


def test_ps_wide_of_a_workload_without_its_specification_is_empty(kakuri, api):
    api.add("web", image_digest="sha256:0")
    del api.workloads["web"]["spec"]["memory_mb"], api.workloads["web"]["spec"]["cpu_millicores"]
    api.is_later_release = True
    header, row = kakuri("ps", "-o", "wide").out.splitlines()
    assert header.split()[-2:] == ["CLASS", "DIGEST"]
    assert row.endswith("edera-zone   sha256:0")


def test_ps_without_a_list_of_nodes_has_no_node(kakuri, some, api):
    api.overrides[("GET", "/nodes")] = problem(503, code="busy", detail="no")
    result = kakuri("ps")
    assert (result.code, result.err) == (0, "")
    assert "NODE" not in result.out

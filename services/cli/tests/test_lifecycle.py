import json
import threading

import pytest
from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._results import MAX_CONCURRENT, Result, act_on_each
from kakuri_http import problem

from .fake_api import RECEIPT

REMOVED = "removed: zone 5f0c1122…, container 9a3e1122…, log gone (no longer in the runtime's list)"


def stop_at_once(api, workload_id, grace):
    api.change(workload_id, state="failed", reason="Stopped", exit_code=143, restart_at=None)


def test_stop_waits_until_the_workload_has_ended(kakuri, api):
    api.add("web")
    api.on_stop = stop_at_once
    result = kakuri("stop", "web")
    assert (result.code, result.out) == (0, "web  stopped: exit code 143 (Stopped)\n")


def test_stop_without_waiting_returns_at_once(kakuri, api):
    api.add("web")
    assert kakuri("stop", "--no-wait", "web").out == "web  stopping\n"


def test_stop_sends_the_grace_period(kakuri, api):
    api.add("web")
    given = []
    api.on_stop = lambda api, workload_id, grace: given.append(grace)
    kakuri("stop", "--no-wait", "--grace", "1m", "web")
    assert given == [60]


def test_stop_of_several_continues_after_one_that_is_unknown(kakuri, api):
    api.add("a", "succeeded", exit_code=0)
    api.add("b", "succeeded", exit_code=0)
    result = kakuri("stop", "a", "nothing", "b", "a")
    assert result.code == 3
    assert result.out.splitlines() == ["a  stopped: exit code 0", "b  stopped: exit code 0"]
    assert result.err == "error: nothing: no workload 'nothing'\n"


def test_errors_of_several_in_json_are_problem_documents_with_the_id(kakuri, api):
    api.add("a", "succeeded", exit_code=0)
    result = kakuri("stop", "-o", "json", "a", "nothing", "..")
    assert result.code == 3
    assert [each["id"] for each in json.loads(result.out)] == ["a"]
    refused, invalid = map(json.loads, result.err.splitlines())
    assert (refused["id"], refused["status"], refused["code"]) == ("nothing", 404, "not_found")
    assert (invalid["id"], invalid["detail"]) == ("..", "no workload '..'")


def test_stop_of_several_stops_them_at_the_same_time(kakuri, api):
    requested = []

    def stop_once_all_are_requested(api, workload_id, grace):
        requested.append(workload_id)
        if len(requested) == 3:
            for each in ("a", "c", "b"):
                stop_at_once(api, each, grace)

    for each in "abc":
        api.add(each)
    api.on_stop = stop_once_all_are_requested
    lines = kakuri("stop", "c", "a", "b").out.splitlines()
    assert [line[0] for line in lines] == ["c", "a", "b"]


class CountingAPI:
    """A control plane that counts its clients."""

    def __init__(self):
        self.clients = 0

    def clone(self):
        self.clients += 1
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_verbs_act_on_at_most_sixteen_workloads_at_a_time(capsys):
    barrier, api = threading.Barrier(MAX_CONCURRENT), CountingAPI()
    ids = [f"w{number:02d}" for number in range(3 * MAX_CONCURRENT)]

    def act(own, workload_id):
        barrier.wait(10)  # until as many are in progress
        return Result(b"{}", {}, "done")

    assert act_on_each(Invocation({}), api, ids, act) == 0
    assert api.clients == MAX_CONCURRENT == 16
    assert capsys.readouterr().out.splitlines() == [f"{each}  done" for each in ids]


def test_unexpected_error_for_one_of_several_workloads_is_raised(capsys):
    def act(own, workload_id):
        if workload_id == "b":
            raise ZeroDivisionError
        return Result(b"{}", {}, "done")

    with pytest.raises(ZeroDivisionError):
        act_on_each(Invocation({}), CountingAPI(), ["a", "b", "c"], act)
    assert capsys.readouterr().out == "a  done\n"


def test_interrupt_prints_in_json_what_was_done(capsys):
    def act(own, workload_id):
        if workload_id == "b":
            raise KeyboardInterrupt
        return Result(b"{}", {"id": workload_id}, "done")

    invocation = Invocation({})
    invocation.format = "json"
    with pytest.raises(KeyboardInterrupt):
        act_on_each(invocation, CountingAPI(), ["a", "b", "c"], act)
    assert json.loads(capsys.readouterr().out) == [{"id": "a"}]


@pytest.mark.parametrize("verb", [["rm", "-f"], ["start"], ["logs"]])
def test_unreachable_server_is_reported_once_for_all_workloads(kakuri, environment, verb):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    result = kakuri(*verb, *(f"w{number:02d}" for number in range(40)))
    assert (result.code, result.out) == (6, "")
    first, second = result.err.splitlines()
    assert first.startswith("error: ")
    assert "127.0.0.1:1" in first
    assert second.startswith("error: 40 workloads were skipped: w00, w01, ")
    assert second.endswith("w19 and 20 more")


def test_unreachable_server_is_reported_once_in_json(kakuri, environment):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    result = kakuri("rm", "-f", "--json", "a", "b")
    assert (result.code, json.loads(result.out)) == (6, [])
    first, second = map(json.loads, result.err.splitlines())
    assert (first["code"], second["code"]) == ("unreachable", "skipped")
    assert second["detail"] == "2 workloads were skipped: a, b"


def test_workloads_after_an_unreachable_agent_are_not_requested(capsys):
    begun = []

    def act(own, workload_id):
        begun.append(workload_id)
        raise Unreachable("no agent", code="agent_unreachable")

    ids = [f"w{number:02d}" for number in range(3 * MAX_CONCURRENT)]
    assert act_on_each(Invocation({}), CountingAPI(), ids, act) == 6
    assert len(begun) <= MAX_CONCURRENT
    *errors, last = capsys.readouterr().err.splitlines()
    assert errors == [f"error: {each}: no agent" for each in ids[: len(errors)]]
    assert len(errors) == len(begun)
    assert last.startswith(f"error: {len(ids) - len(begun)} workloads were skipped: ")


@pytest.mark.parametrize("verb", ["stop", "start", "restart", "rm"])
def test_version_mismatch_is_a_conflict(kakuri, api, verb):
    api.add("web", "failed")
    result = kakuri(verb, "--if-version", "3", "web")
    assert (result.code, result.err) == (4, "error: another version\n")


@pytest.mark.parametrize("verb", ["stop", "start", "restart", "rm"])
@pytest.mark.parametrize("version", ["", "abc", '1", "2', "*"])
def test_version_that_is_not_a_number_is_a_usage_error(kakuri, api, verb, version):
    api.add("web", "failed")
    assert kakuri(verb, "--if-version", version, "web").code == 2
    assert api.requests == []


@pytest.mark.parametrize("verb", ["stop", "restart", "rm"])
def test_grace_period_is_rounded_up_to_whole_seconds(kakuri, api, verb):
    api.add("web")
    option = {"stop": ["--no-wait"], "rm": ["--force"]}.get(verb, [])
    kakuri(verb, "--grace", "250ms", *option, "web")
    request = api.received[0]
    found = request.query.get("grace_seconds") or json.loads(request.body)["grace_seconds"]
    assert int(found) == 1


def test_start_runs_an_ended_workload_again(kakuri, api):
    api.add("job", "failed", exit_code=3)
    assert kakuri("start", "job").out == "job  started\n"


def test_start_of_a_running_workload_changes_nothing(kakuri, api):
    api.add("web")
    assert kakuri("start", "web").out == "web  nothing to do: running\n"


def test_restart_returns_once_it_has_begun(kakuri, api):
    api.add("web")
    assert kakuri("restart", "web").out == "web  restarting\n"


def test_rm_of_an_ended_workload_prints_the_receipt(kakuri, api):
    api.add("job", "failed", exit_code=3)
    result = kakuri("rm", "job")
    assert (result.code, result.out) == (0, f"job  {REMOVED}\n")


def test_rm_as_json_is_the_document_of_the_api(kakuri, api):
    api.add("job", "failed")
    document = json.loads(kakuri("rm", "--json", "job").out)
    assert document == {"id": "job", "removed": RECEIPT, "state": "failed"}


def test_rm_of_a_running_workload_without_a_terminal_needs_an_option(kakuri, api):
    api.add("web")
    result = kakuri("rm", "web")
    assert result.code == 2
    assert result.err == (
        f"error: Stop and remove web on {api.url}? There is no terminal to ask on: "
        "add --yes or -f\n"
    )
    assert "web" in api.workloads


@pytest.mark.parametrize("option", ["-f", "--yes"])
def test_rm_of_a_running_workload_with_an_option_asks_nothing(kakuri, api, option):
    api.add("web")
    assert kakuri("rm", option, "web").code == 0
    assert api.workloads == {}


def test_rm_of_an_unknown_id_is_not_found(kakuri):
    assert kakuri("rm", "web").code == 3


def test_forced_rm_of_an_unknown_id_is_success(kakuri):
    result = kakuri("rm", "-f", "web")
    assert (result.code, result.out) == (0, "web  not found\n")


def test_rm_without_waiting_reports_a_removal_in_progress(kakuri, api):
    api.add("job", "failed")
    api.is_removal_slow = True
    assert kakuri("rm", "--no-wait", "job").out == "job  is being removed\n"


def test_several_results_as_json_are_an_array(kakuri, api):
    api.add("a", "failed")
    api.add("b", "failed")
    assert [one["id"] for one in json.loads(kakuri("rm", "--json", "a", "b").out)] == ["a", "b"]


def test_stop_that_takes_longer_than_a_minute_after_its_grace_exits_with_124(
    kakuri, api, environment
):
    environment.setattr("kakuri._lifecycle.STOP_MARGIN_SECONDS", 0.0)
    api.add("web", reason="Stopping")
    result = kakuri("stop", "--grace", "0", "web")
    assert (result.code, result.out) == (124, "")
    assert result.err == "error: after 0.00 s, still running, Stopping\n"


def test_stop_may_take_a_minute_after_its_grace(kakuri, api, environment):
    seconds = []

    def await_state(_api, _id, response, _is_reached, given):
        seconds.append(given)
        return response

    environment.setattr("kakuri._lifecycle.await_state", await_state)
    api.add("web")
    kakuri("stop", "--grace", "5", "web")
    kakuri("stop", "web")
    assert seconds == [65.0, 70.0]


@pytest.mark.parametrize(
    ("verb", "path"),
    [("stop", "/workloads/web/stop"), ("restart", "/workloads/web/restart"),
     ("rm", "/workloads/web?grace_seconds=10&wait=60")],
)  # fmt: skip
def test_workload_has_ten_seconds_to_end_by_default(kakuri, api, verb, path):
    api.add("web", "failed")
    kakuri(verb, "web")
    (request,) = [one for one in api.received if one.method in ("POST", "DELETE")]
    assert request.target == path
    if verb != "rm":
        assert json.loads(request.body) == {"grace_seconds": 10}


@pytest.mark.parametrize("fields", [{"desired": "removed"}, {"state": "failed"}])
def test_rm_asks_nothing_about_what_has_ended_or_is_being_removed(kakuri, api, fields):
    api.add("web", **fields)
    assert kakuri("rm", "web").code == 0
    assert api.workloads == {}


def test_rm_asks_once_about_all_that_still_run(kakuri, api):
    for name, state in (("a", "running"), ("b", "failed"), ("c", "pending")):
        api.add(name, state)
    result = kakuri("rm", "a", "b", "a", "nothing", "c")
    assert f"Stop and remove a, c on {api.url}?" in result.err
    assert len(api.workloads) == 3


def test_forced_rm_of_an_unknown_id_is_printed_in_each_format(kakuri):
    assert json.loads(kakuri("rm", "-f", "--json", "web").out) == {"id": "web"}
    assert kakuri("rm", "-f", "-q", "web").out == "web\n"


def test_rm_of_several_exits_with_the_code_of_the_first_failure(kakuri, api):
    for name in ("a", "b"):
        api.add(name, "failed")
    api.overrides[("DELETE", "/workloads/b")] = problem(409, code="conflict", detail="no")
    result = kakuri("rm", "nothing", "a", "b")
    assert (result.code, result.out) == (3, f"a  {REMOVED}\n")
    assert result.err == "error: nothing: no workload 'nothing'\nerror: b: no\n"
    result = kakuri("rm", "b", "nothing", "-o", "jsonl")
    assert (result.code, result.out) == (4, "")

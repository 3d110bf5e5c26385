import json
import threading

import pytest
from kakuri._client import API
from kakuri._exits import NotFound
from kakuri._results import MAX_CONCURRENT
from kakuri._run import submit
from kakuri_http import problem

FILE = """\
set = "shop"
[workload.web]
image = "nginx:1.28"
memory = "512MiB"
env = { TOKEN = "secret" }
[workload.cache]
image = "redis:7"
memory = "64MiB"
cpu = 0.1
[workload.api]
image = "nginx:1.27"
"""
SET = {"labels": {"kakuri-set": "shop"}}
DIFFERENCES = """\
~ web  replace
    env.TOKEN      (unset) → (set)
    image          nginx:1.27 → nginx:1.28
    memory_mb      256 MiB → 512 MiB
+ cache  create   redis:7   64 MiB, 0.1 cores
  api  same
"""


@pytest.fixture
def shop(api, tmp_path):
    (tmp_path / "kakuri.toml").write_text(FILE)
    for name in ("web", "api", "old"):
        api.add(name, spec=SET)
    api.add("other")


def test_diff_shows_every_field_and_exits_with_1(kakuri, shop):
    result = kakuri("diff")
    assert (result.code, result.out) == (1, DIFFERENCES)


def test_diff_without_differences_exits_with_0(kakuri, api, tmp_path):
    api.add("api")
    (tmp_path / "one.toml").write_text('[workload.api]\nimage = "nginx:1.27"\n')
    result = kakuri("diff", "-f", "one.toml")
    assert (result.code, result.out) == (0, "  api  same\n")


def test_diff_with_prune_lists_what_is_not_in_the_file(kakuri, shop):
    assert kakuri("diff", "--prune").out == DIFFERENCES + "- old  remove\n"


def test_diff_as_json_has_no_value_of_a_variable(kakuri, shop):
    result = kakuri("diff", "--json")
    changes = json.loads(result.out)
    assert [one["change"] for one in changes] == ["replace", "create", "same"]
    assert {"field": "env.TOKEN"} in changes[0]["fields"]
    assert {"field": "image", "current": "nginx:1.27", "desired": "nginx:1.28"} in changes[0][
        "fields"
    ]
    assert "secret" not in result.out


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--exit-code"], 1)])
def test_plan_exits_with_1_for_changes_only_if_asked(kakuri, shop, options, code):
    result = kakuri("plan", *options)
    assert (result.code, result.out) == (code, DIFFERENCES)


def test_plan_of_a_workload_that_does_not_fit_reports_it(kakuri, shop, api):
    api.overrides[("POST", "/workloads")] = problem(503, code="capacity", detail="the node is full")
    result = kakuri("plan")
    assert result.code == 5
    assert (
        "+ cache  create   redis:7   64 MiB, 0.1 cores\n    refused: the node is full\n"
        in result.out
    )
    assert result.err == "error: the node would refuse cache\n"


def test_plan_changes_nothing(kakuri, shop, api):
    before = json.dumps(api.workloads)
    kakuri("plan", "--prune")
    assert json.dumps(api.workloads) == before


def test_apply_that_would_stop_something_needs_confirmation(kakuri, shop, api):
    result = kakuri("apply")
    assert result.code == 2
    assert f"Stop and remove web on {api.url}?" in result.err
    assert "~ web  replace\n" in result.err
    assert "cache" not in api.workloads


def test_apply_creates_and_replaces(kakuri, shop, api):
    result = kakuri("apply", "--yes")
    assert (result.code, result.out) == (0, "web  replaced\ncache  created\napi  same\n")
    assert result.err == "2 changed, 1 same\n"
    assert api.workloads["web"]["spec"]["image"] == "nginx:1.28"
    assert api.workloads["web"]["spec"]["env"] == {"TOKEN": "secret"}
    assert "old" in api.workloads


def test_apply_creates_sixteen_workloads_at_a_time_and_prints_them_in_order(
    kakuri, api, tmp_path, environment
):
    barrier = threading.Barrier(MAX_CONCURRENT)

    def submit_together(invocation, own, document):
        barrier.wait(10)  # until as many are in progress
        return submit(invocation, own, document)

    environment.setattr("kakuri._run.submit", submit_together)
    ids = [f"w{number:02d}" for number in range(2 * MAX_CONCURRENT)]
    (tmp_path / "kakuri.toml").write_text(
        "".join(f"[workload.{each}]\nimage = 'x'\n" for each in ids)
    )
    result = kakuri("apply")
    assert (result.code, result.out.splitlines()) == (0, [f"{each}  created" for each in ids])


def test_files_are_compared_with_sixteen_workloads_at_a_time(kakuri, api, tmp_path, environment):
    barrier, get = threading.Barrier(MAX_CONCURRENT), API.get

    def get_together(*arguments, **options):
        barrier.wait(10)  # until as many are in progress
        return get(*arguments, **options)

    environment.setattr(API, "get", get_together)
    ids = [f"w{number:02d}" for number in range(2 * MAX_CONCURRENT)]
    (tmp_path / "kakuri.toml").write_text(
        "".join(f"[workload.{each}]\nimage = 'x'\n" for each in ids)
    )
    result = kakuri("diff", "-q")
    assert (result.code, result.out.split()) == (1, ids)


def test_apply_replaces_workloads_before_it_creates_others_and_prunes_last(kakuri, shop, api):
    result = kakuri("apply", "--yes", "--prune")
    assert result.out == "web  replaced\ncache  created\napi  same\nold  removed\n"
    changes = [
        one.path if one.method == "DELETE" else json.loads(one.body)["id"]
        for one in api.received
        if one.method != "GET" and "dry_run" not in one.query
    ]
    assert changes == ["/workloads/web", "web", "cache", "/workloads/old"]


def test_apply_that_fails_prunes_nothing(kakuri, full, api):
    assert kakuri("apply", "--yes", "--prune").code == 5
    assert "old" in api.workloads


def test_apply_of_a_replacement_that_never_fits_removes_nothing(kakuri, shop, api):
    from kakuri_http import problem  # noqa: PLC0415

    detail = "512 MiB never fit"
    api.overrides[("POST", "/workloads")] = problem(422, code="never_fits", detail=detail)
    result = kakuri("apply", "--yes")
    assert (result.code, result.out) == (5, "")
    assert result.err == f"error: web: {detail}\nnothing was changed\n"
    assert api.workloads["web"]["spec"]["image"] == "nginx:1.27"


def test_plan_checks_a_replacement_under_another_id(kakuri, shop, api):
    kakuri("plan")
    checked = [json.loads(one.body)["id"] for one in api.received if one.method == "POST"]
    assert [each for each in checked if not each.startswith("nginx-")] == ["cache"]
    assert len(checked) == 2


@pytest.fixture
def full(shop, api):
    """Refuse each new workload, but accept every dry run."""

    class Full(dict):
        def get(self, key, default=None):
            request = api.received[-1]
            return default if "dry_run" in request.query else super().get(key, default)

    from kakuri_http import problem  # noqa: PLC0415

    api.overrides = Full({("POST", "/workloads"): problem(503, code="capacity", detail="full")})


def test_apply_that_fails_names_the_workload_and_those_that_were_skipped(kakuri, full):
    result = kakuri("apply", "--yes")
    assert (result.code, result.out) == (5, "")
    assert result.err == "error: web: full\nerror: 2 workloads were skipped: cache, api\n"


def test_apply_that_fails_prints_in_json_what_was_done(kakuri, full, tmp_path):
    (tmp_path / "two.toml").write_text(
        "set = \"shop\"\n[workload.api]\nimage = 'nginx:1.27'\n[workload.new]\nimage = 'x'\n"
    )
    result = kakuri("apply", "-f", "two.toml", "--json")
    assert result.code == 5
    assert [one["id"] for one in json.loads(result.out)] == ["api"]
    assert json.loads(result.err)["code"] == "capacity"


def test_apply_again_changes_nothing(kakuri, shop):
    kakuri("apply", "--yes")
    result = kakuri("apply")
    assert (result.code, result.err) == (0, "0 changed, 3 same\n")


def test_apply_with_prune_removes_only_what_has_the_set(kakuri, shop, api):
    kakuri("apply", "--yes", "--prune")
    assert sorted(api.workloads) == ["api", "cache", "other", "web"]


def test_prune_without_a_set_is_a_usage_error(kakuri, tmp_path):
    (tmp_path / "kakuri.toml").write_text("[workload.a]\nimage = 'x'\n")
    result = kakuri("apply", "--prune")
    assert result.code == 2
    assert "--prune needs a set" in result.err


def test_apply_reads_standard_input(kakuri, api):
    result = kakuri("apply", "-f", "-", stdin='[workload.a]\nimage = "x"\n')
    assert (result.code, result.out) == (0, "a  created\n")


def test_apply_as_json_has_each_change(kakuri, shop):
    changes = json.loads(kakuri("apply", "--yes", "--json").out)
    assert [(one["id"], one["change"]) for one in changes] == [
        ("web", "replace"), ("cache", "create"), ("api", "same"),
    ]  # fmt: skip


def test_verify_of_a_good_file_needs_no_server(kakuri, shop, environment):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    result = kakuri("verify")
    assert (result.code, result.out) == (
        0, "web  ok   nginx:1.28\ncache  ok   redis:7\napi  ok   nginx:1.27\n",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("a.toml",), ("-f", "a.toml"), ("-f", "a.toml", "b.json")])
def test_verify_takes_files_with_and_without_the_option(kakuri, tmp_path, arguments):
    (tmp_path / "a.toml").write_text("[workload.a]\nimage = 'x'\n")
    (tmp_path / "b.json").write_text('{"workload":{"b":{"image":"y"}}}')
    result = kakuri("verify", *arguments)
    expected = "a  ok   x\n" + ("b  ok   y\n" if "b.json" in arguments else "")
    assert (result.code, result.out, result.err) == (0, expected, "")


def test_verify_of_a_file_that_does_not_exist_is_a_usage_error(kakuri):
    result = kakuri("verify", "missing.toml")
    assert (result.code, result.out) == (2, "")
    assert "missing.toml" in result.err


def test_verify_of_a_bad_file_lists_its_faults(kakuri, tmp_path):
    (tmp_path / "kakuri.toml").write_text("[workload.a]\nimage = 'x'\ncpus = 3\n")
    result = kakuri("verify")
    assert result.code == 2
    assert result.err.startswith("error: kakuri.toml:3: $.workload.a.cpus: expected one of")


def test_verify_as_json_reports_faults_on_standard_error(kakuri, tmp_path):
    (tmp_path / "kakuri.toml").write_text("[workload.a]\nimage = 'x'\ncpus = 3\n")
    result = kakuri("verify", "--json")
    assert (result.code, result.out) == (2, "")
    (fault,) = json.loads(result.err)["errors"]
    assert (fault["file"], fault["line"], fault["path"]) == ("kakuri.toml", 3, "$.workload.a.cpus")


def test_differences_are_printed_in_each_format(kakuri, shop):
    assert kakuri("diff", "-q").out == "web\ncache\n"
    lines = kakuri("diff", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["change"] for line in lines] == ["replace", "create", "same"]


def test_plan_as_json_has_why_a_workload_would_be_refused(kakuri, shop, api):
    refusal = problem(422, code="never_fits", detail="too large")
    api.overrides[("POST", "/workloads")] = refusal
    result = kakuri("plan", "--json")
    assert result.code == 5
    found = {one["id"]: one.get("problem") for one in json.loads(result.out)}
    assert found == {"web": "too large", "cache": "too large", "api": None}


def test_plan_asks_about_new_workloads_and_about_replacements_under_another_id(kakuri, shop, api):
    kakuri("plan")
    asked = (json.loads(one.body)["id"] for one in api.received if one.method == "POST")
    new, replacement = sorted(asked)
    assert (replacement.startswith("nginx-"), new) == (True, "cache")


def test_plan_that_is_not_answered_is_an_error(kakuri, shop, api):
    api.overrides[("POST", "/workloads")] = problem(503, code="agent_unreachable", detail="no")
    result = kakuri("plan")
    assert (result.code, result.out) == (6, "")


@pytest.mark.parametrize("options", [[], ["--exit-code"]])
def test_plan_without_changes_exits_with_0(kakuri, api, tmp_path, options):
    api.add("api")
    (tmp_path / "kakuri.toml").write_text('[workload.api]\nimage = "nginx:1.27"\n')
    assert kakuri("plan", *options).code == 0


def test_applied_changes_are_printed_in_each_format(kakuri, shop):
    assert kakuri("apply", "--yes", "-q").out == "web\ncache\napi\n"
    lines = kakuri("apply", "--yes", "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": name, "change": "same"} for name in ("web", "cache", "api")
    ]


def test_applied_workload_as_json_is_that_of_the_api(kakuri, api, tmp_path):
    (tmp_path / "kakuri.toml").write_text('[workload.a]\nimage = "x"\n')
    (change,) = json.loads(kakuri("apply", "--json").out)
    assert change == {"id": "a", "change": "create", "workload": api.workloads["a"]["spec"]}


def test_apply_replaces_a_workload_that_another_client_removed(kakuri, shop, api, environment):
    real = API.request

    def request(client, method, path, **options):
        if method == "DELETE":
            api.workloads.pop("web", None)
            raise NotFound("gone")
        return real(client, method, path, **options)

    environment.setattr(API, "request", request)
    result = kakuri("apply", "--yes")
    assert (result.code, result.out.splitlines()[0]) == (0, "web  replaced")


def test_apply_does_not_replace_what_is_still_being_removed(kakuri, shop, api, environment):
    environment.setattr("kakuri._remove.STOP_MARGIN_SECONDS", 0.0)
    api.is_removal_slow = True
    result = kakuri("apply", "--yes", "--grace", "0")
    assert result.code == 124
    assert "error: web: not removed within 0.00 s: running\n" in result.err
    assert "cache" not in api.workloads


def test_apply_gives_replaced_workloads_ten_seconds_by_default(kakuri, shop, api):
    kakuri("apply", "--yes")
    (removal,) = [one for one in api.received if one.method == "DELETE"]
    assert removal.query["grace_seconds"] == "10"


def test_prune_reads_every_page_and_leaves_what_is_being_removed(kakuri, api, tmp_path):
    for number in range(250):
        api.add(f"w{number:03}", spec=SET)
    api.workloads["w100"]["desired"] = "removed"
    (tmp_path / "kakuri.toml").write_text('set = "shop"\n[workload.w000]\nimage = "nginx:1.27"\n')
    lines = kakuri("diff", "--prune").out.splitlines()
    assert lines[:2] == ["  w000  same", "- w001  remove"]
    assert len(lines) == 249
    assert "- w100  remove" not in lines


def test_verified_file_is_printed_in_each_format(kakuri, shop):
    assert kakuri("verify", "-q").out == "web\ncache\napi\n"
    document = json.loads(kakuri("verify", "--json").out)
    assert document["set"] == "shop"
    assert [one["id"] for one in document["workloads"]] == ["web", "cache", "api"]

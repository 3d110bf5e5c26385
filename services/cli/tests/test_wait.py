import json
import socket
import threading
from functools import partial
from types import SimpleNamespace

import pytest
from kakuri._wait import verdict_of

FAILED_PULL = {"reason": "ImagePullFailed", "message": "docker.io/acme/api:9: not found"}


def later(api, workload_id, **fields):
    """Change a workload once a request waits for it."""

    def change():
        while not any("wait=" in target for _, target in list(api.requests)):
            threading.Event().wait(0.01)
        api.change(workload_id, **fields)

    threading.Thread(target=change, daemon=True).start()


def test_wait_for_running_returns_once_it_runs(kakuri, api):
    api.add("web", "pending")
    later(api, "web", state="running")
    result = kakuri("wait", "web", "--for", "running")
    assert (result.code, result.out, result.err) == (0, "web  running\n", "")


def test_wait_for_running_gives_up_when_the_pull_fails(kakuri, api):
    api.add("api", "pending", reason="Pulling")
    later(api, "api", state="failed", **FAILED_PULL)
    result = kakuri("wait", "api", "--for", "running", "--timeout", "60")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "api can no longer start running: failed, ImagePullFailed: docker.io/acme/api:9: not found\n"
    )


def test_wait_gives_up_as_soon_as_one_of_several_cannot_start_running(kakuri, api):
    api.add("slow", "pending")
    api.add("bad", "failed", **FAILED_PULL)
    assert kakuri("wait", "slow", "bad", "--for", "running").code == 1


def test_wait_for_the_end_reports_how_it_ended(kakuri, api):
    api.add("job")
    later(api, "job", state="failed", reason="Error", exit_code=3)
    assert kakuri("wait", "job").out == "job  exit code 3 (Error)\n"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"state": "failed", "exit_code": 3}, 3),
        ({"state": "succeeded", "exit_code": 0}, 0),
        ({"state": "succeeded"}, 0),
        ({"state": "failed", **FAILED_PULL}, 125),
    ],
)
def test_wait_can_exit_with_the_exit_code_of_the_workload(kakuri, api, fields, code):
    api.add("job", **fields)
    assert kakuri("wait", "--exit-code", "job").code == code


def test_wait_for_removal_of_an_unknown_id_is_success(kakuri):
    result = kakuri("wait", "nothing", "--for", "removed")
    assert (result.code, result.out) == (0, "nothing  removed\n")


def test_wait_for_removal_returns_once_it_is_removed(kakuri, api):
    api.add("web")
    threading.Timer(0.05, api.remove, ["web"]).start()
    assert kakuri("wait", "web", "--for", "removed").code == 0


def test_wait_for_an_unknown_id_is_not_found(kakuri):
    assert kakuri("wait", "nothing", "--for", "running").code == 3


def test_wait_for_a_workload_that_was_removed_meanwhile_gives_up(kakuri, api):
    api.add("job", "failed", exit_code=3, reason="Error")
    api.workloads["job"]["state"] = "running"
    api.remove("job")
    assert (
        kakuri("wait", "job", "--for", "running").err
        == "job can no longer start running: it was removed\n"
    )


def test_wait_with_timeout_0_checks_each_workload_once(kakuri, api):
    for workload_id in ("a", "b", "c"):
        api.add(workload_id)
    result = kakuri("wait", "a", "b", "c", "--for", "running", "--timeout", "0")
    assert (result.code, sorted(result.out.split())) == (0, ["a", "b", "c", *["running"] * 3])
    api.add("new", "pending")
    result = kakuri("wait", "a", "new", "--for", "running", "--timeout", "0")
    assert (result.code, result.out) == (124, "a  running\n")
    assert result.err == "error: new: not running\n"


def test_wait_exits_with_124_after_its_timeout(kakuri, api):
    api.add("web", "pending")
    result = kakuri("wait", "web", "--for", "running", "--timeout", "1s")
    assert (result.code, result.err) == (124, "error: web: still not running after 1 s\n")


@pytest.mark.parametrize(
    ("timeout", "text"), [("50ms", "web: still not ended after 0.05 s"), ("0", "web: not ended")]
)
def test_timeout_of_wait_names_a_server_that_does_not_respond(kakuri, environment, timeout, text):
    environment.setattr("kakuri._wait.CHECK_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"127.0.0.1:{server.getsockname()[1]}"
        result = kakuri("--host", f"http://{name}", "wait", "web", "--timeout", timeout)
    assert (result.code, result.err) == (124, f"error: {text}; {name} has not responded\n")


def test_timeout_of_wait_names_the_workloads_without_a_response(kakuri, api, environment):
    class Immediate:
        def __init__(self, *, target, args, daemon):
            self.start = partial(target, *args)

    def follow(_invocation, _api, workload_id, _condition, results):
        if workload_id == "b":
            results.put((workload_id, {"id": "b", "state": "running"}, None))

    environment.setattr("kakuri._threads.threading", SimpleNamespace(Thread=Immediate))
    environment.setattr("kakuri._wait._follow", follow)
    environment.setattr("kakuri._wait.CHECK_SECONDS", 0.01)
    err = kakuri("wait", "a", "b", "c", "--timeout", "0").err
    name = api.url.removeprefix("http://")
    assert err == f"error: a, b, c: not ended; {name} has not responded about a, c\n"


def test_timeout_of_wait_includes_the_time_to_ask_about_each_workload(kakuri, api, environment):
    now = 0.0

    def ask(_follow, _invocation, _api, workload_id, _condition, results):
        nonlocal now
        now += 2.0
        results.put((workload_id, {"id": workload_id, "state": "running"}, None))

    environment.setattr("kakuri._wait.time", SimpleNamespace(monotonic=lambda: now))
    environment.setattr("kakuri._wait.start_thread", ask)
    result = kakuri("wait", "a", "b", "c", "d", "--timeout", "3")
    text = "still not ended after 3 s; there was no time to ask about 2 of them"
    assert (result.code, result.err) == (124, f"error: a, b, c, d: {text}\n")


def test_wait_as_json_has_the_workload_and_the_verdict(kakuri, api):
    api.add("job", "succeeded", exit_code=0)
    document = json.loads(kakuri("wait", "--json", "job").out)
    assert (document["id"], document["state"], document["fulfilled"]) == ("job", "succeeded", True)
    assert "spec" not in document


@pytest.mark.parametrize("condition", ["running", "ended"])
def test_workload_that_restarts_is_waited_for(condition):
    failed = {"id": "a", "state": "failed", "restart_at": "2026-11-26T14:01:00Z"}
    assert verdict_of(condition, failed) is None
    assert verdict_of(condition, {"id": "a", "state": "pending", "reason": "BackOff"}) is None


@pytest.mark.parametrize("desired", ["stopped", "removed"])
def test_workload_that_is_being_ended_cannot_start_running(desired):
    verdict = verdict_of("running", {"id": "a", "state": "pending", "desired": desired})
    assert verdict == (False, f"it is being {desired}")


def test_workload_that_is_being_restarted_can_start_running():
    assert verdict_of("running", {"id": "a", "state": "pending", "desired": "restarted"}) is None


@pytest.mark.parametrize(
    "arguments", [["--for", "running", "a"], ["--for", "removed", "a"], ["a", "b"]]
)
def test_exit_code_of_a_workload_needs_the_end_of_one(kakuri, api, arguments):
    result = kakuri("wait", "--exit-code", *arguments)
    assert (result.code, api.requests) == (2, [])
    assert "--exit-code needs --for ended and one workload" in result.err


def test_exit_code_of_a_workload_that_is_named_twice_is_its_own(kakuri, api):
    api.add("job", "failed", exit_code=3)
    assert kakuri("wait", "--exit-code", "job", "job").code == 3


def test_wait_without_exit_code_exits_with_0_after_a_failure(kakuri, api):
    api.add("job", "failed", exit_code=3)
    assert kakuri("wait", "job").code == 0


REMOVED = {"removed_at": "2026-11-26T14:01:10Z"}


@pytest.mark.parametrize(
    ("condition", "document", "verdict"),
    [
        ("removed", None, (True, "removed")),
        ("removed", {"state": "failed", **REMOVED}, (True, "removed")),
        ("removed", {"state": "failed"}, None),
        ("removed", {"state": "running", "desired": "removed"}, None),
        ("ended", None, (False, "it was removed")),
        ("ended", {"state": "running"}, None),
        ("ended", {"state": "pending"}, None),
        ("ended", {"state": "failed", "exit_code": 3}, (True, "exit code 3")),
        ("ended", {"state": "succeeded"}, (True, "succeeded")),
        ("ended", {"state": "failed", "restart_at": "t", **REMOVED}, (True, "failed")),
        ("ended", {"state": "running", **REMOVED}, (False, "failed")),
        ("running", None, (False, "it was removed")),
        ("running", {"state": "running"}, (True, "running")),
        ("running", {"state": "running", **REMOVED}, (False, "it was removed")),
        ("running", {"state": "running", "desired": "stopped"}, (False, "it is being stopped")),
        ("running", {"state": "pending"}, None),
        ("running", {"state": "failed", "reason": "Error"}, (False, "failed, Error")),
        ("running", {"state": "succeeded"}, (False, "succeeded")),
    ],
)
def test_verdict_of_each_condition_and_document(condition, document, verdict):
    assert verdict_of(condition, document) == verdict


def test_wait_for_the_end_of_a_workload_that_leaves_nothing_gives_up(kakuri, api):
    api.add("job")
    later_removed(api, "job")
    result = kakuri("wait", "job")
    assert (result.code, result.err) == (1, "job can no longer end: it was removed\n")


def later_removed(api, workload_id):
    """Remove a workload once a request waits for it, and keep nothing of it."""

    def remove():
        while not any("wait=" in target for _, target in list(api.requests)):
            threading.Event().wait(0.01)
        api.tombstones = Forgetful()
        api.remove(workload_id)

    threading.Thread(target=remove, daemon=True).start()


class Forgetful(dict):
    """Keeps nothing."""

    def __setitem__(self, key, value):
        pass


@pytest.mark.parametrize("options", ["--json", "-q"])
def test_negative_verdict_is_printed_in_each_format(kakuri, api, options):
    api.add("bad", "failed", reason="Error")
    result = kakuri("wait", "bad", "--for", "running", options)
    assert result.code == 1
    if options == "-q":
        assert result.out == ""
        assert result.err == "bad can no longer start running: failed, Error\n"
    else:
        document = json.loads(result.out)
        assert (document["id"], document["state"]) == ("bad", "failed")
        assert document["fulfilled"] is False


def test_verdict_about_a_removed_workload_as_json_has_its_id(kakuri):
    result = kakuri("wait", "gone", "--for", "removed", "--json")
    assert json.loads(result.out) == {"id": "gone", "fulfilled": True}

import json
import threading

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


def test_wait_exits_with_124_after_its_timeout(kakuri, api):
    api.add("web", "pending")
    result = kakuri("wait", "web", "--for", "running", "--timeout", "50ms")
    assert (result.code, result.err) == (124, "error: web: still not running after 0.05 s\n")


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

"""Removals that take several requests, and the waits that each of them asks for."""

import json
import time

import pytest
from kakuri._exits import CommandError, NotFound
from kakuri._lifecycle import await_state, post
from kakuri._remove import delete
from kakuri._watch import changes

GONE, UNDER_WAY = 200, 202


class Response:
    def __init__(self, status=200, **document):
        self.status = status
        self.document = {"id": "a", "version": 7, "state": "running", **document}


class ScriptedAPI:
    """Answers with one result after the other; each request takes some seconds."""

    def __init__(self, clock, *results, seconds=0.0):
        self._clock, self._results, self._seconds = clock, list(results), seconds
        self.requests = []

    def request(self, method, path, *, params=(), body=b"", headers=None, wait=0.0):
        self.requests.append((method, path, dict(params), body, headers, wait))
        self._clock[0] += self._seconds
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def get(self, path, params=(), *, wait=0.0):
        return self.request("GET", path, params=params, wait=wait)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Record pauses instead of sleeping."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def waits(api):
    return [(params.get("wait"), wait) for _, _, params, _, _, wait in api.requests]


def test_removal_is_requested_again_until_a_minute_after_the_grace(clock):
    failing = Response(UNDER_WAY, reason="StopFailed", message="StopContainer: timeout")
    api = ScriptedAPI(clock, *[Response(UNDER_WAY)] * 2, failing, seconds=30.0)
    text = "^not removed within 70 s: running, StopFailed: StopContainer: timeout$"
    with pytest.raises(CommandError, match=text) as raised:
        delete(api, "a", grace=10.5)
    assert (raised.value.exit_code, raised.value.code) == (124, "timeout")
    assert waits(api) == [("60", 60.0), ("40", 40.5), ("10", 10.5)]
    assert {params["grace_seconds"] for _, _, params, *_ in api.requests} == {"11"}
    assert clock[0] == 1090.0


def test_removal_asks_for_a_wait_of_at_least_a_second(clock):
    api = ScriptedAPI(clock, Response(UNDER_WAY), Response(UNDER_WAY), seconds=59.5)
    with pytest.raises(CommandError):
        delete(api, "a", grace=0)
    assert waits(api) == [("60", 60.0), ("1", 1.0)]


def test_removal_at_its_deadline_is_not_requested_again(clock):
    api = ScriptedAPI(clock, Response(UNDER_WAY), seconds=60.0)
    with pytest.raises(CommandError):
        delete(api, "a", grace=0)
    assert len(api.requests) == 1


def test_removal_ends_with_status_200(clock):
    api = ScriptedAPI(clock, Response(UNDER_WAY, id="a-b"), Response(GONE, id="a-b"), seconds=1.0)
    assert delete(api, "a-b", grace=0).status == GONE
    assert [path for _, path, *_ in api.requests] == ["/workloads/a-b"] * 2


def test_removal_pauses_between_requests_to_a_server_that_does_not_wait(clock, pauses):
    delete(ScriptedAPI(clock, *[Response(UNDER_WAY)] * 3, Response(GONE)), "a", grace=0)
    assert pauses == [0.1] * 3


def test_removal_that_is_not_awaited_is_one_request_without_a_wait(clock):
    api = ScriptedAPI(clock, Response(UNDER_WAY))
    delete(api, "a", grace=5, is_awaited=False)
    assert api.requests == [("DELETE", "/workloads/a", {"grace_seconds": "5"}, b"", None, 0.0)]


def test_removal_has_the_expected_version_in_the_first_request_alone(clock):
    api = ScriptedAPI(clock, Response(UNDER_WAY), Response(GONE))
    delete(api, "a", grace=0, version=7)
    assert [headers for *_, headers, _ in api.requests] == [{"If-Match": '"7"'}, None]


def test_removal_of_an_unknown_workload_is_not_found(clock):
    with pytest.raises(NotFound):
        delete(ScriptedAPI(clock, NotFound("no workload")), "a", grace=0)


@pytest.mark.parametrize("earlier", [1, 2])
def test_removal_that_was_complete_between_two_requests_has_what_is_kept(clock, earlier):
    kept = Response(removed_at="t")
    results = [*[Response(UNDER_WAY)] * earlier, NotFound("no workload"), kept]
    api = ScriptedAPI(clock, *results)
    assert delete(api, "a", grace=0) is kept
    assert api.requests[-1][:3] == ("GET", "/workloads/a", {"removed": "true"})


# States


def is_stopped(document):
    return document["state"] == "failed"


def test_state_that_is_reached_already_needs_no_request(clock):
    response = Response(state="failed")
    assert await_state(ScriptedAPI(clock), "a", response, is_stopped, 10) is response


def test_state_is_waited_for_after_the_version_that_was_seen_last(clock):
    results = [Response(version=8), Response(version=9), Response(state="failed", version=10)]
    api = ScriptedAPI(clock, *results, seconds=25.0)
    assert await_state(api, "a-b", Response(), is_stopped, 70) is results[2]
    assert [(path, params, wait) for _, path, params, _, _, wait in api.requests] == [
        ("/workloads/a-b", {"spec": "true"}, 30),
        ("/workloads/a-b", {"spec": "true", "wait": "30", "after": "8"}, 30),
        ("/workloads/a-b", {"spec": "true", "wait": "20", "after": "9"}, 30),
    ]


def test_state_is_waited_for_at_least_a_second_at_a_time(clock):
    api = ScriptedAPI(clock, Response(), Response(state="failed"), seconds=9.5)
    await_state(api, "a", Response(), is_stopped, 10)
    assert api.requests[1][2]["wait"] == "1"


def test_await_state_pauses_between_requests_to_a_server_that_does_not_wait(clock, pauses):
    versions = [8, 8, 8, 9]
    results = [Response(version=version) for version in versions]
    await_state(
        ScriptedAPI(clock, *results, Response(state="failed")), "a", Response(), is_stopped, 9
    )
    assert pauses == [0.1] * 2


def test_changes_pauses_between_requests_to_a_server_that_does_not_wait(clock, pauses):
    api = ScriptedAPI(clock, *[Response(version=version) for version in (8, 8, 8, 9)])
    api.name = "server"
    found = changes(None, api, "a")
    assert [next(found)["version"], next(found)["version"]] == [8, 9]
    assert pauses == [0.1] * 2


def test_state_not_reached_in_time_is_an_error_with_the_current_state(clock):
    api = ScriptedAPI(clock, Response(reason="Pulling"), seconds=10.0)
    with pytest.raises(CommandError, match=r"^after 10 s, still running, Pulling$") as caught:
        await_state(api, "a", Response(), is_stopped, 10)
    assert (caught.value.exit_code, caught.value.code) == (124, "timeout")


@pytest.mark.parametrize(
    ("options", "body", "headers", "wait"),
    [
        ({}, b"", None, 0.0),
        ({"grace": 0.0}, b'{"grace_seconds":0}', None, 0.0),
        ({"grace": 7.9, "version": 3}, b'{"grace_seconds":8}', {"If-Match": '"3"'}, 7.9),
    ],
)
def test_action_is_one_request_with_its_grace_and_version(clock, options, body, headers, wait):
    api = ScriptedAPI(clock, Response())
    post(api, "a-b", "stop", **options)
    assert api.requests == [("POST", "/workloads/a-b/stop", {}, body, headers, wait)]


def test_forced_removal_of_an_unknown_id_is_a_valid_document(kakuri):
    assert json.loads(kakuri("rm", "-f", 'a"b', "-o", "json").out) == {"id": 'a"b'}

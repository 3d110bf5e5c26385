"""Stop, start, restart and removal, with the conditions of If-Match."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from kakuri_control_plane._event_hub import EventHub
from kakuri_control_plane._lifecycle import Lifecycle
from kakuri_control_plane._queries import RemovalQuery
from kakuri_http import Headers, Request
from kakuri_rpc import (
    AgentClient,
    AgentTimeout,
    AgentUnreachable,
    Changes,
    Desired,
    ErrorCode,
    ErrorReply,
    GetStatus,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    State,
    Status,
    StopWorkload,
    WatchChanges,
    serve,
)
from kakuri_workload import Event, EventType, Removal

from .fake_agent import ANY_PORT, api

STOPPING = Status("a", State.RUNNING, desired=Desired.STOPPED, version=7)
REMOVING = Status("a", State.RUNNING, desired=Desired.REMOVED, version=8)
NOT_FOUND = ErrorReply(ErrorCode.NOT_FOUND, "no workload 'a'", id="a")


async def test_stop_of_a_running_workload_is_202_with_its_version():
    async with api(STOPPING) as call:
        status, body, headers = await call("POST", "/workloads/a/stop")
        assert (status, body) == (202, {"id": "a", "state": "running", "desired": "stopped"})
        assert headers["etag"] == '"7"'
        assert call.asked == [StopWorkload("a", 10, with_version=True)]


async def test_stop_of_an_ended_workload_is_200():
    async with api(Status("a", State.FAILED, "Stopped", version=7)) as call:
        assert (await call("POST", "/workloads/a/stop"))[0] == 200


@pytest.mark.parametrize(
    ("verb", "request_type"), [("stop", StopWorkload), ("restart", RestartWorkload)]
)
async def test_grace_period_is_read_from_the_content(verb, request_type):
    async with api(STOPPING) as call:
        for grace in (0, 3600):
            await call("POST", f"/workloads/a/{verb}", {"grace_seconds": grace})
        await call("POST", f"/workloads/a/{verb}", {})
        assert call.asked == [request_type("a", each, with_version=True) for each in (0, 3600, 10)]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"grace_seconds": -1}, "$.grace_seconds"),
        ({"grace_seconds": 3601}, "$.grace_seconds"),
        ({"grace_seconds": 10**400}, "$.grace_seconds"),
        ({"grace_seconds": 1.5}, "$.grace_seconds"),
        ({"grace_seconds": True}, "$.grace_seconds"),
        ({"grace_seconds": None}, "$.grace_seconds"),
        ({"grace_second": 1}, "$.grace_second"),
        ([], "$"),
        (5, "$"),
    ],
)
@pytest.mark.parametrize("verb", ["stop", "restart"])
async def test_invalid_content_of_a_stop_or_restart_is_400_and_stops_nothing(verb, document, path):
    async with api(STOPPING) as call:
        status, body, _ = await call("POST", f"/workloads/a/{verb}", document)
        assert (status, [each["path"] for each in body["errors"]]) == (400, [path])
        assert call.asked == []


@pytest.mark.parametrize("content", [b" ", b"{", b"grace_seconds=3"])
async def test_content_that_is_not_json_is_400(content):
    async with api(STOPPING) as call:
        assert (await call("POST", "/workloads/a/stop", content))[0] == 400
        assert call.asked == []


async def test_content_that_is_not_json_is_415_and_too_large_content_is_413():
    async with api(STOPPING) as call:
        image = await call("POST", "/workloads/a/stop", {}, content_type="image/png")
        large = await call("POST", "/workloads/a/stop", b" " * 5000)
        assert (image[0], large[0], call.asked) == (415, 413, [])


async def test_start_of_an_ended_workload_is_202():
    pending = Status("a", State.PENDING, attempt=1, version=9)
    async with api(pending) as call:
        status, body, headers = await call("POST", "/workloads/a/start", {})
        assert (status, body) == (202, {"id": "a", "state": "pending", "restarts": 1})
        assert headers["etag"] == '"9"'
        assert call.asked == [RerunWorkload("a", with_version=True)]


async def test_start_of_a_running_workload_is_200_with_existing():
    async with api(Status("a", State.RUNNING, existing=True, version=9)) as call:
        status, body, _ = await call("POST", "/workloads/a/start")
        assert (status, body) == (200, {"id": "a", "state": "running", "existing": True})


async def test_start_with_options_is_400():
    async with api(STOPPING) as call:
        status, body, _ = await call("POST", "/workloads/a/start", {"grace_seconds": 1})
        assert (status, [each["path"] for each in body["errors"]]) == (400, ["$.grace_seconds"])
        assert call.asked == []


async def test_restart_is_202_until_the_next_attempt_runs():
    async with api(Status("a", State.RUNNING, desired=Desired.RESTARTED, version=9)) as call:
        status, body, _ = await call("POST", "/workloads/a/restart")
        assert (status, body) == (202, {"id": "a", "state": "running", "desired": "restarted"})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.NOT_FOUND, 404),
        (ErrorCode.CONFLICT, 409),
        (ErrorCode.VERSION_MISMATCH, 412),
        (ErrorCode.NEVER_FITS, 422),
        (ErrorCode.CAPACITY, 503),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/stop"), ("POST", "/start"), ("POST", "/restart"), ("DELETE", "")],
)
async def test_refusal_of_the_agent_has_its_http_status(method, path, code, expected):
    async with api(ErrorReply(code, "because", id="a"), is_possible=False) as call:
        status, body, _ = await call(method, f"/workloads/a{path}")
        assert (status, body["code"], body["detail"]) == (expected, code.value, "because")


WRITES = pytest.mark.parametrize(
    ("method", "path", "request_of"),
    [
        ("POST", "/stop", lambda version: StopWorkload("a", 10, version, with_version=True)),
        ("POST", "/start", lambda version: RerunWorkload("a", version, with_version=True)),
        ("POST", "/restart", lambda version: RestartWorkload("a", 10, version, with_version=True)),
        ("DELETE", "", lambda version: RemoveWorkload("a", 10, version, with_version=True)),
    ],
)


@WRITES
async def test_version_of_if_match_is_checked_by_the_agent(method, path, request_of):
    async with api(STOPPING) as call:
        assert (await call(method, f"/workloads/a{path}", if_match='"7"'))[0] < 300
        assert (await call(method, f"/workloads/a{path}", if_match="*"))[0] < 300
        assert call.asked == [request_of(7), request_of(None)]


@WRITES
async def test_if_match_with_several_tags_expects_the_current_version(method, path, request_of):
    async with api(STOPPING) as call:
        condition = 'W/"7", "7", "9", "x"'
        assert (await call(method, f"/workloads/a{path}", if_match=condition))[0] < 300
        assert call.asked == [GetStatus("a", with_version=True), request_of(7)]


@pytest.mark.parametrize(
    ("condition", "detail"),
    [
        ('"9", "8"', "expected version 8 or 9 of workload 'a', got 7"),
        ('W/"7"', "expected a strong entity tag of version 7 of workload 'a'"),
        ('"x"', "expected a strong entity tag of version 7 of workload 'a'"),
        ('"07"', "expected a strong entity tag of version 7 of workload 'a'"),
        ('""', "expected a strong entity tag of version 7 of workload 'a'"),
    ],
)
@WRITES
async def test_if_match_without_the_current_version_is_412_and_changes_nothing(
    method, path, request_of, condition, detail
):
    async with api(STOPPING) as call:
        status, body, _ = await call(method, f"/workloads/a{path}", if_match=condition)
        assert (status, body["code"], body["detail"]) == (412, "version_mismatch", detail)
        assert call.asked == [GetStatus("a", with_version=True)]


@pytest.mark.parametrize("condition", ['W/"7"', '"8", "9"'])
async def test_if_match_for_an_unknown_workload_is_404(condition):
    async with api(NOT_FOUND) as call:
        assert (await call("DELETE", "/workloads/a", if_match=condition))[0] == 404


@pytest.mark.parametrize("condition", ["7", '"7', "", '*, "7"'])
@WRITES
async def test_if_match_that_is_not_valid_is_400_and_changes_nothing(
    method, path, request_of, condition
):
    async with api(STOPPING) as call:
        status, body, _ = await call(method, f"/workloads/a{path}", if_match=condition)
        assert (status, [each["path"] for each in body["errors"]]) == (400, ["header.If-Match"])
        assert call.asked == []


async def test_delete_has_the_grace_period_of_its_query():
    async with api(REMOVING) as call:
        status, body, headers = await call("DELETE", "/workloads/a?grace_seconds=3")
        assert (status, body) == (202, {"id": "a", "state": "running", "desired": "removed"})
        assert headers["etag"] == '"8"'
        assert call.asked == [RemoveWorkload("a", 3, with_version=True)]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("grace_seconds=3601", "grace_seconds"),
        ("grace_seconds=-1", "grace_seconds"),
        ("grace_seconds=", "grace_seconds"),
        ("wait=61", "wait"),
        ("wait=true", "wait"),
        ("wait", "wait"),
        ("force", "force"),
    ],
)
async def test_invalid_query_of_a_delete_is_400_and_removes_nothing(query, path):
    async with api(REMOVING) as call:
        status, body, _ = await call("DELETE", f"/workloads/a?{query}")
        assert (status, [each["path"] for each in body["errors"]]) == (400, [f"query.{path}"])
        assert call.asked == []


async def test_delete_with_content_is_400_and_removes_nothing():
    async with api(REMOVING) as call:
        status, body, _ = await call("DELETE", "/workloads/a", {"grace_seconds": 3})
        message = "expected no content, because the options of a removal are in its query"
        assert (status, body["errors"]) == (400, [{"path": "$", "message": message}])
        assert call.asked == []


class Removing:
    """An agent that removes a workload; each status after the first one follows an event."""

    def __init__(self, *statuses, tombstone=NOT_FOUND):
        self.statuses, self.tombstone = statuses, tombstone
        self.sent = 0
        self.changed = asyncio.Event()

    def __call__(self, request):
        match request:
            case RemoveWorkload():
                return REMOVING
            case WatchChanges(after=None):
                return Changes([], 0)
            case WatchChanges(after=index):
                return self.next_event(index)
            case GetStatus(removed=True):
                return self.tombstone
        self.sent += 1
        self.changed.set()
        return self.statuses[min(self.sent, len(self.statuses)) - 1]

    async def next_event(self, index):
        while self.sent <= index:
            self.changed.clear()
            await self.changed.wait()
        return Changes([Event(index + 1, 1.0, EventType.WORKLOAD, id="a")], index + 1)


async def test_delete_that_waits_is_200_with_the_receipt_and_the_end():
    gone = Status(
        "a",
        State.FAILED,
        "Stopped",
        exit_code=143,
        started_at=1795453445.0,
        ended_at=1795453446.0,
        attempt=2,
        version=9,
        removed_at=1795453447.0,
        removal=Removal("5f0c", "9a3e", 0, "list"),
    )
    async with api(Removing(REMOVING, NOT_FOUND, tombstone=gone)) as call:
        status, body, _ = await call("DELETE", "/workloads/a?wait=30")
        assert status == 200
        assert list(body.items()) == [
            ("id", "a"),
            ("removed", {
                "zone": "5f0c", "container": "9a3e", "log_bytes": 0, "verified_by": "list",
            }),
            ("state", "failed"),
            ("reason", "Stopped"),
            ("exit_code", 143),
            ("started_at", "2026-11-23T17:04:05.000000Z"),
            ("ended_at", "2026-11-23T17:04:06.000000Z"),
            ("restarts", 2),
            ("removed_at", "2026-11-23T17:04:07.000000Z"),
        ]  # fmt: skip
        assert GetStatus("a", removed=True) in call.asked


async def test_delete_that_waits_ends_when_the_id_is_in_use_again():
    again = Status("a", State.PENDING)
    gone = Status("a", State.SUCCEEDED, removal=Removal(verified_by="simulated"))
    async with api(Removing(again, tombstone=gone)) as call:
        status, body, _ = await call("DELETE", "/workloads/a?wait=30")
        receipt = {"verified_by": "simulated"}
        assert (status, body) == (200, {"id": "a", "removed": receipt, "state": "succeeded"})


@pytest.mark.parametrize("code", [ErrorCode.NOT_FOUND, ErrorCode.INTERNAL])
async def test_delete_that_waits_for_a_workload_without_a_tombstone_has_an_empty_receipt(code):
    nothing = ErrorReply(code, "nothing is kept", id="a")
    async with api(Removing(NOT_FOUND, tombstone=nothing)) as call:
        status, body, _ = await call("DELETE", "/workloads/a?wait=30")
        assert (status, body) == (200, {"id": "a", "removed": {}, "state": "running"})


async def test_delete_whose_wait_is_too_short_is_202():
    async with api(Removing(REMOVING)) as call:
        status, body, _ = await call("DELETE", "/workloads/a?wait=1")
        assert (status, body) == (202, {"id": "a", "state": "running", "desired": "removed"})


async def test_delete_whose_wait_is_too_short_has_the_latest_status():
    failure = replace(REMOVING, reason="StopFailed", message="StopContainer: timeout", version=9)
    async with api(Removing(REMOVING, failure)) as call:
        status, body, headers = await call("DELETE", "/workloads/a?wait=1")
        assert (status, body["reason"], headers.get("etag")) == (202, "StopFailed", '"9"')
        assert body["message"] == "StopContainer: timeout"


@asynccontextmanager
async def waiting_delete(agent):
    """Yield the hub of a DELETE that waits, and its answer as a task."""
    async with await serve(ANY_PORT, agent) as server, AgentClient(server.endpoint) as client:
        hub = EventHub(client)
        request = Request("DELETE", "/workloads/a", Headers())
        request.params = {"id": "a"}
        lifecycle = Lifecycle(client, hub)
        yield hub, asyncio.create_task(lifecycle.delete(request, RemovalQuery(wait=60)))
        await hub.close()


async def test_delete_that_waits_is_202_when_the_control_plane_stops():
    agent = Removing(REMOVING)
    async with waiting_delete(agent) as (hub, answer):
        await agent.changed.wait()
        assert not answer.done()
        await hub.close()
        assert (await answer).status == 202


async def test_delete_that_waits_is_202_if_the_agent_has_no_events():
    def reply(request):
        if isinstance(request, WatchChanges):
            return ErrorReply(ErrorCode.BAD_REQUEST, "expected another type")
        return REMOVING

    async with waiting_delete(reply) as (_, answer):
        assert (await answer).status == 202


@pytest.mark.parametrize("error", [AgentUnreachable("refused"), AgentTimeout("no reply")])
async def test_removal_is_not_complete_while_the_agent_does_not_answer(error):
    class Away:
        async def get_status(self, _workload_id, *, with_version):
            raise error

    class Hub:
        async def await_reply(self, _workload_id, _seconds, ask, _is_answer):
            return await ask()

    lifecycle = Lifecycle(Away(), Hub())
    assert await lifecycle._removal_within(60, REMOVING) is REMOVING


async def test_error_of_the_agent_while_a_delete_waits_is_202_because_the_removal_is_recorded():
    async with api(Removing(ErrorReply(ErrorCode.INTERNAL, "broken", id="a"))) as call:
        assert (await call("DELETE", "/workloads/a?wait=30"))[0] == 202

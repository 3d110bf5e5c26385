"""Streams of events and long polls, from an agent that each test scripts."""

import asyncio
import datetime as dt
import itertools
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kakuri_control_plane import (
    _event_hub,
    _event_streams,
    _event_views,
    control_plane_service,
)
from kakuri_control_plane._event_hub import EventHub, Gap, TooManyStreams
from kakuri_control_plane._event_streams import EventStreams
from kakuri_control_plane._event_views import StreamEvent
from kakuri_control_plane._views import date_time
from kakuri_daemon import current_trace, set_trace
from kakuri_http import Client, HTTPError
from kakuri_rpc import (
    AgentClient,
    Changes,
    Desired,
    ErrorCode,
    ErrorReply,
    GetStatus,
    ListWorkloads,
    State,
    Status,
    WatchChanges,
    WorkloadList,
    serve,
)
from kakuri_tcp import Endpoint
from kakuri_workload import Event, EventType
from kakuri_workload.testing import workload
from structlog.testing import capture_logs

from .fake_agent import CheckedClient

ANY_PORT = Endpoint.parse("127.0.0.1:0")


class Journal:
    """An agent with a list of events, in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.compacted = 0
        self.index = 0
        self.states: dict[str, Status] = {}
        self.changed = asyncio.Event()
        self.asked: list[object] = []
        self.fail = None  # answers in place of the journal
        self.store_id: str | None = None

    def add(self, workload_id: str = "a", index: int | None = None, **fields: object) -> Event:
        fields = {"state": State.RUNNING, "type": EventType.WORKLOAD, **fields}
        event = Event(index or self.index + 1, 1.5, id=workload_id, **fields)
        self.events.append(event)
        self.move(event.index)
        return event

    def move(self, index: int) -> None:
        self.index = index
        self.changed.set()
        self.changed = asyncio.Event()

    def put(self, workload_id: str, version: int, **fields: object) -> None:
        spec = workload(workload_id, **fields)
        self.states[workload_id] = Status(
            workload_id, State.PENDING, "Pulling", version=version, changed_at=1.0, workload=spec
        )

    def answer(self, request):
        self.asked.append(request)
        if self.fail is not None:
            return self.fail(request)
        match request:
            case WatchChanges():
                return self.watch(request)
            case GetStatus():
                return self.states.get(request.id) or ErrorReply(
                    ErrorCode.NOT_FOUND, f"no workload {request.id!r}", id=request.id
                )
            case ListWorkloads():
                ids = [each for each in sorted(self.states) if each > request.after]
                following = ids[0] if len(ids) > 1 else None
                return WorkloadList([self.states[each] for each in ids[:1]], following)
        raise AssertionError(request)

    def watch(self, request):
        if request.after is None:
            return Changes([], self.index, self.store_id)
        if not self.compacted <= request.after <= self.index:
            return ErrorReply(
                ErrorCode.COMPACTED, "compacted", oldest=self.compacted, newest=self.index
            )
        events = [event for event in self.events if event.index > request.after][: request.limit]
        if events or not request.wait_seconds:
            last = self.index if len(events) < request.limit else events[-1].index
            return Changes(events, last, self.store_id)
        return self.wait(request, self.changed)

    async def wait(self, request, changed):  # a change may come before this coroutine starts
        await changed.wait()
        return self.watch(request)

    @property
    def statuses(self) -> int:
        return sum(isinstance(each, GetStatus) for each in self.asked)

    @property
    def watches(self) -> int:
        return sum(isinstance(each, WatchChanges) and each.after is None for each in self.asked)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the condition depends on a server)
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(_event_hub, "SECONDS_PER_STREAM", 0.0)
    monkeypatch.setattr(_event_hub, "PAUSE_SECONDS", 0.0)


@pytest.fixture
async def journal():
    return Journal()


@pytest.fixture
def max_streams():
    return _event_hub.MAX_STREAMS


@pytest.fixture
async def agent(journal, max_streams, monkeypatch):
    monkeypatch.setattr(_event_hub, "MAX_STREAMS", max_streams)
    async with await serve(ANY_PORT, journal.answer) as server:
        yield server


@pytest.fixture
async def client(agent):
    async with (
        control_plane_service(ANY_PORT, agent.endpoint) as endpoint,
        CheckedClient(endpoint) as client,
    ):
        yield client


@pytest.fixture
async def hub(agent):
    async with AgentClient(agent.endpoint) as client:
        hub = EventHub(client)
        yield hub
        await hub.close()


class Stream:
    """A response whose lines are read one by one."""

    def __init__(self, response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.pieces = aiter(response)
        self.buffer = b""

    async def line(self) -> bytes:
        async with asyncio.timeout(10):
            while b"\n" not in self.buffer:
                self.buffer += await anext(self.pieces)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    async def json(self) -> dict[str, object]:
        return json.loads(await self.line())

    async def rest(self) -> list[bytes]:
        async with asyncio.timeout(10):
            async for piece in self.pieces:
                self.buffer += piece
        return self.buffer.splitlines()


@asynccontextmanager
async def stream_of(client, query="?after=now", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.stream("GET", f"/events{query}", headers=headers) as response:
        yield Stream(response)


async def test_stream_has_each_event_as_a_line_of_json(client, journal):
    async with stream_of(client) as stream:
        assert (stream.status, stream.headers.get("content-type")) == (200, "application/x-ndjson")
        assert stream.headers.get("cache-control") == "no-store"
        journal.add(
            "api", 4181, state=State.FAILED, reason="ImagePullFailed", message="m", exit_code=1,
            attempt=1,
        )  # fmt: skip
        assert await stream.line() == (
            b'{"index":4181,"at":"1970-01-01T00:00:01.500000Z","type":"workload","id":"api",'
            b'"state":"failed","reason":"ImagePullFailed","message":"m","exit_code":1,"attempt":1}'
        )
        journal.add(type=EventType.DESIRED, desired=Desired.STOPPED)
        assert (await stream.json())["desired"] == "stopped"
        journal.add(None, state=None, type=EventType.RUNTIME, available=False)
        assert (await stream.json())["available"] is False


async def test_server_sent_events_have_the_same_documents(client, journal):
    journal.put("a", 1)
    async with (
        stream_of(client, "") as lines,
        stream_of(client, "", accept="text/event-stream, */*") as sent,
    ):
        assert sent.headers.get("content-type") == "text/event-stream"
        journal.add("a", 5)
        assert [await sent.line(), await sent.line()] == [b"retry: 1000", b""]
        for kind in (b"state", b"synced", b"workload"):
            expected = await lines.line()
            if kind != b"state":
                assert await sent.line() == b"id: %d" % json.loads(expected)["index"]
            assert await sent.line() == b"event: " + kind
            assert await sent.line() == b"data: " + expected
            assert await sent.line() == b""


async def test_stream_without_an_index_begins_with_the_current_states(client, journal):
    journal.move(7)
    journal.put("a", 3)
    journal.put("b", 9)  # it changed while the states were listed
    async with stream_of(client, "") as stream:
        assert await stream.json() == {
            "index": 3,
            "at": "1970-01-01T00:00:01.000000Z",
            "type": "state",
            "id": "a",
            "state": "pending",
            "reason": "Pulling",
        }
        assert (await stream.json())["id"] == "b"
        assert await stream.line() == b'{"type":"synced","index":7}'
        journal.add("b", 8)
        journal.add("b", 9)  # both are in the state that was sent
        journal.add("a", 10)
        journal.add("b", 11)
        assert [(await stream.json())["index"] for _ in range(2)] == [10, 11]


async def test_stream_with_a_tail_has_the_latest_events_before_the_current_states(client, journal):
    for _ in range(5):
        journal.add("a")
    journal.put("a", 5)
    async with stream_of(client, "?tail=2") as stream:
        lines = [await stream.json() for _ in range(4)]
        journal.add("a")
        lines.append(await stream.json())
    assert [(line["type"], line["index"]) for line in lines] == [
        ("workload", 4),
        ("workload", 5),
        ("state", 5),
        ("synced", 5),
        ("workload", 6),
    ]


async def test_stream_with_a_tail_has_events_that_a_state_includes(client, journal):
    journal.add("a")
    journal.put("a", 3)  # it changed while the states were listed
    async with stream_of(client, "?tail=5") as stream:
        lines = [await stream.json() for _ in range(3)]
        journal.add("a")
        journal.add("a")
        lines += [await stream.json() for _ in range(2)]
    assert [(line["type"], line["index"]) for line in lines] == [
        ("workload", 1),
        ("state", 3),
        ("synced", 1),
        ("workload", 2),
        ("workload", 3),
    ]


async def test_stream_with_a_tail_from_now_marks_where_it_ends(client, journal):
    for workload_id in ("a", "b", "a", "b"):
        journal.add(workload_id)
    async with stream_of(client, "?after=now&tail=5&workload=a") as stream:
        lines = [await stream.json() for _ in range(3)]
    assert [(line["type"], line["index"]) for line in lines] == [
        ("workload", 1),
        ("workload", 3),
        ("heartbeat", 4),
    ]


async def test_server_sent_tail_has_the_ids_of_its_events(client, journal):
    journal.add()
    async with stream_of(client, "?after=now&tail=1", accept="text/event-stream") as stream:
        assert [await stream.line() for _ in range(3)] == [b"retry: 1000", b"", b"id: 1"]


async def test_server_sent_events_before_synced_have_no_ids(client, journal):
    journal.add("a")
    journal.put("a", 1)
    async with stream_of(client, "?tail=1", accept="text/event-stream") as stream:
        lines = [await stream.line() for _ in range(11)]
    assert [line for line in lines if line.startswith((b"id:", b"event:"))] == [
        b"event: workload", b"event: state", b"id: 1", b"event: synced",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "headers"), [("?after=1&tail=5", {}), ("?tail=5", {"last_event_id": "1"})]
)
async def test_tail_of_a_stream_that_continues_is_ignored(client, journal, query, headers):
    for _ in range(3):
        journal.add()
    async with stream_of(client, query, **headers) as stream:
        assert [(await stream.json())["index"] for _ in range(2)] == [2, 3]


async def test_stream_after_an_index_continues_with_what_followed(client, journal):
    for _ in range(5):
        journal.add()
    async with stream_of(client, "?after=2") as stream:
        assert [(await stream.json())["index"] for _ in range(3)] == [3, 4, 5]
        journal.add()
        assert (await stream.json())["index"] == 6
        async with stream_of(client, "?after=1", last_event_id="5") as other:
            assert (await other.json())["index"] == 6
    assert journal.watches == 1


async def test_stream_after_a_later_index_than_the_hub_knows_waits_for_what_follows(
    client, journal
):
    async with stream_of(client) as first:
        journal.index = 10  # changes that are not events
        async with stream_of(client, "?after=10") as stream:
            journal.add()
            assert (await stream.json())["index"] == (await first.json())["index"] == 11


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("&workload=b", [2]),
        ("&label=team%3Dred", [3]),
        ("&type=removed,node", [4, 5]),
        ("&workload=c&type=workload", [3]),
        ("", [1, 2, 3, 4, 5]),
    ],
)
async def test_filters_select_events(client, journal, query, expected):
    def act():
        journal.add("a")
        journal.add("b", labels={"team": "blue"})
        journal.add("c", labels={"team": "red"})
        journal.add("c", type=EventType.REMOVED)
        journal.add(None, state=None, type=EventType.NODE, version="1")
        journal.add("z", type=EventType.REMOVED, labels={"team": "red"})

    expected = [*expected, 6] if "workload" not in query else expected
    async with stream_of(client, f"?after=0{query}") as live:
        act()
        async with stream_of(client, f"?after=0{query}") as late:
            for stream in (live, late):
                assert [(await stream.json())["index"] for _ in expected] == expected


@pytest.mark.parametrize(
    ("query", "states"),
    [("?workload=a", ["a"]), ("?workload=nope", []), ("?type=removed", []), ("?type=state", "ab")],
)
async def test_filter_selects_the_states_before_synced(client, journal, query, states):
    journal.put("a", 1)
    journal.put("b", 1)
    async with stream_of(client, query) as stream:
        assert [(await stream.json())["id"] for _ in states] == list(states)
        assert (await stream.json())["type"] == "synced"


async def test_states_with_a_label_come_from_a_list_with_that_label(client, journal):
    journal.put("a", 1, labels={"team": "red"})
    async with stream_of(client, "?label=team%3Dred") as stream:
        assert (await stream.json())["id"] == "a"
    (request,) = [each for each in journal.asked if isinstance(each, ListWorkloads)]
    assert (request.label, request.detail) == ("team=red", True)


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=-1",
        f"after={2**53 + 1}",
        "type=party",
        "label=x",
        "workload=A",
        "tail=1001",
    ],
)
async def test_invalid_query_is_400(client, query):
    response = await client.request("GET", f"/events?{query}")
    assert response.status == 400
    assert json.loads(response.body)["errors"][0]["path"] == f"query.{query.partition('=')[0]}"


@pytest.mark.parametrize("value", ["x", "", "1, 2", str(2**53 + 1)])
async def test_invalid_last_event_id_is_400(client, value):
    response = await client.request("GET", "/events", headers={"Last-Event-ID": value})
    assert response.status == 400
    assert json.loads(response.body)["errors"][0]["path"] == "header.Last-Event-ID"


async def test_last_event_id_of_now_sends_no_states(client, journal):
    journal.put("a", version=1)
    async with stream_of(client, "", Last_Event_ID="now") as stream:
        journal.add("b")
        assert (await stream.json())["id"] == "b"


async def test_dropped_index_is_410(client, journal):
    journal.compacted = journal.index = 5
    for after in (4, 6):
        response = await client.request("GET", f"/events?after={after}")
        assert json.loads(response.body) == {
            "trace": response.headers["traceparent"].split("-")[1],
            "title": "Gone",
            "status": 410,
            "detail": "compacted; list the workloads again",
            "code": "compacted",
            "oldest": 5,
            "newest": 5,
        }
        assert response.headers.get("content-type") == "application/problem+json"


async def test_head_of_a_stream_has_no_content(client):
    response = await client.request("HEAD", "/events")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("max_streams", [1])
async def test_head_of_a_stream_has_the_status_of_get(client, journal):
    journal.compacted = journal.index = 5
    for after in (1, 9):
        response = await client.request("HEAD", f"/events?after={after}")
        assert (response.status, response.body) == (410, b"")
    async with stream_of(client):
        response = await client.request("HEAD", "/events")
        assert (response.status, response.headers.get("retry-after")) == (503, "1")


async def test_heartbeat_has_the_index(client, journal, monkeypatch):
    monkeypatch.setattr(_event_hub, "HEARTBEAT_SECONDS", 0.01)
    journal.move(7)
    async with stream_of(client) as lines, stream_of(client, accept="text/event-stream") as sent:
        assert await lines.line() == b'{"index":7,"type":"heartbeat"}'
        assert [await sent.line() for _ in range(4)] == [b"retry: 1000", b"", b": heartbeat", b""]


async def test_lost_events_end_a_stream_with_a_gap(client, journal):
    async with stream_of(client) as lines, stream_of(client, accept="text/event-stream") as sent:
        journal.add()
        assert (await lines.json())["index"] == 1
        journal.compacted = 8
        journal.move(9)
        assert await lines.rest() == [b'{"type":"gap","oldest":8}']
        assert (await sent.rest())[-3:-1] == [b"event: gap", b'data: {"type":"gap","oldest":8}']
    async with stream_of(client, "?after=9") as stream:
        journal.add()
        assert (await stream.json())["index"] == 10


async def test_replaced_store_ends_a_stream_with_a_gap(client, journal):
    journal.store_id = "a" * 32
    async with stream_of(client) as stream:
        journal.add()
        assert (await stream.json())["index"] == 1
        journal.store_id, journal.events = "b" * 32, []
        journal.add(index=70)
        assert await stream.rest() == [b'{"type":"gap","oldest":70}']
    async with stream_of(client) as stream:
        journal.add()
        assert (await stream.json())["index"] == 71


async def test_agent_that_reports_another_store_each_time_is_not_asked_without_a_pause(
    client, journal, monkeypatch
):
    monkeypatch.setattr(_event_hub, "PAUSE_SECONDS", 3600.0)
    numbers = itertools.count()
    journal.put("a", 1)
    watch, journal.watch = journal.watch, lambda request: replace(
        watch(replace(request, wait_seconds=0)), store_id=f"{next(numbers):032}"
    )  # fmt: skip
    async with stream_of(client, "?after=now") as stream:
        assert await stream.rest() == [b'{"type":"gap","oldest":0}']
    asked = next(numbers)
    for _ in range(20):
        assert (await client.get("/workloads/a")).status == 200
    assert next(numbers) == asked + 1


@pytest.mark.parametrize("compacted", [0, 3])
async def test_index_of_a_replaced_store_is_410(client, journal, compacted):
    journal.store_id, journal.compacted = "b" * 32, compacted
    journal.add(index=70)
    response = await client.get(f"/events?after=7&store_id={'a' * 32}")
    assert response.status == 410
    document = response.json(json.loads)
    assert document == {
        "trace": document["trace"], "title": "Gone", "status": 410, "code": "compacted",
        "oldest": compacted, "newest": 70, "store_id": "b" * 32,
        "detail": "another store issued the index; list the workloads again",
    }  # fmt: skip


@pytest.mark.parametrize("present", ["a" * 32, None])
async def test_index_of_the_current_store_continues_the_stream(client, journal, present):
    journal.store_id = present
    journal.add(index=70)
    async with stream_of(client, f"?after=7&store_id={'a' * 32}") as stream:
        assert (await stream.json())["index"] == 70


async def test_events_of_another_store_that_the_hub_does_not_know_yet_are_not_sent(client, journal):
    journal.store_id, journal.index = "a" * 32, 20
    async with stream_of(client):
        await until(lambda: journal.asked[-1] == WatchChanges(20, wait_seconds=25.0))
        journal.store_id = "b" * 32  # while the hub waits for events
        journal.events = [Event(8, 1.5, EventType.WORKLOAD, "a", State.RUNNING)]
        response = await client.get(f"/events?after=7&store_id={'a' * 32}")
        assert (response.status, response.json(json.loads)["code"]) == (410, "compacted")


async def test_store_that_is_replaced_while_states_are_sent_ends_a_stream_with_a_gap(
    client, journal
):
    journal.store_id, journal.index = "a" * 32, 7

    async def list_workloads():
        journal.store_id = "b" * 32
        journal.add(index=8)
        await until(lambda: journal.asked[-1] == WatchChanges(8, wait_seconds=25.0))  # of the hub
        return WorkloadList([], None)

    def answer(request):
        return list_workloads() if isinstance(request, ListWorkloads) else journal.watch(request)

    journal.fail = answer
    async with stream_of(client, "") as stream:
        assert await stream.json() == {"type": "synced", "index": 7, "store_id": "a" * 32}
        assert await stream.json() == {"type": "gap", "oldest": 0}
        assert await stream.rest() == []


async def test_synced_and_heartbeat_lines_have_the_store_id(client, journal, monkeypatch):
    monkeypatch.setattr(_event_hub, "HEARTBEAT_SECONDS", 0.01)
    journal.store_id = "a" * 32
    async with stream_of(client, "") as stream:
        synced = {"type": "synced", "index": 0, "store_id": "a" * 32}
        assert await stream.json() == synced
        assert await stream.json() == {"index": 0, "type": "heartbeat", "store_id": "a" * 32}


@pytest.mark.parametrize(("before", "after"), [(None, "a" * 32), ("a" * 32, None)])
async def test_agent_of_another_version_with_the_same_store_leaves_streams_open(
    client, journal, before, after
):
    journal.store_id = before
    async with stream_of(client) as stream:
        journal.add()
        assert (await stream.json())["index"] == 1
        journal.store_id = after
        journal.add()
        assert (await stream.json())["index"] == 2


async def test_event_has_the_trace_of_the_request_that_caused_it(client, journal):
    async with stream_of(client) as stream:
        journal.add(trace="4bf92f3577b34da6a3ce929d0e0e4736")
        assert await stream.line() == (
            b'{"index":1,"at":"1970-01-01T00:00:01.500000Z","type":"workload","id":"a",'
            b'"state":"running","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}'
        )


async def test_hub_that_a_request_started_does_not_have_its_trace(hub, journal, monkeypatch):
    traces = []
    encoded = _event_hub.encoded_event
    monkeypatch.setattr(
        _event_hub, "encoded_event", lambda event: traces.append(current_trace()) or encoded(event)
    )
    set_trace("4bf92f3577b34da6a3ce929d0e0e4736")
    slot = await hub.take_slot("loopback")
    set_trace(None)
    journal.add()
    await until(lambda: traces)
    assert (traces, slot is not None) == ([None], True)


async def test_stream_that_falls_out_of_the_journal_ends_with_a_gap(client, journal, monkeypatch):
    for _ in range(3):
        journal.add()
    pages = iter([None, None])
    watch = journal.watch

    def compact_later(request):
        if request.after == 1 and not request.wait_seconds and next(pages, 1) is None:
            return Changes(journal.events[1:2], 2)  # the first page
        if request.after == 2:
            return ErrorReply(ErrorCode.COMPACTED, "too old", oldest=3, newest=3)
        return watch(request)

    journal.watch = compact_later
    async with stream_of(client, "?after=1") as stream:
        assert await stream.rest() == [
            (
                b'{"index":2,"at":"1970-01-01T00:00:01.500000Z","type":"workload","id":"a",'
                b'"state":"running"}'
            ),
            b'{"type":"gap","oldest":3}',
        ]


async def test_events_from_before_the_hub_come_page_by_page(client, journal):
    for _ in range(3):
        journal.add()
    watch = journal.watch

    def one_at_a_time(request):
        return watch(replace(request, limit=1) if not request.wait_seconds else request)

    journal.watch = one_at_a_time
    async with stream_of(client, "?after=0") as stream:
        assert [(await stream.json())["index"] for _ in range(3)] == [1, 2, 3]
        journal.add()
        assert (await stream.json())["index"] == 4


@pytest.mark.parametrize("query", ["", "?workload=a"])
async def test_stream_whose_states_cannot_be_listed_is_cut_off(client, journal, query):
    def fail(request):
        if isinstance(request, WatchChanges):
            return journal.watch(request)
        return ErrorReply(ErrorCode.INTERNAL, "the agent failed")

    journal.fail = fail
    with capture_logs() as lines:
        async with stream_of(client, query) as stream:
            with pytest.raises(HTTPError):
                await stream.rest()
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert line["event"] == "stream of events cut off"
    assert "the agent failed" in line["error"]


@pytest.mark.parametrize("step", [0, 1])
async def test_agent_that_never_reaches_the_hub_does_not_keep_a_stream_busy(client, journal, step):
    journal.move(9)
    watch = journal.watch
    journal.watch = lambda request: (
        Changes([], request.after + step) if request.after == 5 else watch(request)
    )
    async with stream_of(client, "?after=5") as stream:
        with pytest.raises(HTTPError):
            await stream.rest()


async def test_closed_client_of_the_agent_ends_streams_and_long_polls(agent, journal):
    client = AgentClient(agent.endpoint)
    hub = EventHub(client)
    slot = await hub.take_slot("loopback")
    reading = asyncio.create_task(anext(hub.batches(hub.end, slot), None))
    await asyncio.sleep(0)
    await client.close()
    assert await reading is None
    await hub.close()
    del slot


async def test_hub_continues_when_the_agent_fails_while_events_are_lost(client, journal):
    failures = iter([True])
    watch = journal.watch

    def fail_once(request):
        if request.after is None and journal.compacted and next(failures, False):
            return ErrorReply(ErrorCode.INTERNAL, "the agent failed")
        return watch(request)

    journal.watch = fail_once
    async with stream_of(client) as stream:
        journal.compacted = 8
        journal.move(9)
        assert await stream.rest() == [b'{"type":"gap","oldest":8}']


async def test_streams_continue_when_the_agent_returns(journal):
    async with await serve(ANY_PORT, journal.answer) as first:
        endpoint = first.endpoint
        async with (
            control_plane_service(ANY_PORT, endpoint) as control_plane,
            CheckedClient(control_plane) as client,
            stream_of(client) as stream,
        ):
            journal.add()
            assert (await stream.json())["index"] == 1
            await first.drain(0)
            journal.add()
            async with await serve(endpoint, journal.answer):
                assert (await stream.json())["index"] == 2
                journal.add()
                assert (await stream.json())["index"] == 3


async def test_unreachable_agent_is_503():
    async with (
        control_plane_service(ANY_PORT, Endpoint.parse("127.0.0.1:1")) as endpoint,
        CheckedClient(endpoint) as client,
    ):
        for method in ("GET", "HEAD"):
            response = await client.request(method, "/events")
            assert (response.status, response.headers.get("retry-after")) == (503, "1")


async def test_control_plane_that_stops_ends_streams_completely(agent, journal):
    async with Client() as client:
        async with control_plane_service(ANY_PORT, agent.endpoint) as endpoint:
            opened = client.stream("GET", f"http://{endpoint}/events?after=now")
            response = await opened.__aenter__()
            journal.add()
            stream = Stream(response)
            assert (await stream.json())["index"] == 1
        assert await stream.rest() == []
        await opened.__aexit__(None, None, None)


@pytest.mark.parametrize("max_streams", [1])
async def test_stream_beyond_the_limit_is_503(client, journal):
    async with stream_of(client):
        response = await client.request("GET", "/events")
        assert (response.status, response.headers.get("retry-after")) == (503, "1")
        assert json.loads(response.body)["code"] == "too_many_streams"


@pytest.mark.parametrize("max_streams", [1])
async def test_stream_beyond_the_limit_reads_no_kept_events(client, journal):
    journal.compacted = journal.index = 5  # reading the events after the first would be 410
    async with stream_of(client):
        assert (await client.request("GET", "/events?after=1")).status == 503


@pytest.mark.parametrize("max_streams", [4])
async def test_stream_beyond_limit_displaces_oldest_stream_of_user_with_most(hub, journal):
    many = [await hub.take_slot("uid=1000") for _ in range(4)]
    reading = [asyncio.create_task(anext(hub.batches(hub.end, each), None)) for each in many]
    await asyncio.sleep(0)
    others = [await hub.take_slot("uid=0"), await hub.take_slot("uid=0")]
    for user in ("uid=0", "uid=1000"):  # both have two now
        with pytest.raises(TooManyStreams):
            await hub.take_slot(user)
    assert await asyncio.gather(*reading[:2]) == [None, None]
    journal.add()
    assert None not in await asyncio.gather(*reading[2:])
    assert [each.is_displaced for each in (*many, *others)] == [True] * 2 + [False] * 4
    cuts = next(each for each in hub.families() if each.name == "kakuri_event_streams_cut")
    assert [(each.labels, each.value) for each in cuts.samples] == [(("displaced",), 2.0)]


@pytest.mark.parametrize("max_streams", [4])
async def test_oldest_stream_of_two_users_with_most_is_displaced(hub):
    slots = [await hub.take_slot(user) for user in ("uid=1", "uid=2", "uid=2", "uid=1")]
    slots.append(await hub.take_slot("uid=0"))
    assert [each.is_displaced for each in slots] == [True] + [False] * 4


@pytest.mark.parametrize("max_streams", [2])
async def test_displaced_stream_counts_until_it_ends(hub):
    slots = [await hub.take_slot(user) for user in ("uid=1", "uid=1", "uid=0")]

    def count():
        streams, _ = hub.families()
        return streams.samples[0].value

    assert count() == 3.0
    del slots[0]
    assert count() == 2.0


@pytest.mark.parametrize("max_streams", [2])
@pytest.mark.parametrize(
    ("method", "query", "status"), [("HEAD", "", 200), ("GET", "?after=1", 410)]
)
async def test_request_without_a_stream_displaces_none(
    client, journal, monkeypatch, method, query, status
):
    users = iter(["uid=1000", "uid=1000", "uid=0"])
    monkeypatch.setattr(_event_streams, "user_of", lambda _request: next(users))
    journal.compacted = journal.index = 5
    async with stream_of(client) as stream, stream_of(client):
        assert (await client.request(method, f"/events{query}")).status == status
        journal.add()
        assert (await stream.json())["index"] == 6


@pytest.mark.parametrize("max_streams", [1000])
async def test_thousand_streams_cost_one_encoding_and_one_request_per_event(
    hub, journal, monkeypatch
):
    encoded = []

    def count(event):
        encoded.append(event.index)
        return _event_views.encoded_event(event)

    monkeypatch.setattr(_event_hub, "encoded_event", count)
    slots = [await hub.take_slot("loopback") for _ in range(1000)]
    with pytest.raises(TooManyStreams):
        await hub.take_slot("loopback")

    async def read(number, slot):
        lines, batches = b"", hub.batches(number, slot)
        while lines.count(b"\n") < 3:
            lines += (await anext(batches)).lines
        return lines

    reading = [asyncio.create_task(read(hub.end, each)) for each in slots]
    await asyncio.sleep(0)
    for _ in range(3):
        journal.add()
        await asyncio.sleep(0)
    assert len(set(await asyncio.gather(*reading))) == 1
    assert encoded == [1, 2, 3]
    assert journal.watches == 1


async def test_server_sent_streams_share_one_conversion_of_each_event(client, journal, monkeypatch):
    converted = []
    convert = StreamEvent.server_sent.fget

    def count(event):
        converted.append(event.index)
        return convert(event)

    monkeypatch.setattr(StreamEvent, "server_sent", property(count))
    async with AsyncExitStack() as stack:
        opened = [stream_of(client, accept="text/event-stream") for _ in range(5)]
        streams = [await stack.enter_async_context(each) for each in opened]
        journal.add()
        for each in streams:
            assert [await each.line() for _ in range(3)] == [b"retry: 1000", b"", b"id: 1"]
    assert converted == [1]


async def test_slow_stream_is_cut_and_the_hub_keeps_a_bounded_number_of_bytes(
    hub, journal, monkeypatch
):
    monkeypatch.setattr(_event_hub, "MAX_UNSENT", 1000)
    slot = await hub.take_slot("loopback")
    slow = hub.batches(hub.end, slot)
    journal.add()
    assert (await anext(slow)).index == 1
    while hub.position(1) is not None:
        journal.add(message="m" * 100)
        await until(lambda: hub.index == journal.index)
    with pytest.raises(StopAsyncIteration):
        await anext(slow)
    assert sum(len(batch.lines) for batch in hub._batches) <= 1000
    assert hub.position(hub.index) == hub.end
    del slot


async def test_hub_without_streams_stops_and_starts_again(hub, journal, monkeypatch):
    monkeypatch.setattr(_event_hub, "HEARTBEAT_SECONDS", 0.0)
    slot = await hub.take_slot("loopback")
    task = hub._task
    del slot
    await asyncio.wait([task])
    assert hub._task is None
    journal.add()
    await hub.take_slot("loopback")
    assert (journal.watches, hub.index) == (2, 1)


async def test_streams_of_an_agent_that_hangs_share_one_request(hub, journal):
    may_answer = asyncio.Event()

    async def answer_late(request):
        await may_answer.wait()
        return journal.watch(request)

    journal.fail = answer_late
    slots = [asyncio.create_task(hub.take_slot("loopback")) for _ in range(3)]
    await until(lambda: journal.asked)
    slots[0].cancel()
    journal.fail = None
    may_answer.set()
    await asyncio.wait(slots)
    assert [each.cancelled() for each in slots] == [True, False, False]
    assert journal.watches == 1


async def test_hub_that_is_closed_while_it_starts_does_not_run(hub, journal):
    may_answer = asyncio.Event()

    async def answer_late(request):
        await may_answer.wait()
        return journal.watch(request)

    journal.fail = answer_late
    following = asyncio.create_task(hub.take_slot("loopback"))
    await until(lambda: journal.asked)
    await hub.close()
    may_answer.set()
    slot = await following
    assert [batch async for batch in hub.batches(hub.end, slot)] == []
    assert hub._task is None
    del slot


async def test_failure_of_the_hub_ends_its_streams(hub, journal, monkeypatch):
    slot = await hub.take_slot("loopback")
    monkeypatch.setattr(_event_hub, "encoded_event", None)
    task = hub._task
    batches = hub.batches(hub.end, slot)
    journal.add()
    assert await anext(batches) == Gap(0)
    with pytest.raises(TypeError):
        await task
    assert slot is not None


async def test_long_poll_returns_the_status_once_it_has_changed(client, journal):
    journal.put("a", 3)
    waiting = asyncio.create_task(client.request("GET", "/workloads/a?wait=60&after=3"))
    await until(lambda: journal.statuses == 1)
    journal.add("b", 4)
    journal.put("a", 5)
    journal.add("a", 5)
    response = await waiting
    assert response.headers.get("etag") == '"5"'
    assert json.loads(response.body)["version"] == 5


async def test_long_poll_without_an_index_waits_for_the_next_change(client, journal):
    journal.put("a", 3)
    waiting = asyncio.create_task(client.request("GET", "/workloads/a?wait=60&spec"))
    await until(lambda: journal.statuses == 2)
    journal.put("a", 5)
    journal.add("a", 5)
    assert json.loads((await waiting).body)["version"] == 5


async def test_long_poll_is_answered_at_once_after_an_earlier_version(client, journal):
    journal.put("a", 3)
    response = await client.request("GET", "/workloads/a?wait=60&after=2")
    assert (response.status, response.headers.get("etag")) == (200, '"3"')


async def test_long_poll_of_a_removed_workload_is_404(client, journal):
    journal.put("a", 3)
    waiting = asyncio.create_task(client.request("GET", "/workloads/a?wait=60&after=3"))
    await until(lambda: journal.statuses == 1)
    del journal.states["a"]
    journal.add("a", 4, type=EventType.REMOVED)
    assert (await waiting).status == 404


async def test_long_polls_that_one_event_wakes_share_one_request_to_the_agent(hub, journal):
    journal.put("a", 3)
    streams = EventStreams(hub._agent, hub)
    polls = [asyncio.create_task(streams.changed_status("a", 60, 3 + i % 2)) for i in range(100)]
    polls[0].cancel()
    await until(lambda: journal.statuses == 99)
    await hub._agent.get_status("a")  # the earlier replies have arrived, too
    asked = journal.statuses
    journal.put("a", 4)
    journal.add("a", 4)
    assert [(await poll).version for poll in polls[2::2]] == [4] * 49
    assert journal.statuses == asked + 1
    journal.put("a", 5)
    journal.add("a", 5)
    assert [(await poll).version for poll in polls[1::2]] == [5] * 50
    assert journal.statuses == asked + 2


async def test_long_poll_does_not_begin_with_a_request_that_was_sent_before_it(hub, journal):
    may_answer, held = asyncio.Event(), []

    def answer_late(request):
        if isinstance(request, GetStatus) and not held:
            held.append(journal.states["a"])
            return answer_held()
        journal.fail = None
        reply = journal.answer(request)
        journal.fail = answer_late
        return reply

    async def answer_held():
        await may_answer.wait()
        return held[0]

    journal.put("a", 6)
    streams = EventStreams(hub._agent, hub)
    other = asyncio.create_task(streams.changed_status("a", 60, 6))
    await until(lambda: journal.statuses and hub._task is not None)
    journal.fail = answer_late
    journal.add("a", 10)
    await until(lambda: held)
    journal.put("a", 11)
    poll = asyncio.create_task(streams.changed_status("a", 0, 6))
    await until(lambda: len(hub._polls._waiting["a"]) == 2)
    may_answer.set()
    assert (await poll).version == 11
    other.cancel()


async def test_long_poll_ends_with_its_time_and_with_the_hub(hub, journal):
    asked = []

    async def ask():
        asked.append(len(asked))
        return asked[-1]

    assert await hub.await_reply("a", 0.0, ask, lambda _reply: False) == 0
    waiting = asyncio.create_task(hub.await_reply("a", 60, ask, lambda _reply: False))
    await until(lambda: len(asked) == 2)
    await hub.close()
    assert await waiting == 2
    assert not hub._polls


@given(
    st.floats(0, 4e9)
    | st.builds(
        lambda second, part: max(0.0, second + part), st.integers(0, 2**32), st.floats(-1e-6, 1e-6)
    )
)
@example(0.0)
@example(1790000000.9999999)
def test_time_is_written_as_datetime_writes_it(seconds):
    expected = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds")
    assert date_time(seconds) == expected.replace("+00:00", "Z")

"""Events over a connection of their own, from agents that each test scripts."""

import asyncio

import pytest
from kakuri_json import decode, encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    Changes,
    ClientClosed,
    Desired,
    ErrorCode,
    ErrorReply,
    Reply,
    Request,
    State,
    UnexpectedReply,
    WatchChanges,
    serve,
)
from kakuri_tcp import Endpoint
from kakuri_workload import Event, EventType, Removal

ANY_PORT = Endpoint.parse("127.0.0.1:0")
FAILED = Event(
    4181, 1795453445.1, EventType.WORKLOAD, "api", State.FAILED, "ImagePullFailed", "no", 1, 1
)


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (WatchChanges(), '{"type":"WatchChanges"}'),
        (
            WatchChanges(4180, 30, 5),
            '{"type":"WatchChanges","after":4180,"wait_seconds":30,"limit":5}',
        ),
    ],
)
def test_request_for_events_is_encoded_as_in_the_contract(request_, line):
    assert encode(request_).decode() == line
    assert decode(line.encode(), type=Request) == request_


@pytest.mark.parametrize("field", ['"limit":0', '"limit":1001', '"wait_seconds":31', '"after":-1'])
def test_request_for_events_outside_its_limits_is_invalid(field):
    with pytest.raises(ValueError, match=field.partition('"')[2].partition('"')[0]):
        decode(f'{{"type":"WatchChanges",{field}}}'.encode(), type=Request)


def test_events_are_encoded_as_in_the_contract():
    removal = Removal("5f0c", "9a3e", 0, "list")
    changes = Changes(
        [
            FAILED,
            Event(4182, 2.0, EventType.DESIRED, "api", State.RUNNING, desired=Desired.STOPPED),
            Event(4183, 3.0, EventType.REMOVED, "api", State.FAILED, removal=removal),
            Event(4184, 4.0, EventType.RUNTIME, available=False, message="gone"),
            Event(4185, 5.0, EventType.NODE, version="0.2.0", labels={"a": "b"}),
        ],
        4190,
    )
    line = (
        '{"type":"Changes","events":[{"index":4181,"at":1795453445.1,"type":"workload","id":"api",'
        '"state":"Failed","reason":"ImagePullFailed","message":"no","exit_code":1,"attempt":1},'
        '{"index":4182,"at":2.0,"type":"desired","id":"api","state":"Running","desired":"Stopped"},'
        '{"index":4183,"at":3.0,"type":"removed","id":"api","state":"Failed","removal":{"zone":'
        '"5f0c","container":"9a3e","log_bytes":0,"verified_by":"list"}},{"index":4184,"at":4.0,'
        '"type":"runtime","message":"gone","available":false},{"index":4185,"at":5.0,"type":"node",'
        '"labels":{"a":"b"},"version":"0.2.0"}],"next":4190}'
    )
    assert encode(changes).decode() == line
    assert decode(line.encode(), type=Reply) == changes


async def test_watch_waits_for_events_and_continues_after_them():
    asked = []

    async def wait():
        return Changes([FAILED], 4190)

    def answer(request):
        asked.append(request)
        return wait() if request.wait_seconds else Changes([], 4180)

    async with (
        await serve(ANY_PORT, answer) as agent,
        AgentClient(agent.endpoint) as client,
        client.open_watch() as watch,
    ):
        index = (await watch.read()).next
        assert await watch.read(index, wait_seconds=30, limit=7) == Changes([FAILED], 4190)
        assert "AgentWatch" in repr(watch)
        assert await client.get_changes(4180) == Changes([], 4180)
    assert asked == [WatchChanges(), WatchChanges(4180, 30, 7), WatchChanges(4180)]


async def test_compacted_index_raises_agent_error_with_the_range():
    def answer(_request):
        return ErrorReply(ErrorCode.COMPACTED, "too old", oldest=5, newest=9)

    async with await serve(ANY_PORT, answer) as agent, AgentClient(agent.endpoint) as client:
        with pytest.raises(AgentError) as e:
            await client.get_changes(1)
    assert (e.value.code, e.value.oldest, e.value.newest) == (ErrorCode.COMPACTED, 5, 9)


@pytest.mark.parametrize(
    ("after", "changes", "fault"),
    [
        (1, Changes([FAILED, FAILED], 4181), "expected indexes in order, after 4181, got 4181"),
        (4181, Changes([FAILED], 4181), "expected indexes in order, after 4181, got 4181"),
        (1, Changes([FAILED], 4180), "expected 4181 or a later index to continue from, got 4180"),
        (1, Changes([], 0), "expected 1 or a later index to continue from, got 0"),
        (None, Changes([FAILED], 4181), "expected the current index without events"),
        (1, Changes([FAILED, FAILED], 1), "expected at most 1 events, got 2"),
    ],
)
async def test_reply_that_does_not_match_is_unexpected(after, changes, fault):
    async with (
        await serve(ANY_PORT, lambda _request: changes) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        limit = 1 if "at most" in fault else 1000
        with pytest.raises(UnexpectedReply, match=fault):
            await client.get_changes(after, limit=limit)


async def test_texts_of_events_are_made_printable():
    hostile = Event(
        1, 1.0, EventType.REMOVED, "a", reason="\x1b", message="\x1b" * 999, version="\x1b",
        removal=Removal(zone="\x1b"),
    )  # fmt: skip
    async with (
        await serve(ANY_PORT, lambda _request: Changes([hostile], 1)) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        (event,) = (await client.get_changes(0)).events
    assert (event.reason, event.version, event.removal.zone) == (r"\x1b", r"\x1b", r"\x1b")
    assert len(event.message) == 1024


async def test_closing_the_client_ends_a_read_that_waits():
    waits = asyncio.Event()

    async def wait():
        waits.set()
        await asyncio.Event().wait()

    async with await serve(ANY_PORT, lambda _request: wait()) as agent:
        client = AgentClient(agent.endpoint)
        watch = client.open_watch()
        reading = asyncio.create_task(watch.read(0, wait_seconds=30))
        await waits.wait()
        await client.close()
        with pytest.raises(ClientClosed):
            await reading

"""Requests for events: what a reply has, and when one that waits is answered."""

import asyncio

from kakuri_agent import Agent, __version__, _event_feed
from kakuri_json import encode
from kakuri_registry import SQLiteStore, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    MAX_EVENTS_BYTES,
    Changes,
    Desired,
    ErrorCode,
    RemoveWorkload,
    StartWorkload,
    State,
    StopWorkload,
    WatchChanges,
)
from kakuri_workload import EventType, Run, WorkloadState
from kakuri_workload.testing import workload

RUNNING = WorkloadState.RUNNING


async def test_start_of_the_agent_is_an_event(agent):
    changes = agent.handle(WatchChanges(0))
    assert [(event.index, event.type, event.version) for event in changes.events] == [
        (1, EventType.NODE, __version__)
    ]
    assert changes.next == 1
    assert agent.handle(WatchChanges()) == Changes([], 1)


async def test_events_report_a_workload_from_start_to_removal(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload(labels={"team": "red"})))
    runtime.change(RUNNING)
    await until_idle()
    agent.handle(StopWorkload("wl-1"))
    runtime.change(WorkloadState.FAILED, reason="Stopped", exit_code=143)
    await until_idle()
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    runtime.observer.zone_removed("wl-1")
    changes = agent.handle(WatchChanges(1))
    assert [(each.type, each.state, each.desired) for each in changes.events] == [
        (EventType.WORKLOAD, State.PENDING, None),
        (EventType.WORKLOAD, State.RUNNING, None),
        (EventType.DESIRED, State.RUNNING, Desired.STOPPED),
        (EventType.WORKLOAD, State.FAILED, None),
        (EventType.DESIRED, State.FAILED, Desired.REMOVED),
        (EventType.REMOVED, State.FAILED, None),
    ]
    assert {(each.id, each.labels["team"]) for each in changes.events} == {("wl-1", "red")}
    assert changes.events[-1].exit_code == 143
    assert changes.next == changes.events[-1].index


async def test_events_are_encoded_without_the_general_printer_and_without_empty_labels(agent):
    for labels in ({}, {"team": "red"}):
        agent.handle(StartWorkload(workload(f"wl-{len(labels)}", labels=labels)))
    changes = agent.handle(WatchChanges(1))
    line = encode(changes)
    assert line.count(b'"labels"') == 1
    # A class has its compiled encoder once an instance was encoded.
    assert Changes.__kakuri_json__.encode(changes) == line.decode()


async def test_request_that_waits_is_answered_by_the_next_event_or_when_its_time_is_over(
    agent, registry
):
    waiting = asyncio.ensure_future(agent.handle(WatchChanges(1, 30)))
    await asyncio.sleep(0)
    registry.register(workload(), now=5.0)
    assert [event.id for event in (await waiting).events] == ["wl-1"]
    assert await agent.handle(WatchChanges(2, 1e-9)) == Changes([], 2)
    assert isinstance(agent.handle(WatchChanges(1, 30)), Changes)  # there is one already


async def test_event_is_reported_once_it_is_on_disk(tmp_path, runtime):
    store = SQLiteStore(tmp_path / "state" / "db")
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store) as writer:
        agent = Agent(registry, writer, runtime)
        before = agent.handle(WatchChanges()).next
        waiting = asyncio.ensure_future(agent.handle(WatchChanges(before, 30)))
        registry.register(workload(), now=5.0)
        assert agent.handle(WatchChanges(before)).events == []
        await writer.saved("wl-1")
        await waiting
        await writer.flushed()
        events = agent.handle(WatchChanges(before)).events
        assert [event.type for event in events] == [EventType.NODE, EventType.WORKLOAD]
        agent.close()
    store.close()


async def test_dropped_or_future_index_returns_compacted(agent, registry):
    reply = agent.handle(WatchChanges(7, 30))
    assert (reply.code, reply.oldest, reply.newest) == (ErrorCode.COMPACTED, 0, 1)
    assert reply.message == "expected an index from 0 to 1 to continue from, got 7"


async def test_reply_is_cut_by_the_limit_and_by_bytes(agent, registry):
    registry.register(workload(labels={"k": "v" * 50_000}), now=1.0)
    for number in range(20):
        registry.update("wl-1", Run(WorkloadState.PENDING, f"Reason{number}"), now=1.0)
    changes = agent.handle(WatchChanges(0, limit=2))
    assert ([event.index for event in changes.events], changes.next) == ([1, 2], 2)
    index, seen = 0, []
    while (changes := agent.handle(WatchChanges(index))).events:
        assert len(encode(changes)) <= MAX_EVENTS_BYTES + 60_000
        seen += [event.index for event in changes.events]
        index = changes.next
    assert seen == list(range(1, 23))


async def test_reply_of_ordinary_events_is_cut_by_their_number_and_of_escaped_ones_by_bytes(
    agent, registry
):
    registry.register(workload(), now=1790000000.123456)
    for number in range(900):
        registry.update("wl-1", Run(WorkloadState.PENDING, f"Reason{number}"), now=1790000000.5)
    changes = agent.handle(WatchChanges(1))
    assert len(changes.events) > 800
    for number in range(450):
        run = Run(WorkloadState.PENDING, f"Again{number}", "\x1b" * 256)
        registry.update("wl-1", run, now=1790000001.0)
    changes = agent.handle(WatchChanges(registry.journal.index - 450))
    assert 200 < len(changes.events) < 450
    assert len(encode(changes)) <= MAX_EVENTS_BYTES


async def test_availability_of_the_runtime_is_an_event(registry, writer, runtime, monkeypatch):
    monkeypatch.setattr(_event_feed, "AVAILABILITY_SECONDS", 0.0)
    agent = Agent(registry, writer, runtime)

    async def next_event(after):
        return await agent.handle(WatchChanges(after, 30))

    runtime.fault = "the sidecar does not answer"
    lost = await next_event(1)
    runtime.fault = None
    back = await next_event(lost.next)
    agent.close()
    assert [(each.type, each.available, each.message) for each in lost.events + back.events] == [
        (EventType.RUNTIME, False, "the sidecar does not answer"),
        (EventType.RUNTIME, True, None),
    ]


async def test_agent_that_stops_answers_requests_that_wait(agent):
    waiting = asyncio.ensure_future(agent.handle(WatchChanges(1, wait_seconds=30)))
    await asyncio.sleep(0)
    agent.stop_waiting()
    assert await waiting == Changes([], 1)
    assert agent.handle(WatchChanges(1, wait_seconds=30)) == Changes([], 1)

"""The trace of a request: in the log lines, commands and events of its workload, and no other's."""

import asyncio
import contextvars
from contextlib import closing
from inspect import isawaitable

import pytest
import structlog
from kakuri_agent import Agent, Capacity, SidecarZones, ZoneRuntime
from kakuri_agent._retention import Retention
from kakuri_daemon import current_trace, set_trace
from kakuri_http import Response, Router, serve
from kakuri_json import encode
from kakuri_registry import MemoryStore, SQLiteStore, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    ReadLog,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    StopWorkload,
    WatchChanges,
)
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import until
from kakuri_workload import EventType, RestartPolicy, WorkloadState, ZonesListed, ZoneStatus
from kakuri_workload.testing import workload

from .recording_runtime import RecordingRuntime

START, OTHER, END = ("4bf92f3577b34da6a3ce929d0e0e4736", "a" * 32, "b" * 32)
RUNNING, FAILED = WorkloadState.RUNNING, WorkloadState.FAILED


class TracedRuntime(RecordingRuntime):
    """A runtime that records the trace of each command."""

    def start(self, spec):
        self.commands.append(("start", spec.id, current_trace()))

    def stop(self, zone_id, grace_seconds):
        self.commands.append(("stop", zone_id, current_trace()))

    def remove(self, zone_id, grace_seconds):
        self.commands.append(("remove", zone_id, current_trace()))

    async def read_log(self, zone_id, request):
        self.commands.append(("read", zone_id, current_trace()))
        return await super().read_log(zone_id, request)


@pytest.fixture
def runtime():
    return TracedRuntime()


@pytest.fixture
def lines():
    """Log lines with the trace that the log adds to each."""
    found = []

    def record(_logger, _method, event):
        found.append((event["event"], event.get("id"), current_trace()))
        raise structlog.DropEvent

    structlog.configure(processors=[record])
    yield found
    structlog.reset_defaults()


def handle(agent, request):
    """Handle a request as the server does: in its own context, which its awaitable shares."""

    def answer():
        reply = agent.handle(request)
        return asyncio.ensure_future(reply) if isawaitable(reply) else reply

    return contextvars.copy_context().run(answer)


def events_of(agent, workload_id="wl-1"):
    changes = agent.handle(WatchChanges(0))
    return [(each.type.value, each.trace) for each in changes.events if each.id == workload_id]


async def test_events_and_commands_have_the_trace_of_the_request_that_they_belong_to(
    agent, runtime, until_idle
):
    handle(agent, StartWorkload(workload(), trace=START))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    handle(agent, StopWorkload("wl-1", trace=OTHER))
    await until_idle()
    runtime.change(FAILED, reason="Stopped", exit_code=143)
    await until_idle()
    handle(agent, RemoveWorkload("wl-1", trace=END))
    await until_idle()
    runtime.observer.zone_removed("wl-1")
    assert events_of(agent) == [
        ("workload", START),
        ("workload", START),
        ("desired", OTHER),
        ("workload", OTHER),
        ("desired", END),
        ("removed", END),
    ]
    assert [command for command in runtime.commands if command[0] != "stop"] == [
        ("start", "wl-1", START),
        ("remove", "wl-1", END),
    ]
    assert ("stop", "wl-1", OTHER) in runtime.commands


async def test_run_that_ends_by_itself_and_its_restarts_belong_to_the_request_that_began_it(
    agent, runtime, until_idle
):
    handle(agent, StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS), trace=START))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    assert events_of(agent) == [("workload", START)] * 3
    handle(agent, RerunWorkload("wl-1", trace=OTHER))
    await until_idle()
    assert events_of(agent)[3:] == [("workload", OTHER)]


async def test_restart_belongs_to_its_request_until_the_next_attempt(agent, runtime, until_idle):
    handle(agent, StartWorkload(workload(), trace=START))
    runtime.change(RUNNING)
    await until_idle()
    handle(agent, RestartWorkload("wl-1", trace=OTHER))
    await until_idle()
    runtime.change(FAILED, reason="Stopped", exit_code=143)
    await until_idle()
    assert events_of(agent)[2:] == [("desired", OTHER), ("workload", OTHER)]
    assert runtime.commands[-1] == ("start", "wl-1", OTHER)


async def test_request_without_a_trace_leaves_none_of_an_earlier_request(
    agent, runtime, until_idle
):
    handle(agent, StartWorkload(workload(), trace=START))
    await until_idle()
    handle(agent, StopWorkload("wl-1"))
    await until_idle()
    assert events_of(agent) == [("workload", START), ("desired", None)]
    assert runtime.commands[-1] == ("stop", "wl-1", None)


async def test_workloads_of_one_turn_have_their_own_traces(agent, runtime, until_idle, lines):
    for number, trace in enumerate((START, None, OTHER)):
        handle(agent, StartWorkload(workload(f"wl-{number}"), trace=trace))
    await until_idle()
    expected = [("wl-0", START), ("wl-1", None), ("wl-2", OTHER)]
    assert [command[1:] for command in runtime.commands] == expected
    assert [line[1:] for line in lines if line[0] == "workload accepted"] == expected


async def test_traces_are_durable_and_those_of_a_batch_are_not_mixed_up(tmp_path, lines):
    path = tmp_path / "state" / "db"
    requests = [(f"wl-{number}", f"{number + 1:032x}") for number in range(10)]
    for run in range(2):
        with closing(SQLiteStore(path)) as store:
            registry, runtime = WorkloadRegistry.load(store.load()), TracedRuntime()
            async with StoreWriter(registry, store) as writer:
                agent = Agent(registry, writer, runtime, Capacity())
                if run == 0:
                    replies = [
                        handle(agent, StartWorkload(workload(name), trace=trace))
                        for name, trace in requests
                    ]
                    await asyncio.gather(*replies)
                    accepted = [line for line in lines if line[0] == "workload accepted"]
                    assert [line[1:] for line in accepted] == requests
                await until(lambda runtime=runtime: len(runtime.commands) == len(requests))
                assert sorted(command[1:] for command in runtime.commands) == requests
                await writer.flushed()
                found = [each for each in registry.journal.after(0, 100) if each.id is not None]
                assert [(each.id, each.trace) for each in found] == requests
                agent.close()


async def test_removal_after_the_retention_has_no_trace(
    agent, registry, runtime, until_idle, lines
):
    handle(agent, StartWorkload(workload(), trace=START))
    runtime.change(FAILED, reason="Error")
    await until_idle()
    set_trace(OTHER)
    retention = Retention(registry, agent.enqueue, 0.0, clock=lambda: 8.0)
    await until_idle()
    retention.close()
    assert events_of(agent)[-1] == ("desired", None)
    assert ("workload to be removed", "wl-1", None) in lines
    assert runtime.commands[-1] == ("remove", "wl-1", None)


async def test_log_is_read_with_the_trace_of_its_request(agent, runtime):
    handle(agent, StartWorkload(workload()))
    runtime.logs["wl-1"] = b"hello"
    runtime.change(RUNNING)
    await handle(agent, ReadLog("wl-1", trace=OTHER))
    await handle(agent, ReadLog("wl-1"))
    reads = [command for command in runtime.commands if command[0] == "read"]
    assert reads == [("read", "wl-1", OTHER), ("read", "wl-1", None)]


async def test_event_of_the_node_has_no_trace(agent):
    set_trace(START)
    (event,) = agent.handle(WatchChanges(0)).events
    assert (event.type, event.trace) == (EventType.NODE, None)


async def test_sidecar_gets_the_trace_of_each_command(tmp_path):
    asked = []

    async def zones(request):
        asked.append((request.method, request.headers.get("traceparent")))
        if request.method == "GET":
            return Response(200, b"x", headers={"Kakuri-Log-Next": "1"})
        return Response(200, encode(ZoneStatus("wl-1", RUNNING)))

    async def watch(_request):
        async def events():
            yield encode(ZonesListed()) + b"\n"
            await asyncio.Event().wait()

        return Response(200, events())

    router = Router()
    router.add("GET", "/zones", watch)
    router.add("POST", "/zones", zones)
    router.add("POST", "/zones/:id/stop", zones)
    router.add("GET", "/zones/:id/log", zones)
    async with await serve(Endpoint.parse(f"unix:{tmp_path}/s.sock"), router) as server:
        sidecar = SidecarZones(server.endpoint)
        agent_registry = WorkloadRegistry()
        runtime = ZoneRuntime(sidecar)
        async with StoreWriter(agent_registry, MemoryStore()) as writer:
            agent = Agent(agent_registry, writer, runtime)
            handle(agent, StartWorkload(workload(), trace=START))
            await until(lambda: len(asked) == 1)
            handle(agent, StopWorkload("wl-1", trace=OTHER))
            await until(lambda: len(asked) == 2)
            await handle(agent, ReadLog("wl-1", trace=END))
            agent.close()
        await runtime.close()
    assert [(method, trace[3:35]) for method, trace in asked] == [
        ("POST", START),
        ("POST", OTHER),
        ("GET", END),
    ]
    assert len({trace[36:52] for _, trace in asked}) == 3

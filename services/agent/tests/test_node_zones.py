"""Errors and ends of a zone node in this process, as the agent gets them."""

import pytest
from kakuri_agent.runtimes._choice import log_runtime
from kakuri_agent.runtimes._node_zones import NodeZones
from kakuri_agent.runtimes._protocol import (
    NoLog,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent.runtimes._zone_operations import Refused
from kakuri_tcp import Endpoint
from kakuri_workload import LogRequest
from kakuri_zones import LogCursorError, Settings, UnknownLog, UnknownZone
from kakuri_zones.logs._errors import LogStorageError
from structlog.testing import capture_logs


class Node:
    """A node of which every operation raises an error, and every stream ends."""

    def __init__(self, error=None):
        self.error = error

    def __repr__(self):
        return "<Node>"

    async def stop(self, zone_id, grace_seconds, while_waiting):
        raise self.error

    async def zone(self, zone_id):
        raise self.error

    async def read_log(self, zone_id, request):
        raise self.error

    async def events(self):
        yield "event"

    async def log_events(self):
        yield "grown"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnknownZone("no zone 'a'"), NoLog),
        (UnknownLog("a"), NoLog),
        (LogCursorError("x"), UnknownCursor),
        (LogStorageError("a", "read", "I/O error"), RuntimeFault),
    ],
)
async def test_error_of_a_log_is_translated(error, expected):
    with pytest.raises(expected) as caught:
        await NodeZones(Node(error), {}).read_log("a", LogRequest())
    assert str(error) in str(caught.value)


async def test_unexpected_error_refuses_the_operation_and_is_logged():
    with capture_logs() as lines, pytest.raises(Refused, match="unexpected error") as caught:
        await NodeZones(Node(ZeroDivisionError("division by zero")), {}).stop("a", 1)
    assert caught.value.code == "internal"
    assert [(line["event"], line["exc_info"]) for line in lines] == [("operation failed", True)]


async def test_unknown_zone_has_no_status_and_nothing_to_stop():
    zones = NodeZones(Node(UnknownZone("no zone 'a'")), {})
    assert await zones.zone("a") is None
    assert await zones.stop("a", 1) is None
    assert repr(zones) == "<NodeZones <Node>>"


@pytest.mark.parametrize(("stream", "item"), [("events", "event"), ("log_events", "grown")])
async def test_stream_that_ends_is_an_unavailable_runtime(stream, item):
    events = getattr(NodeZones(Node(), {}), stream)()
    assert await anext(events) == item
    with pytest.raises(RuntimeUnavailable, match="ended their stream"):
        await anext(events)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simulated", "nothing really runs: the runtime is simulated"),
        ("sidecar", "zones are run"),
        ("cri", "zones are run"),
    ],
)
def test_runtime_is_logged_with_the_reason_why_it_was_chosen(name, expected, tmp_path):
    sidecar = Endpoint.parse("unix:/run/s.sock")
    settings = Settings(cri=sidecar, log_dir=tmp_path)
    with capture_logs() as logged:
        log_runtime(name, None, sidecar, settings)
        log_runtime(name, "it answers", sidecar, settings)
    assert [entry["event"] for entry in logged] == [expected, "runtime chosen", expected]
    assert logged[1] == {
        "event": "runtime chosen", "log_level": "info", "runtime": name, "reason": "it answers",
    }  # fmt: skip

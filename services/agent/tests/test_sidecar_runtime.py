"""Tests of the runtime of a sidecar, with a scripted sidecar."""

import asyncio
from dataclasses import replace

import pytest
import structlog
from kakuri_agent import (
    NoLog,
    RuntimeFault,
    RuntimeUnavailable,
    SidecarZones,
    UnknownCursor,
    ZoneRuntime,
)
from kakuri_agent.runtimes import _end_failures, _zone_logs
from kakuri_agent.runtimes._protocol import RemovedZone
from kakuri_agent.runtimes._sidecar import MAX_CONNECTIONS
from kakuri_agent.runtimes._zone_logs import read_log_end
from kakuri_agent.runtimes._zone_operations import MAX_STARTS
from kakuri_agent.runtimes._zone_view import MAX_BREAKS
from kakuri_http import Response, Router, problem, serve
from kakuri_json import encode
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import until
from kakuri_workload import (
    LogChunk,
    LogGrown,
    LogRecord,
    LogRequest,
    LogSelection,
    LogStream,
    LogsWatched,
    Removal,
    RuntimeHealth,
    WorkloadState,
    ZoneChanged,
    ZoneGone,
    ZonesListed,
    ZoneStatus,
    read_records,
    write_record,
)

from .recording_runtime import spec

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
UNAVAILABLE = problem(503, code="RuntimeUnavailable", detail="containerd does not answer")


class ScriptedSidecar:
    """A sidecar that gives the replies in `answers`, and sends the events that a test passes."""

    def __init__(self, path):
        self.endpoint = Endpoint.parse(f"unix:{path}")
        self.asked = []
        self.headers = []
        self.arrived = asyncio.Event()
        self.answers = {}
        self.streams = []
        self.log_streams = []
        self.server = None

    async def start(self):
        router = Router()
        for method, path in (
            ("POST", "/zones"),
            ("POST", "/zones/:id/stop"),
            ("DELETE", "/zones/:id"),
            ("GET", "/zones/:id/log"),
            ("GET", "/zones/:id"),
        ):
            router.add(method, path, self.answer)
        router.add("GET", "/zones", self.watch)
        router.add("GET", "/logs", self.watch_logs)
        router.add("GET", "/metrics", self.answer)
        self.server = await serve(self.endpoint, router)

    async def stop(self):
        for stream in (*self.streams, *self.log_streams):
            stream.put_nowait(None)
        self.streams.clear()
        self.log_streams.clear()
        await self.server.close()

    async def answer(self, request):
        if request.method == "GET" and "GET" not in self.answers:  # the end of a removed zone's log
            return problem(404, code="not_found", detail="no log")
        self.asked.append((request.method, request.target, request.body))
        self.headers.append(request.headers)
        self.arrived.set()
        answers = self.answers.get(request.method, [])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return Response(500)
        return answer

    async def watch(self, request):
        assert request.target == "/zones?watch"
        events = asyncio.Queue()
        self.streams.append(events)
        self.arrived.set()
        return Response(200, self.lines(events), content_type="application/x-ndjson")

    async def watch_logs(self, request):
        assert request.target == "/logs?watch"
        events = asyncio.Queue()
        self.log_streams.append(events)
        return Response(200, self.lines(events), content_type="application/x-ndjson")

    def send_log_events(self, *events):
        for stream in self.log_streams:
            for event in events:
                stream.put_nowait(event)

    async def lines(self, events):
        while (event := await events.get()) is not None:
            yield encode(event) + b"\n"

    def send_events(self, *events):
        for stream in self.streams:
            for event in events:
                stream.put_nowait(event)


class Watcher:
    """An observer that queues its notifications for a test."""

    def __init__(self):
        self.notifications = asyncio.Queue()

    def zone_changed(self, zone_id):
        self.notifications.put_nowait(("changed", zone_id))

    def zone_removed(self, zone_id, removed):
        self.removed = removed
        self.notifications.put_nowait(("gone", zone_id))

    def zones_listed(self):
        self.notifications.put_nowait("listed")

    async def next(self):
        async with asyncio.timeout(20):
            return await self.notifications.get()

    async def until(self, expected):
        while await self.next() != expected:
            pass


@pytest.fixture
async def sidecar(tmp_path):
    scripted = ScriptedSidecar(tmp_path / "s.sock")
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
async def runtime(sidecar, watcher):
    runtime = ZoneRuntime(SidecarZones(sidecar.endpoint), start_timeout=20, retry=(0.01, 0.05))
    runtime.attach(watcher)
    await connected(sidecar)
    sidecar.send_events(RuntimeHealth(available=True), ZonesListed())
    await watcher.until("listed")
    yield runtime
    await runtime.close()


async def connected(sidecar):
    async with asyncio.timeout(20):
        while not sidecar.streams:
            sidecar.arrived.clear()
            await sidecar.arrived.wait()


async def asked(sidecar, number):
    async with asyncio.timeout(20):
        while len(sidecar.asked) < number:
            sidecar.arrived.clear()
            await sidecar.arrived.wait()


def zone(state=RUNNING, **more):
    return ZoneStatus(**({"id": "wl-1", "state": state, "pod_sandbox_id": "s1"} | more))


async def test_view_follows_the_events(runtime, sidecar, watcher):
    assert (runtime.is_listed, runtime.fault, runtime.status("wl-1")) == (True, None, None)
    sidecar.send_events(ZoneChanged(zone(PENDING, reason="Pulling")), ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1") == zone()
    assert list(runtime.list()) == [zone()]
    sidecar.send_events(ZoneGone("wl-1"))
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1") is None


async def test_repeated_start_sends_the_specification_once(runtime, sidecar, watcher):
    sidecar.answers["POST"] = [Response(201, encode(zone()))]
    runtime.start(spec(args=("a",)))
    runtime.start(spec(args=("a",)))
    await asked(sidecar, 1)
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    assert sidecar.asked == [("POST", "/zones", encode(spec(args=("a",))))]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (502, "ImagePullFailed", "ImagePullFailed"),
        (502, "StartError", "StartError"),
        (400, "bad_request", "StartError"),
    ],
)
async def test_failed_start_is_reported_with_its_reason(
    runtime, sidecar, watcher, status, code, reason
):
    sidecar.answers["POST"] = [problem(status, code=code, detail="no such image")]
    runtime.start(spec())
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1") == ZoneStatus("wl-1", FAILED, reason, "no such image")


CONFLICT = problem(409, code="conflict", detail="an earlier run continues")


async def test_start_stops_an_earlier_run_that_continues(runtime, sidecar, watcher):
    later = replace(spec(), attempt=2)
    sidecar.answers["POST"] = [
        CONFLICT,
        Response(200, encode(ZoneStatus("wl-1", FAILED))),
        Response(201, encode(zone(attempt=2))),
    ]
    runtime.start(later)
    await asked(sidecar, 3)
    assert sidecar.asked == [
        ("POST", "/zones", encode(later)),
        ("POST", "/zones/wl-1/stop?grace_seconds=0", b""),
        ("POST", "/zones", encode(later)),
    ]


@pytest.mark.parametrize(("attempt", "requests"), [(0, 1), (2, 3)])
async def test_start_that_conflicts_for_another_reason_is_a_start_error(
    runtime, sidecar, watcher, attempt, requests
):
    sidecar.answers["POST"] = [CONFLICT]
    if attempt:
        sidecar.answers["POST"] = [CONFLICT, Response(200, encode(zone(FAILED))), CONFLICT]
    runtime.start(replace(spec(), attempt=attempt))
    while (status := runtime.status("wl-1")) is None or status.state is not FAILED:
        await watcher.next()
    assert (status.reason, status.message) == ("StartError", "an earlier run continues")
    assert len(sidecar.asked) == requests


async def test_start_is_retried_while_the_runtime_does_not_answer(runtime, sidecar, watcher):
    sidecar.answers["POST"] = [UNAVAILABLE, UNAVAILABLE, Response(201, encode(zone()))]
    runtime.start(spec())
    await watcher.until(("changed", "wl-1"))
    waiting = runtime.status("wl-1")
    assert (waiting.state, waiting.reason) == (PENDING, "RuntimeUnavailable")
    assert waiting.message == "containerd does not answer"
    await asked(sidecar, 3)
    sidecar.send_events(ZoneChanged(zone()))
    while runtime.status("wl-1").state is not RUNNING:
        await watcher.next()


async def test_start_fails_after_its_timeout(sidecar, watcher):
    sidecar.answers["POST"] = [UNAVAILABLE]
    runtime = ZoneRuntime(SidecarZones(sidecar.endpoint), start_timeout=0.05, retry=(0.01, 0.01))
    runtime.attach(watcher)
    runtime.start(spec())
    while (status := runtime.status("wl-1")) is None or status.state is not FAILED:
        await watcher.next()
    assert status.reason == "RuntimeUnavailable"
    await runtime.close()


async def test_stop_replaces_a_start_in_progress(runtime, sidecar, watcher):
    hanging = asyncio.Event()
    sidecar.answers["POST"] = [hanging, Response(200, encode(ZoneStatus("wl-1", FAILED)))]
    runtime.start(spec())
    await asked(sidecar, 1)
    runtime.stop("wl-1", 3)
    await asked(sidecar, 2)
    assert sidecar.asked[1][:2] == ("POST", "/zones/wl-1/stop?grace_seconds=3")
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1").reason == "Stopped"
    hanging.set()


async def test_stop_of_an_unknown_zone_succeeds(runtime, sidecar, watcher):
    sidecar.answers["POST"] = [problem(404, code="not_found", detail="no zone")]
    runtime.stop("wl-1", 3)
    await watcher.until(("changed", "wl-1"))
    status = runtime.status("wl-1")
    assert (status.state, status.reason) == (FAILED, "Stopped")


async def test_stop_ends_an_attempt_that_waits_for_the_previous_one(runtime, sidecar, watcher):
    """The sidecar has only the previous attempt, and no event reports the end of the next one."""
    last = zone(FAILED, container_id="c1")
    sidecar.send_events(ZoneChanged(last))
    await watcher.until(("changed", "wl-1"))
    sidecar.answers["POST"] = [UNAVAILABLE, Response(200, encode(last))]
    runtime.start(replace(spec(), attempt=1))
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1").state is PENDING
    runtime.stop("wl-1", 3)
    await watcher.until(("changed", "wl-1"))
    told = runtime.status("wl-1")
    assert (told.state, told.reason, told.attempt) == (FAILED, "Stopped", 1)


async def test_start_during_a_stop_can_be_repeated_once_the_stop_is_done(runtime, sidecar, watcher):
    """The stop's own end is reported by an event earlier, and nothing else reports a change."""
    last = zone(FAILED, container_id="c1")
    sidecar.answers["POST"] = [held := asyncio.Event(), Response(200, encode(last))]
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    runtime.stop("wl-1", 3)
    await asked(sidecar, 1)
    sidecar.send_events(ZoneChanged(last))
    await watcher.until(("changed", "wl-1"))
    runtime.start(replace(spec(), attempt=1))
    held.set()
    await asked(sidecar, 2)
    await watcher.until(("changed", "wl-1"))  # the end of the stop
    assert [target for _, target, _ in sidecar.asked] == ["/zones/wl-1/stop?grace_seconds=3"] * 2
    runtime.start(replace(spec(), attempt=1))
    await asked(sidecar, 3)
    assert sidecar.asked[2][1] == "/zones"


async def test_removal_is_retried_until_it_succeeds(runtime, sidecar, watcher):
    """No other part repeats the command, because it is in progress for them."""
    sidecar.send_events(ZoneChanged(zone(FAILED)))
    await watcher.until(("changed", "wl-1"))
    refused = problem(502, code="RuntimeError", detail="no such network")
    sidecar.answers["DELETE"] = [refused, UNAVAILABLE, refused, Response(204)]
    runtime.remove("wl-1", 7)
    await watcher.until(("gone", "wl-1"))
    assert sidecar.asked == [("DELETE", "/zones/wl-1?grace_seconds=7&receipt", b"")] * 4
    assert runtime.status("wl-1") is None


async def test_removal_of_a_running_zone_stops_it_and_reads_the_end_of_its_log_before(
    runtime, sidecar, watcher
):
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    receipt = Removal("s1", "c1", 0, "list")
    ended = {"Kakuri-Log-Next": "0-0-4", "Kakuri-Log-Ended": "true"}
    sidecar.answers = {
        "POST": [Response(200, encode(zone(FAILED, container_id="c1")))],
        "GET": [Response(200, b"last", headers=ended)],
        "DELETE": [Response(200, encode(receipt))],
    }
    runtime.remove("wl-1", 7)
    await watcher.until(("gone", "wl-1"))
    assert watcher.removed == RemovedZone(receipt, b"last", zone(FAILED, container_id="c1"))
    assert [target for _, target, _ in sidecar.asked] == [
        "/zones/wl-1/stop?grace_seconds=7",
        "/zones/wl-1/log?limit=65536&wait=0&tail=4096&bounded&records",
        "/zones/wl-1?grace_seconds=7&receipt",
    ]


async def test_receipt_of_a_repeated_removal_keeps_what_the_first_one_removed(
    runtime, sidecar, watcher, until_idle
):
    hanging = asyncio.Event()
    sidecar.answers = {
        "POST": [hanging],
        "DELETE": [
            Response(200, encode(Removal("s1", "c1", 0, "list"))),
            Response(200, encode(Removal(log_bytes=0, verified_by="list"))),
        ],
    }
    runtime.start(spec())
    await asked(sidecar, 1)
    runtime.remove("wl-1", 0)
    await asked(sidecar, 2)
    hanging.set()
    await watcher.until(("gone", "wl-1"))
    assert watcher.removed.removal == Removal("s1", "c1", 0, "list")


async def test_sidecar_without_receipts_removes_a_zone(runtime, sidecar, watcher):
    refused = problem(400, code="bad_request", detail="query.receipt: unknown")
    sidecar.answers["DELETE"] = [refused, Response(204)]
    runtime.remove("wl-1", 7)
    await watcher.until(("gone", "wl-1"))
    assert watcher.removed.removal == Removal()
    assert [target for _, target, _ in sidecar.asked] == [
        "/zones/wl-1?grace_seconds=7&receipt",
        "/zones/wl-1?grace_seconds=7",
    ]


async def test_invalid_receipt_is_requested_again(runtime, sidecar, watcher):
    sidecar.answers["DELETE"] = [Response(200, b"gone"), Response(200, b"{}")]
    runtime.remove("wl-1", 0)
    await watcher.until(("gone", "wl-1"))
    assert watcher.removed.removal == Removal()


async def test_log_that_cannot_be_read_does_not_prevent_a_removal(runtime, sidecar, watcher):
    sidecar.answers = {"GET": [UNAVAILABLE], "DELETE": [Response(200, b"{}")]}
    with structlog.testing.capture_logs() as logs:
        runtime.remove("wl-1", 0)
        await watcher.until(("gone", "wl-1"))
    assert watcher.removed.log == b""
    assert [each["event"] for each in logs] == ["the log of a removed workload is lost"]


class ScriptedLog:
    """Zones with one log, of which tests read the last lines."""

    def __init__(self, lines, *, searched=0):
        self.lines, self.searched, self.reads = lines, searched, 0

    async def read_log(self, zone_id, request):
        self.reads += 1
        assert (request.records, request.bounded) == (LogSelection(), True)
        searched, start = map(int, (request.after or f"{self.searched}.0").split("."))
        if searched:
            return LogChunk(b"", f"{searched - 1}.0", has_ended=False, examined=524_288)
        records = self.lines[-request.tail :]
        part = b""
        while start < len(records) and len(part) + len(records[start]) <= request.limit:
            part += records[start]
            start += 1
        return LogChunk(part, f"0.{start}", start == len(records), examined=len(part))


def log_lines(*contents):
    at = "2026-11-26T14:07:25.000000001Z"
    return [write_record(LogRecord(at, "stdout", False, 0, content)) for content in contents]


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([], None),
        (log_lines(b"one", b"two"), b"two"),
        (log_lines(*(b"%05d" % number for number in range(20_000))), b"19999"),
        (log_lines(*(b"%d" % (number % 10) * 1000 for number in range(5000))), b"9" * 1000),
        (log_lines(b"a", b"b" * 65_000), b"b" * 65_000),
    ],
)
async def test_end_of_a_log_has_its_last_64_kib_and_takes_few_reads(lines, last):
    zones = ScriptedLog(lines)
    end = await read_log_end(zones, "wl-1")
    records = list(read_records(end))
    assert (records[-1].content if records else None) == last
    assert len(end) <= 65_536
    assert zones.reads <= 32
    kept = b"".join(lines[-4096:])
    assert kept.endswith(end)
    assert end == kept or len(kept) > 65_536


async def test_end_of_a_log_whose_last_lines_are_far_away_is_read_all_the_same():
    zones = ScriptedLog(log_lines(b"one", b"two"), searched=7)
    assert await read_log_end(zones, "wl-1") == b"".join(zones.lines)
    zones = ScriptedLog(log_lines(b"one", b"two"), searched=100)
    assert await read_log_end(zones, "wl-1") == b""
    assert zones.reads <= 32


class LongLine(ScriptedLog):
    """Zones with a log of one line in many parts."""

    async def read_log(self, zone_id, request):
        return await super().read_log(zone_id, replace(request, tail=len(self.lines)))


async def test_log_end_of_one_line_that_is_too_long_is_its_beginning():
    zones = LongLine(log_lines(*[b"x" * 40_000] * 100))
    assert await read_log_end(zones, "wl-1") == zones.lines[0]
    assert zones.reads <= 32


async def test_stop_is_retried_until_it_succeeds(runtime, sidecar, watcher):
    refused = problem(502, code="RuntimeError", detail="no such network")
    sidecar.answers["POST"] = [refused, refused, Response(404)]
    runtime.stop("wl-1", 7)
    await asked(sidecar, 3)
    await until(lambda: "0 commands" in repr(runtime))
    assert sidecar.asked == [("POST", "/zones/wl-1/stop?grace_seconds=7", b"")] * 3


@pytest.fixture
async def reports_at_once(runtime, sidecar, monkeypatch):
    """Report the first error of a stop or removal; the container runtime is available."""
    monkeypatch.setattr(_end_failures, "REPORT_SECONDS", 0.0)
    sidecar.send_events(RuntimeHealth(available=True))
    await until(lambda: runtime.fault is None)


@pytest.mark.usefixtures("reports_at_once")
async def test_stop_that_keeps_failing_is_reported_once_for_each_error(runtime, sidecar, watcher):
    hanging = problem(503, code="RuntimeUnavailable", detail="StopContainer: deadline exceeded")
    refused = problem(502, code="RuntimeError", detail="container is paused")
    sidecar.answers["POST"] = [hanging, hanging, refused, hanging, refused, Response(404)]
    with structlog.testing.capture_logs() as logs:
        runtime.stop("wl-1", 7)
        for error in ("StopContainer: deadline exceeded", "container is paused"):
            await watcher.until(("changed", "wl-1"))
            assert runtime.end_failures == {"wl-1": error}
        await watcher.until(("changed", "wl-1"))
    await until(lambda: not runtime.end_failures)
    failed = [each for each in logs if each["event"] == "stop or removal failed, trying again"]
    assert [(each["id"], each["error"]) for each in failed] == [
        ("wl-1", "StopContainer: deadline exceeded"),
        ("wl-1", "container is paused"),
    ]


async def test_stop_that_hangs_is_reported_before_its_call_ends(
    runtime, sidecar, watcher, monkeypatch
):
    monkeypatch.setattr(_end_failures, "OVERDUE_SECONDS", 0.01)
    sidecar.send_events(RuntimeHealth(available=True))
    await until(lambda: runtime.fault is None)
    first, second = asyncio.Event(), asyncio.Event()
    sidecar.answers["POST"] = [first, second, Response(404)]
    runtime.stop("wl-1", 0)
    await watcher.until(("changed", "wl-1"))
    assert runtime.end_failures == {
        "wl-1": "the stop is still in progress at least 0 s after the grace period"
    }
    first.set()
    await watcher.until(("changed", "wl-1"))
    assert runtime.end_failures == {"wl-1": "expected an answer of a sidecar, got status 500"}
    second.set()
    await until(lambda: not runtime.end_failures)


async def test_stop_that_hangs_during_an_outage_is_not_reported(runtime, sidecar, monkeypatch):
    monkeypatch.setattr(_end_failures, "OVERDUE_SECONDS", 0.0)
    sidecar.send_events(RuntimeHealth(available=False, message="containerd does not answer"))
    await until(lambda: runtime.fault is not None)
    sidecar.answers["POST"] = [asyncio.Event()]
    runtime.stop("wl-1", 0)
    await asked(sidecar, 1)
    assert runtime.end_failures == {}


async def test_stop_that_still_hangs_after_an_outage_is_reported_as_overdue(monkeypatch):
    monkeypatch.setattr(_end_failures, "OVERDUE_SECONDS", 0.001)
    faults = ["containerd does not answer", "containerd does not answer", None]
    reported, changed = {}, asyncio.Event()
    failures = _end_failures.EndFailures(
        "wl-1", 0, lambda: faults.pop(0), reported, lambda _: changed.set()
    )
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(10), failures.overdue_after_grace():
            await changed.wait()
    assert reported == {"wl-1": "the stop is still in progress at least 0 s after the grace period"}
    assert [each["event"] for each in logs] == ["stop or removal overdue"]


async def test_stop_that_continues_after_it_was_replaced_is_not_reported(until_idle, monkeypatch):
    monkeypatch.setattr(_end_failures, "OVERDUE_SECONDS", 0.0)
    reported = {}
    failures = _end_failures.EndFailures("wl-1", 0, lambda: None, reported, lambda _: None)
    async with failures.overdue_after_grace():
        failures.close()
        await until_idle()
    assert reported == {}


@pytest.mark.usefixtures("reports_at_once")
async def test_report_of_a_failed_stop_is_withdrawn_once_when_the_stop_proceeds(
    runtime, sidecar, watcher, monkeypatch
):
    monkeypatch.setattr(_end_failures, "NORMAL_SECONDS", 0.05)
    going, hanging = asyncio.Event(), asyncio.Event()
    refused = problem(502, code="RuntimeError", detail="busy")
    sidecar.answers["POST"] = [refused, going, refused, hanging, Response(404)]
    reports = []

    def record(_zone_id):
        reports.append(dict(runtime.end_failures))

    monkeypatch.setattr(watcher, "zone_changed", record)
    runtime.stop("wl-1", 7)
    await until(lambda: len(reports) == 2)
    assert reports == [{"wl-1": "busy"}, {}]
    going.set()
    await asked(sidecar, 4)
    await asyncio.sleep(0.1)
    assert list(runtime.end_failures) == ["wl-1"]
    hanging.set()
    await until(lambda: not runtime.end_failures)


@pytest.mark.usefixtures("reports_at_once")
async def test_report_is_withdrawn_if_the_stop_proceeds_after_an_outage(
    runtime, sidecar, monkeypatch
):
    monkeypatch.setattr(_end_failures, "NORMAL_SECONDS", 0.2)
    refused = problem(502, code="RuntimeError", detail="busy")
    sidecar.answers["POST"] = [refused, waiting := asyncio.Event(), UNAVAILABLE, asyncio.Event()]
    runtime.stop("wl-1", 7)
    await asked(sidecar, 2)
    sidecar.send_events(RuntimeHealth(available=False, message="containerd does not answer"))
    await until(lambda: runtime.fault is not None)
    waiting.set()
    await asked(sidecar, 4)
    await until(lambda: not runtime.end_failures)


@pytest.mark.usefixtures("reports_at_once")
async def test_removal_that_replaces_a_failing_stop_removes_its_report(runtime, sidecar, watcher):
    refused = problem(502, code="RuntimeError", detail="busy")
    sidecar.answers["POST"] = [refused, asyncio.Event()]
    sidecar.answers["DELETE"] = [hanging := asyncio.Event(), Response(404)]
    runtime.stop("wl-1", 7)
    await asked(sidecar, 2)
    assert runtime.end_failures == {"wl-1": "busy"}
    runtime.remove("wl-1", 7)
    await until(lambda: not runtime.end_failures)
    hanging.set()


@pytest.mark.usefixtures("reports_at_once")
async def test_stop_with_many_different_errors_reports_only_the_first_ones(
    runtime, sidecar, watcher, monkeypatch
):
    monkeypatch.setattr(_end_failures, "MAX_REPORTED_ERRORS", 2)
    refused = [problem(502, code="RuntimeError", detail=f"pid {pid}") for pid in range(4)]
    sidecar.answers["POST"] = [*refused, Response(404)]
    with structlog.testing.capture_logs() as logs:
        runtime.stop("wl-1", 7)
        await until(lambda: "0 commands" in repr(runtime))
    failed = [each["error"] for each in logs if each["event"].startswith("stop or removal")]
    assert failed == ["pid 0", "pid 1"]


@pytest.mark.parametrize(
    "failure",
    [
        problem(503, code="RuntimeUnavailable", detail="connection reset"),
        problem(502, code="RuntimeError", detail="busy"),
    ],
)
async def test_stop_that_soon_succeeds_is_not_reported(runtime, sidecar, watcher, failure):
    sidecar.answers["POST"] = [failure, failure, Response(404)]
    with structlog.testing.capture_logs() as logs:
        runtime.stop("wl-1", 900)
        await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1").reason == "Stopped"
    assert [each for each in logs if each["event"].startswith("stop or removal")] == []


async def test_stops_that_fail_during_an_outage_are_not_reported(
    runtime, sidecar, watcher, monkeypatch
):
    monkeypatch.setattr(_end_failures, "REPORT_SECONDS", 0.0)
    sidecar.send_events(RuntimeHealth(available=False, message="containerd does not answer"))
    await until(lambda: runtime.fault is not None)
    sidecar.answers["POST"] = [UNAVAILABLE, UNAVAILABLE, Response(404)]
    with structlog.testing.capture_logs() as logs:
        runtime.stop("wl-1", 7)
        await watcher.until(("changed", "wl-1"))
    assert [each["event"] for each in logs if "stop" in each["event"]] == []


async def test_removal_is_complete_once_earlier_starts_are_answered(
    runtime, sidecar, watcher, until_idle
):
    """The sidecar may have received a start after the removal, so the removal is repeated."""
    hanging = asyncio.Event()
    sidecar.answers = {"POST": [hanging], "DELETE": [Response(204)]}
    runtime.start(spec())
    await asked(sidecar, 1)
    runtime.remove("wl-1", 0)
    await asked(sidecar, 2)
    await until_idle()
    assert watcher.notifications.empty()
    hanging.set()
    await watcher.until(("gone", "wl-1"))
    assert [method for method, _, _ in sidecar.asked] == ["POST", "DELETE", "DELETE"]


async def test_commands_wait_for_the_first_event(sidecar, watcher, until_idle):
    sidecar.answers["POST"] = [Response(201, encode(zone()))]
    runtime = ZoneRuntime(SidecarZones(sidecar.endpoint), start_timeout=20, retry=(0.01, 0.05))
    runtime.attach(watcher)
    runtime.start(spec())
    await connected(sidecar)
    await until_idle()
    assert sidecar.asked == []
    assert runtime.status("wl-1").reason == "RuntimeUnavailable"
    sidecar.send_events(RuntimeHealth(available=True))
    await asked(sidecar, 1)
    await runtime.close()


async def test_command_refused_as_stale_is_retried(runtime, sidecar, watcher):
    stale = problem(409, code="stale_agent", detail="another agent has taken over")
    sidecar.answers["POST"] = [stale, stale, Response(201, encode(zone()))]
    runtime.start(spec())
    await watcher.until(("changed", "wl-1"))
    waiting = runtime.status("wl-1")
    assert (waiting.state, waiting.message) == (PENDING, "another agent has taken over")
    assert runtime.fault == "another agent has taken over"
    await until(lambda: runtime.fault is None)
    assert len(sidecar.asked) == 3
    assert len({headers["kakuri-agent"] for headers in sidecar.headers}) == 1


async def test_event_from_before_a_removal_is_ignored(runtime, sidecar, watcher):
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    sidecar.answers["DELETE"] = [Response(204)]
    runtime.remove("wl-1", 4)
    await watcher.until(("gone", "wl-1"))
    sidecar.send_events(ZoneChanged(zone(FAILED)), ZonesListed(), ZoneChanged(zone(id="other")))
    await watcher.until(("changed", "other"))
    assert runtime.status("wl-1") is None


async def test_zone_after_a_removal_is_identified_by_its_start(
    runtime, sidecar, watcher, until_idle
):
    """Even if events reported the removed zone only afterwards, with an unknown sandbox."""
    sidecar.answers["DELETE"] = [Response(204)]
    runtime.remove("wl-1", 4)
    await watcher.until(("gone", "wl-1"))
    await until_idle()
    anew = zone(pod_sandbox_id="s2")
    sidecar.answers["POST"] = [Response(201, encode(anew), content_type="application/json")]
    sidecar.send_events(ZoneChanged(zone(FAILED)), ZoneGone("wl-1"))
    runtime.start(spec())
    await asked(sidecar, 2)
    sidecar.send_events(ZoneChanged(zone(FAILED)), ZoneChanged(zone(id="other")))
    await watcher.until(("changed", "other"))
    assert runtime.status("wl-1") is None
    sidecar.send_events(ZoneChanged(anew))
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1") == anew


async def test_event_long_after_a_removal_belongs_to_another_zone(runtime, sidecar, watcher):
    sidecar.answers["DELETE"] = [Response(204)]
    runtime.remove("wl-1", 4)
    await watcher.until(("gone", "wl-1"))
    sidecar.send_events(ZoneChanged(zone()), ZonesListed(), ZonesListed())
    await watcher.until(("changed", "wl-1"))
    assert runtime.status("wl-1") == zone()


async def test_broken_stream_keeps_the_view_until_all_zones_are_listed_again(
    runtime, sidecar, watcher
):
    sidecar.send_events(ZoneChanged(zone()), ZoneChanged(zone(id="other")))
    await watcher.until(("changed", "other"))
    await sidecar.stop()
    await sidecar.start()
    await connected(sidecar)
    assert not runtime.is_listed
    assert runtime.fault is not None
    assert runtime.status("other") is not None
    sidecar.send_events(RuntimeHealth(available=True), ZoneChanged(zone()), ZonesListed())
    await watcher.until("listed")
    assert runtime.status("wl-1") == zone()
    assert runtime.status("other") is None
    assert runtime.fault is None


@pytest.mark.parametrize("available", [False, True])
async def test_unhealthy_runtime_of_the_sidecar_is_a_fault(runtime, sidecar, watcher, available):
    health = RuntimeHealth(available=available, message="no network")
    sidecar.send_events(health, ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    assert runtime.fault == "no network"
    assert runtime.is_listed
    sidecar.send_events(RuntimeHealth(available=True), ZoneChanged(zone(state=FAILED)))
    await watcher.until(("changed", "wl-1"))
    assert runtime.fault is None


async def test_invalid_event_breaks_only_the_stream(runtime, sidecar, watcher):
    sidecar.send_events({"type": "Surprise"})
    sidecar.streams.clear()
    await connected(sidecar)
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))


async def test_hanging_starts_delay_no_other_request(runtime, sidecar, watcher):
    hanging = asyncio.Event()
    sidecar.answers = {
        "POST": [hanging], "DELETE": [Response(204)],
        "GET": [Response(200, b"words", headers={"Kakuri-Log-Next": "1"})],
    }  # fmt: skip
    for number in range(MAX_STARTS + 1):
        runtime.start(spec(f"wl-{number}"))
    await asked(sidecar, MAX_STARTS)
    assert (await runtime.read_log("running", LogRequest())).data == b"words"
    runtime.remove("running", 0)
    await watcher.until(("gone", "running"))
    hanging.set()


async def test_start_requested_during_a_removal_is_possible_after_it(runtime, sidecar, watcher):
    removing = asyncio.Event()
    sidecar.answers = {"DELETE": [removing, Response(204)], "POST": [Response(201, encode(zone()))]}
    runtime.remove("wl-1", 0)
    await asked(sidecar, 1)
    runtime.start(spec())
    removing.set()
    await watcher.until(("gone", "wl-1"))
    await watcher.until(("changed", "wl-1"))  # the reconciler starts it now
    runtime.start(spec())
    await until(lambda: sidecar.asked[-1][:2] == ("POST", "/zones"))


async def test_log_is_read_in_parts(runtime, sidecar):
    headers = {"Kakuri-Log-Next": "0.0.6", "Kakuri-Log-Ended": "true"}
    sidecar.answers["GET"] = [Response(200, b"hello\n", headers=headers, content_type="text/plain")]
    part = await runtime.read_log("wl-1", LogRequest(tail=10))
    assert part == LogChunk(b"hello\n", "0.0.6", has_ended=True)
    await runtime.read_log("wl-1", LogRequest(after="0.0.6", wait=1))
    assert [target for _, target, _ in sidecar.asked] == [
        "/zones/wl-1/log?limit=65536&wait=0&tail=10",
        "/zones/wl-1/log?limit=65536&wait=0&after=0.0.6",
    ]


@pytest.mark.parametrize("cursor", ["1&tail=5", "1#", "nope"])
async def test_invalid_cursor_is_unknown_and_not_sent(runtime, sidecar, cursor):
    sidecar.answers["GET"] = [problem(400, code="bad_request", detail="no cursor")]
    with pytest.raises(UnknownCursor, match="cursor"):
        await runtime.read_log("wl-1", LogRequest(after=cursor))
    assert all(target == "/zones/wl-1/log?limit=65536&wait=0&after=nope"
               for _, target, _ in sidecar.asked)  # fmt: skip


async def test_records_are_requested_with_their_selection(runtime, sidecar):
    headers = {"Kakuri-Log-Next": "t11.0.0.6", "Kakuri-Log-Examined": "70"}
    sidecar.answers["GET"] = [Response(200, b"records", headers=headers)] * 2
    at = "2026-11-26T14:07:25.000000000Z"
    errors = LogSelection(LogStream.STDERR, at, 2)
    part = await runtime.read_log("wl-1", LogRequest(tail=10, bounded=True, records=errors))
    assert part == LogChunk(b"records", "t11.0.0.6", has_ended=False, examined=70)
    await runtime.read_log("wl-1", LogRequest(records=LogSelection()))
    assert log_requests(sidecar) == [
        (
            "/zones/wl-1/log?limit=65536&wait=0&tail=10&bounded&records"
            f"&stream=stderr&since={at}&attempt=2"
        ),
        "/zones/wl-1/log?limit=65536&wait=0&records",
    ]


@pytest.mark.parametrize("examined", ["-1", "x", "1" * 16])
async def test_invalid_number_of_examined_bytes_is_a_runtime_fault(runtime, sidecar, examined):
    headers = {"Kakuri-Log-Next": "1", "Kakuri-Log-Examined": examined}
    sidecar.answers["GET"] = [Response(200, b"", headers=headers)]
    with pytest.raises(RuntimeFault, match="expected a number of bytes examined"):
        await runtime.read_log("wl-1", LogRequest(records=LogSelection()))


async def test_examined_bytes_without_records_end_the_wait(runtime, sidecar):
    headers = {"Kakuri-Log-Next": "2", "Kakuri-Log-Examined": "70"}
    sidecar.answers["GET"] = [Response(200, b"", headers=headers)]
    part = await runtime.read_log("wl-1", LogRequest(wait=30, records=LogSelection()))
    assert part == LogChunk(b"", "2", has_ended=False, examined=70)


def log_part(data=b"", following="1", *, ended=False, gap=False):
    headers = {"Kakuri-Log-Next": following, "Kakuri-Log-Ended": "true" if ended else "false"}
    if gap:
        headers["Kakuri-Log-Gap"] = "true"
    return Response(200, data, headers=headers)


def log_requests(sidecar):
    return [target for _, target, _ in sidecar.asked if "/log?" in target]


async def test_awaited_log_is_read_again_when_it_has_grown(runtime, sidecar):
    sidecar.answers["GET"] = [log_part()]
    waiting = asyncio.create_task(runtime.read_log("wl-1", LogRequest(wait=30)))
    await until(lambda: sidecar.log_streams)
    sidecar.send_log_events(LogsWatched())
    await asked(sidecar, 2)  # content from before the stream was open is not reported
    sidecar.answers["GET"] = [log_part(b"more", "2")]
    sidecar.send_log_events(LogGrown("other"), LogGrown("wl-1"))
    assert await waiting == LogChunk(b"more", "2", has_ended=False)
    assert len(log_requests(sidecar)) == 3


async def test_gap_before_an_awaited_part_of_a_log_is_reported_with_that_part(runtime, sidecar):
    sidecar.answers["GET"] = [log_part(b"", "1", gap=True)]
    waiting = asyncio.create_task(runtime.read_log("wl-1", LogRequest(after="0.0.6", wait=30)))
    await asked(sidecar, 1)
    sidecar.answers["GET"] = [log_part(b"more", "2", ended=True)]
    sidecar.send_events(ZoneChanged(zone(SUCCEEDED)))
    assert await waiting == LogChunk(b"more", "2", has_ended=True, has_gap=True)


async def test_awaited_log_is_read_again_when_its_zone_changes(runtime, sidecar):
    sidecar.answers["GET"] = [log_part()]
    waiting = asyncio.create_task(runtime.read_log("wl-1", LogRequest(wait=30)))
    await asked(sidecar, 1)
    sidecar.answers["GET"] = [log_part(b"", "1", ended=True)]
    sidecar.send_events(ZoneChanged(zone(SUCCEEDED)))
    assert await waiting == LogChunk(b"", "1", has_ended=True)


async def test_waiting_readers_use_no_connection_to_the_sidecar(runtime, sidecar):
    sidecar.answers["GET"] = [log_part()]
    waiting = [
        asyncio.create_task(runtime.read_log("wl-1", LogRequest(wait=30)))
        for _ in range(MAX_CONNECTIONS + 2)
    ]
    await asked(sidecar, len(waiting))
    sidecar.answers["GET"] = [log_part(b"words", "2")]
    assert (await runtime.read_log("other", LogRequest())).data == b"words"
    await until(lambda: sidecar.log_streams)
    assert len(sidecar.log_streams) == 1
    sidecar.send_log_events(LogsWatched())
    assert {part.data for part in await asyncio.gather(*waiting)} == {b"words"}


async def test_wait_for_a_log_ends_without_another_request(runtime, sidecar):
    sidecar.answers["GET"] = [log_part()]
    part = await runtime.read_log("wl-1", LogRequest(wait=0.05))
    assert part == LogChunk(b"", "1", has_ended=False)
    assert len(log_requests(sidecar)) == 1


async def test_bounded_read_of_a_log_is_passed_on(runtime, sidecar):
    sidecar.answers["GET"] = [log_part(b"a", "0.0.6-0.0.9", ended=True)]
    part = await runtime.read_log("wl-1", LogRequest(after="0.0.1-0.0.9", bounded=True))
    assert part == LogChunk(b"a", "0.0.6-0.0.9", has_ended=True)
    assert log_requests(sidecar) == ["/zones/wl-1/log?limit=65536&wait=0&after=0.0.1-0.0.9&bounded"]


@pytest.mark.parametrize("wait", [0, 30])
async def test_log_of_a_sidecar_that_hangs_is_unavailable(runtime, sidecar, monkeypatch, wait):
    monkeypatch.setattr(_zone_logs, "LOG_SECONDS", 0.05)
    sidecar.answers["GET"] = [asyncio.Event()]
    with pytest.raises(RuntimeUnavailable, match=r"^the log could not be read within 0.05 s$"):
        await runtime.read_log("wl-1", LogRequest(wait=wait))


async def test_missing_log_raises_no_log(runtime, sidecar):
    sidecar.answers["GET"] = [problem(404, code="not_found", detail="no zone 'wl-1'")]
    with pytest.raises(NoLog, match="no zone 'wl-1'"):
        await runtime.read_log("wl-1", LogRequest())
    sidecar.answers["GET"] = [problem(500, code="internal", detail="it broke")]
    with pytest.raises(RuntimeFault, match="it broke") as raised:
        await runtime.read_log("wl-1", LogRequest())
    assert not isinstance(raised.value, RuntimeUnavailable)
    sidecar.answers["GET"] = [problem(503, code="RuntimeUnavailable", detail="no answer")]
    with pytest.raises(RuntimeUnavailable, match="no log: no answer"):
        await runtime.read_log("wl-1", LogRequest())
    await sidecar.stop()
    with pytest.raises(RuntimeUnavailable, match="no log: "):
        await runtime.read_log("wl-1", LogRequest())
    await sidecar.start()


async def test_spec_of_a_zone_is_fetched_once_and_reported_as_a_change(runtime, sidecar, watcher):
    described = zone(spec=spec(args=("a",)), spec_hash="h1")
    sidecar.answers["GET"] = [Response(200, encode(described))]
    sidecar.send_events(ZoneChanged(zone(spec_hash="h1")))
    await watcher.until(("changed", "wl-1"))
    assert [runtime.spec("wl-1"), runtime.spec("wl-1")] == [None, None]
    await watcher.until(("changed", "wl-1"))
    assert runtime.spec("wl-1") == spec(args=("a",))
    assert [path for _, path, _ in sidecar.asked] == ["/zones/wl-1"]


async def test_spec_in_the_spelling_of_the_release_before_is_read(runtime, sidecar, watcher):
    answer = (
        b'{"id":"wl-1","state":"running","spec":{"id":"wl-1","image":"nginx:latest","memory_mb":512,'
        b'"cpu_millicores":500,"attempt":2},"attempt":2}'
    )
    sidecar.answers["GET"] = [Response(200, answer)]
    sidecar.send_events(ZoneChanged(zone(attempt=2)))
    await watcher.until(("changed", "wl-1"))
    assert runtime.spec("wl-1") is None
    await watcher.until(("changed", "wl-1"))
    assert runtime.spec("wl-1") == replace(spec(), attempt=2)


async def test_spec_of_another_zone_with_the_same_id_is_not_used(runtime, sidecar, watcher):
    sidecar.answers["GET"] = [
        Response(200, encode(zone(spec=spec(args=("old",)), spec_hash="old"))),
        Response(200, encode(zone(spec=spec(args=("new",)), spec_hash="new"))),
    ]
    sidecar.send_events(ZoneChanged(zone(spec_hash="new")))
    await watcher.until(("changed", "wl-1"))
    for _ in range(2):
        assert runtime.spec("wl-1") is None
        await watcher.until(("changed", "wl-1"))
    assert runtime.spec("wl-1") == spec(args=("new",))


async def test_spec_of_a_zone_removed_meanwhile_is_not_fetched_again(runtime, sidecar, watcher):
    sidecar.answers["GET"] = [problem(404, code="not_found", detail="no zone")]
    sidecar.send_events(ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    assert runtime.spec("wl-1") is None
    await asked(sidecar, 1)
    assert runtime.spec("nope") is None


async def test_stream_that_keeps_breaking_before_the_list_is_one_error(sidecar, watcher):
    with structlog.testing.capture_logs() as logs:
        runtime = ZoneRuntime(SidecarZones(sidecar.endpoint), retry=(0.001, 0.001))
        runtime.attach(watcher)
        for _ in range(MAX_BREAKS + 2):
            await connected(sidecar)
            stream = sidecar.streams.pop()
            stream.put_nowait(RuntimeHealth(available=True))
            stream.put_nowait(None)
        await connected(sidecar)
        await runtime.close()
    levels = [each["log_level"] for each in logs]
    assert (levels.count("error"), levels.count("warning")) == (1, 1)
    assert not [each for each in logs if str(sidecar.endpoint.path) in str(each)]


async def test_error_about_an_unreachable_sidecar_does_not_name_its_socket(tmp_path, watcher):
    zones = SidecarZones(Endpoint.unix(str(tmp_path / "missing.sock")))
    runtime = ZoneRuntime(zones, retry=(0.01, 0.01))
    runtime.attach(watcher)
    with pytest.raises(RuntimeFault) as raised:
        await runtime.read_log("wl-1", LogRequest())
    await until(lambda: runtime.fault == "the sidecar can't be reached")
    assert str(raised.value) == "no log: the sidecar can't be reached"
    await runtime.close()


async def test_lost_sidecar_is_logged_with_the_cause(tmp_path, watcher):
    zones = SidecarZones(Endpoint.unix(str(tmp_path / "missing.sock")))
    with structlog.testing.capture_logs() as logs:
        runtime = ZoneRuntime(zones, retry=(0.01, 0.01))
        runtime.attach(watcher)
        await until(lambda: logs)
        await runtime.close()
    (line,) = logs
    assert line["event"] == "sidecar lost"
    assert line["error"].startswith("the sidecar can't be reached: ")
    assert "No such file or directory" in line["error"]


async def test_stop_with_a_shorter_grace_period_replaces_the_one_in_progress(runtime, sidecar):
    held = asyncio.Event()
    sidecar.answers["POST"] = [held]
    for grace_seconds in (3600, 3600, 5, 60):
        runtime.stop("wl-1", grace_seconds)
        await asyncio.sleep(0)
    runtime.remove("wl-1", 10)
    sidecar.answers["DELETE"] = [Response(204)]
    await until(lambda: any(method == "DELETE" for method, _, _ in sidecar.asked))
    held.set()
    sent = [target.partition("=")[2] for method, target, _ in sidecar.asked if method == "POST"]
    assert "60" not in sent
    assert sent.count("3600") <= 1


async def test_removal_with_a_shorter_grace_period_is_sent_while_another_is_in_progress(
    runtime, sidecar
):
    sidecar.answers["DELETE"] = [held := asyncio.Event(), Response(204)]
    runtime.remove("wl-1", 3600)
    await asked(sidecar, 1)
    runtime.remove("wl-1", 1)
    await asked(sidecar, 2)
    held.set()
    grace_periods = [target.partition("=")[2] for _, target, _ in sidecar.asked]
    assert grace_periods == ["3600&receipt", "1&receipt"]


async def test_handlers_of_a_sidecar_are_those_that_its_events_report(runtime, sidecar, watcher):
    assert runtime.handlers == {}
    handlers = {"edera-zone": "edera", "machine": "qemu"}
    sidecar.send_events(RuntimeHealth(available=True, handlers=handlers), ZoneChanged(zone()))
    await watcher.until(("changed", "wl-1"))
    assert runtime.handlers == handlers
    sidecar.send_events(
        RuntimeHealth(available=False, message="gone"), ZoneChanged(zone(state=FAILED))
    )
    await watcher.until(("changed", "wl-1"))
    assert runtime.handlers == handlers

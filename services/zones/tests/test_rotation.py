import asyncio

import pytest
from kakuri_cri import CallTimeout
from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import run_pending, until
from kakuri_workload import WorkloadState as State
from kakuri_workload import ZoneStatus
from kakuri_zones._rotation import LogRotation
from kakuri_zones.logs import LogStore
from structlog.testing import capture_logs


async def test_log_is_rotated_while_it_is_written(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        await node.start()
        runtime.write("z", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog")
        runtime.write("z", b"after\n")
        assert await node.log(tail=1) == b"after\n"
        runtime.exit("z", 0)
        await node.until_state("succeeded")
        assert await node.log() == b"x" * 200 + b"\nafter\n"


async def test_failed_rotation_is_retried(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        await node.start()
        runtime.faults.set("ReopenContainerLog", "2*error(UNKNOWN: no)")
        runtime.write("z", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog", 3)
        await until(lambda: runtime.calls.of("ReopenContainerLog")[2].code == "OK")


async def test_rotation_that_hangs_does_not_delay_others(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        for zone in ("hangs", "other"):
            await node.start(zone)
        runtime.faults.set("ReopenContainerLog", "delay(60000)")
        runtime.write("hangs", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog")
        runtime.write("other", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog", 2)
        other = runtime.container("other").id
        assert runtime.calls.of("ReopenContainerLog")[1].request.container_id == other


def small_logs(root):
    return LogStore(root, max_file_bytes=100)


async def test_log_of_the_earlier_attempt_is_kept(runtime, node):
    runtime.images.set("app:1", FakeImage(output=b"hello\n", exit_code=1))
    await node.start()
    await node.start(attempt=1)
    await node.until(lambda seen: seen.attempt == 1 and seen.state.is_terminal)
    assert await node.log() == b"hello\nhello\n"


class Logs:
    """A stand-in for the store that rotates the logs of some zones, once they may end."""

    def __init__(self, grown=(), error=None):
        self.grown, self.error = grown, error
        self.asked = []
        self.changes = {}
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def signatures(self, attempts):
        return {zone: self.changes.get(zone, 0) for zone in attempts}

    async def rotate(self, zone, attempt, reopen):
        self.asked.append((zone, attempt))
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        if zone in self.grown:
            await reopen()
        return zone in self.grown


class Ended:
    """A stand-in for the logs of ended zones that records what it is given."""

    def __init__(self):
        self.given = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def trim(self, live, ends):
        self.given.append((live, ends))
        await self.may_end.wait()
        return []


class Table:
    has_listing = True

    def all(self):
        return [
            ZoneStatus("grown", State.RUNNING, container_id="c-1", attempt=3),
            ZoneStatus("small", State.RUNNING, container_id="c-2"),
            ZoneStatus("starting", State.PENDING, container_id="c-3"),
            ZoneStatus("created", State.RUNNING),
            ZoneStatus("ended", State.SUCCEEDED, container_id="c-4", ended_at=5.0),
            ZoneStatus("failed", State.FAILED, ended_at=7.0),
            ZoneStatus("lost", State.FAILED),
        ]

    def running(self):
        return [each for each in self.all() if each.state is State.RUNNING]


class Cri:
    def __init__(self):
        self.reopened = []

    async def reopen_container_log(self, container_id, seconds):
        self.reopened.append((container_id, seconds))


def rotation_of(logs, ended, cri, **options):
    return LogRotation(cri, Table(), logs, ended, lambda: ["being-started"], **options)


async def test_check_rotates_logs_of_running_containers_and_trims_those_of_ended_zones():
    logs, ended, cri = Logs({"grown"}), Ended(), Cri()
    with capture_logs() as lines:
        await rotation_of(logs, ended, cri).check()
        await run_pending()
    assert logs.asked == [("grown", 3), ("small", 0)]
    assert cri.reopened == [("c-1", 10.0)]
    assert [(line["event"], line["zone"]) for line in lines] == [("rotated a log", "grown")]
    ((live, ends),) = ended.given
    assert live == {"grown", "small", "starting", "created", "being-started"}
    assert ends == {"ended": 5.0, "failed": 7.0}


async def test_check_of_a_zone_or_of_ended_logs_that_has_not_finished_is_not_repeated():
    logs, ended = Logs({"grown", "small"}), Ended()
    rotation = rotation_of(logs, ended, Cri())
    logs.may_end.clear()
    ended.may_end.clear()
    for _ in range(3):
        await rotation.check()
        await run_pending()
    assert (len(logs.asked), len(ended.given)) == (2, 1)
    logs.may_end.set()
    ended.may_end.set()
    await run_pending()
    await rotation.check()
    await run_pending()
    assert (len(logs.asked), len(ended.given)) == (4, 2)


@pytest.mark.parametrize(
    ("signatures", "checks"),
    [
        ([7, 7, 7], [1, 0, 0]),
        ([7, 8, 8, 7], [1, 1, 0, 1]),
        ([None, None, 7, 7], [1, 1, 1, 0]),  # without its file, a rotation was interrupted
    ],
)
async def test_log_that_was_small_is_checked_again_once_it_has_changed(signatures, checks):
    logs = Logs()
    rotation = rotation_of(logs, Ended(), Cri())
    found = []
    for each in signatures:
        logs.asked, logs.changes = [], {"small": each}
        await rotation.check()
        await run_pending()
        found.append(logs.asked.count(("small", 0)))
    assert found == checks


async def test_log_of_a_zone_that_runs_again_is_checked_again(monkeypatch):
    logs = Logs()
    rotation = rotation_of(logs, Ended(), Cri())
    zones = Table().all()
    for running, asked in [(zones, 2), ([], 0), (zones, 2)]:
        monkeypatch.setattr(Table, "all", lambda _, found=running: found)
        logs.asked = []
        await rotation.check()
        await run_pending()
        assert len(logs.asked) == asked


async def test_ended_logs_are_not_trimmed_before_the_zones_are_known(monkeypatch):
    monkeypatch.setattr(Table, "has_listing", False)
    ended = Ended()
    await rotation_of(Logs(), ended, Cri()).check()
    await run_pending()
    assert ended.given == []


async def test_rotation_that_fails_is_logged_with_its_zone_until_its_error_differs():
    failing = Logs()
    rotation = rotation_of(failing, Ended(), Cri())
    logged = []
    for number, message in enumerate(("late", "late", "later", None, "later")):
        failing.error = message and CallTimeout("ReopenContainerLog", message)
        failing.changes = {"grown": number, "small": number}
        with capture_logs() as lines:
            await rotation.check()
            await run_pending()
        logged.append([(line["event"], line["zone"]) for line in lines])
    twice = [("could not rotate a log", "grown"), ("could not rotate a log", "small")]
    assert logged == [twice, [], twice, [], twice]


async def test_cancelled_rotation_cancels_what_it_has_begun():
    logs, ended = Logs(), Ended()
    logs.may_end.clear()
    ended.may_end.clear()
    rotation = rotation_of(logs, ended, Cri(), interval=0.0)
    running = asyncio.create_task(rotation.run())
    await until(lambda: ended.given)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert rotation._trimming.cancelled()
    assert rotation._rotations == {}

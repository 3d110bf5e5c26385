import os

import pytest
from kakuri_tcp.testing import until
from kakuri_workload import LogRequest, WorkloadState, ZoneStatus
from kakuri_zones._rotation import LogRotation
from kakuri_zones._table import ZoneTable
from kakuri_zones.logs import _ended
from kakuri_zones.logs._ended import EndedLogs, TrimmedLog
from kakuri_zones.logs._store import LogStore
from structlog.testing import capture_logs

LINE = b"2016-10-06T00:17:09.669794202Z stdout F 1234\n"
SIZE = len(LINE)
CONTENT = b"1234\n"
REMOVED = "removed the log of an ended zone"


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path / "logs")
    yield store
    store.close()


async def write(store, zone, *names, modified=1000):
    """Write files of one line each."""
    await store.prepare(zone, 0)
    for name in names:
        path = store.root / zone / name
        path.write_bytes(LINE)
        os.utime(path, (modified, modified))


def names(store, zone):
    return sorted(path.name for path in (store.root / zone).iterdir())


async def read(store, zone, after=None):
    return await store.read(zone, after, has_ended=lambda: True)


async def test_trim_within_the_budget_removes_nothing(store):
    for zone in ("a", "b"):
        await write(store, zone, "0.log")
    assert await EndedLogs(store, 2 * SIZE).trim((), {"a": 1, "b": 2}) == []
    assert (await read(store, "a")).data == (await read(store, "b")).data == CONTENT


async def test_trim_over_the_budget_removes_the_log_of_the_zone_that_ended_first(store):
    for zone in ("a", "b", "c"):
        await write(store, zone, "0.log")
    ended = EndedLogs(store, 2 * SIZE)
    assert await ended.trim((), {"a": 2, "b": 1, "c": 3}) == [TrimmedLog("b", 1, SIZE, 0)]
    assert [names(store, zone) for zone in ("a", "b", "c")] == [["0.log"], [], ["0.log"]]
    assert await ended.trim((), {"a": 2, "b": 1, "c": 3}) == []


async def test_trim_neither_counts_nor_touches_live_zones(store):
    await write(store, "live", "0.log.0", "0.log")
    await write(store, "a", "0.log")
    assert await EndedLogs(store, SIZE).trim({"live"}, {"a": 1}) == []
    assert await EndedLogs(store, 0).trim({"live"}, {"a": 1}) == [TrimmedLog("a", 1, SIZE, 0)]
    assert names(store, "live") == ["0.log", "0.log.0"]


async def test_trim_removes_the_oldest_files_first_and_as_few_as_needed(store):
    await write(store, "a", "0.log", "1.log.3", "1.log.4", "1.log")
    ended = EndedLogs(store, 2 * SIZE)
    assert await ended.trim((), {"a": 1}) == [TrimmedLog("a", 2, 2 * SIZE, 2 * SIZE)]
    assert names(store, "a") == ["1.log.4", "1.log.5"]


async def test_cursor_into_a_kept_file_is_valid_after_older_files_are_removed(store):
    await write(store, "a", "0.log.0", "0.log.1", "0.log")
    cursor = (await read(store, "a")).next
    assert cursor == f"0.2.{SIZE}"
    await EndedLogs(store, SIZE).trim((), {"a": 1})
    chunk = await read(store, "a", cursor)
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (b"", True, False)
    assert (await read(store, "a")).data == CONTENT


async def test_cursor_into_a_removed_file_reads_the_remaining_files_with_a_gap(store):
    await write(store, "a", "0.log.0", "0.log.1", "0.log")
    await EndedLogs(store, SIZE).trim((), {"a": 1})
    chunk = await read(store, "a", f"0.0.{SIZE}")
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (CONTENT, True, True)


async def test_log_whose_files_are_all_removed_is_empty_and_has_ended(store):
    await write(store, "a", "0.log.0", "0.log")
    bounded = await store.read_bounded("a", None, limit=5)
    await EndedLogs(store, 0).trim((), {"a": 1})
    chunk = await read(store, "a")
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (b"", True, False)
    chunk = await read(store, "a", f"0.0.{SIZE}")
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (b"", True, True)
    chunk = await read(store, "a", chunk.next)
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (b"", True, False)
    chunk = await store.read_bounded("a", bounded.next, limit=5)
    assert (chunk.data, chunk.has_ended, chunk.has_gap) == (b"", True, True)
    assert await store.tail("a", 10) == "0.0.0"
    follower = store.stream("a", f"0.0.{SIZE}", follow=True, has_ended=lambda: True)
    assert [piece async for piece in follower] == []


async def test_next_attempt_is_read_after_the_log_before_it_was_removed(store):
    await write(store, "a", "0.log")
    await EndedLogs(store, 0).trim((), {"a": 1})
    await store.prepare("a", 1)
    (store.root / "a" / "1.log").write_bytes(LINE)
    chunk = await store.read("a", f"0.0.{SIZE}")
    assert (chunk.data, chunk.has_gap) == (CONTENT, True)


async def test_zone_without_a_known_end_counts_as_ended_at_its_last_write(store):
    await write(store, "a", "0.log", modified=1000)
    await write(store, "b", "0.log", modified=2000)
    await write(store, "c", "0.log", modified=3000)
    ended = EndedLogs(store, 0)
    removed = [each.zone for each in await ended.trim((), {"a": 5000, "b": 1500})]
    assert removed == ["b", "c", "a"]


async def test_fresh_log_of_a_zone_without_a_known_end_is_not_trimmed(store, monkeypatch):
    await write(store, "a", "0.log", modified=1000)
    ended = EndedLogs(store, 0)
    monkeypatch.setattr(_ended.time, "time", lambda: 1059.0)
    assert await ended.trim((), {}) == []
    monkeypatch.setattr(_ended.time, "time", lambda: 1060.0)
    assert await ended.trim((), {}) == [TrimmedLog("a", 1, SIZE, 0)]


async def test_each_pass_is_bounded_and_removes_nothing_before_all_is_measured(store, monkeypatch):
    monkeypatch.setattr(_ended, "MAX_MEASURED", 2)
    monkeypatch.setattr(_ended, "MAX_TRIMMED", 1)
    ends = {"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}
    for zone in ends:
        await write(store, zone, "0.log")
    ended = EndedLogs(store, 3 * SIZE)
    removed = [[each.zone for each in await ended.trim((), ends)] for _ in range(5)]
    assert removed == [[], [], ["e"], ["d"], []]


async def test_log_that_grows_after_its_end_is_measured_again(store):
    await write(store, "a", "0.log")
    ended = EndedLogs(store, SIZE)
    assert await ended.trim((), {"a": 1}) == []
    await write(store, "a", "0.log.0")
    assert await ended.trim((), {"a": 1}) == [TrimmedLog("a", 1, SIZE, SIZE)]


async def test_removed_directory_is_no_longer_counted(store):
    for zone in ("a", "b"):
        await write(store, zone, "0.log")
    ended = EndedLogs(store, 2 * SIZE)
    assert await ended.trim((), {"a": 1, "b": 2}) == []
    await store.remove("a")
    await write(store, "c", "0.log")
    assert await ended.trim((), {"b": 2, "c": 3}) == []


async def test_links_are_neither_followed_nor_counted(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0.log").write_bytes(LINE)
    await write(store, "a", "0.log")
    (store.root / "b").symlink_to(outside)
    (store.root / "a" / "0.log.0").symlink_to(outside / "0.log")
    (store.root / "a" / "1.log").symlink_to(outside / "0.log")
    os.mkfifo(store.root / "a" / "2.log")
    assert await EndedLogs(store, SIZE).trim((), {"a": 2, "b": 1}) == []
    assert await EndedLogs(store, 0).trim((), {"a": 2, "b": 1}) == [TrimmedLog("a", 1, SIZE, 0)]
    assert names(store, "a") == ["0.log.0", "1.log", "2.log"]
    assert (outside / "0.log").read_bytes() == LINE


async def test_directory_that_cannot_be_changed_does_not_keep_others_from_being_trimmed(
    store, monkeypatch
):
    for zone in ("a", "b"):
        await write(store, zone, "0.log")
    remove = _ended.remove_ended
    refused = (store.root / "a").stat().st_ino

    def remove_ended(directory, excess):
        if os.fstat(directory).st_ino == refused:
            raise PermissionError(1, "Operation not permitted")
        return remove(directory, excess)

    monkeypatch.setattr(_ended, "remove_ended", remove_ended)
    with capture_logs() as logs:
        trimmed = await EndedLogs(store, SIZE).trim((), {"a": 1, "b": 2})
    assert [each.zone for each in trimmed] == ["b"]
    assert [(each["event"], each["zone"]) for each in logs] == [
        ("could not remove files of a log", "a")
    ]


async def test_directory_that_cannot_be_measured_does_not_keep_others_from_being_trimmed(
    store, monkeypatch
):
    for zone in ("a", "b"):
        await write(store, zone, "0.log")
    refused = (store.root / "a").stat().st_ino
    listed = _ended.list_files

    def list_files(directory):
        if os.fstat(directory).st_ino == refused:
            raise PermissionError(1, "Operation not permitted")
        return listed(directory)

    monkeypatch.setattr(_ended, "list_files", list_files)
    ended = EndedLogs(store, 0)
    with capture_logs() as logs:
        assert [each.zone for each in await ended.trim((), {"a": 1, "b": 2})] == ["b"]
        assert await ended.trim((), {"a": 1, "b": 2}) == []
    assert [each["event"] for each in logs] == ["could not measure a log"]


async def test_ended_zones_lose_their_logs_before_running_ones(runtime, run):
    async with run(ended_log_bytes=2 * SIZE + SIZE // 2) as node:
        await node.start("running")
        for _ in range(9):
            runtime.write("running", CONTENT)
        with capture_logs() as logs:
            for zone in ("c", "b", "a"):
                await node.start(zone)
                runtime.write(zone, CONTENT)
                runtime.exit(zone, 0)
                await node.until_state("succeeded", zone)
            await until(lambda: any(each["event"] == REMOVED for each in logs))
        assert [await node.log(zone) for zone in ("c", "b", "a")] == [b"", CONTENT, CONTENT]
        assert await node.log("running") == CONTENT * 9
        gap = await node.zones.read_log("c", LogRequest(after="0.0.5", wait=30))
        assert (gap.has_ended, gap.has_gap) == (True, True)
        assert await node.log("c", follow=True) == b""
        lines = [each for each in logs if each["event"] == REMOVED]
        assert [(each["zone"], each["files"], each["left"]) for each in lines] == [("c", 1, 0)]
        assert (await node.zone("c")).state.value == "succeeded"


async def test_order_of_ends_survives_a_restart(runtime, run, tmp_path):
    async with run() as node:
        for zone in ("c", "a", "b"):
            await node.start(zone)
            runtime.write(zone, CONTENT)
            runtime.exit(zone, 0)
            await node.until_state("succeeded", zone)
    files = {zone: tmp_path / "logs" / zone / "0.log" for zone in "abc"}
    size = files["a"].stat().st_size
    os.utime(files["c"])  # the runtime's end times count, not those of the files
    async with run(ended_log_bytes=2 * size) as node:
        await until(lambda: not all(file.exists() for file in files.values()))
        assert [await node.log(zone) for zone in ("c", "a", "b")] == [b"", CONTENT, CONTENT]


class Trims:
    """A stand-in for EndedLogs that records its calls."""

    def __init__(self):
        self.calls = []

    async def trim(self, live, ends):
        self.calls.append((set(live), dict(ends)))
        return []


async def test_rotation_trims_ended_zones_and_leaves_busy_and_live_ones_alone(store):
    table, trims, busy = ZoneTable(), Trims(), set()
    rotation = LogRotation(None, table, store, trims, lambda: busy)
    await rotation.trim_ended()
    assert trims.calls == []  # the runtime was not listed yet
    table.end_listing({}, table.begin_listing())
    table.show_progress(ZoneStatus("ended", WorkloadState.FAILED, ended_at=5.0))
    table.show_progress(ZoneStatus("lost", WorkloadState.FAILED, "ZoneLost"))
    table.show_progress(ZoneStatus("starting", WorkloadState.PENDING))
    table.show_progress(ZoneStatus("running", WorkloadState.RUNNING))
    busy.add("removed")
    await rotation.trim_ended()
    assert trims.calls == [({"starting", "running", "removed"}, {"ended": 5.0})]

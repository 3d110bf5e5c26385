import asyncio
import os
import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kakuri_cri.testing import LogWriter
from kakuri_zones.logs import _records, _store
from kakuri_zones.logs._errors import LogCursorError, UnknownLog
from kakuri_zones.logs._reading import BLOCK, last_lines
from kakuri_zones.logs._records import MAX_EXAMINED
from kakuri_zones.logs._store import MAX_READ, LogStore

TIME = b"2016-10-06T00:17:09.669794202Z"
LONG_AGO = 1_000_000_000


def line(content, tag=b"F", stream=b"stdout"):
    return b"%b %b %b %b\n" % (TIME, stream, tag, content)


def numbered(start, stop):
    """Return what the container wrote, and the log file with it."""
    contents = [b"line %d" % number for number in range(start, stop)]
    return b"".join(content + b"\n" for content in contents), b"".join(map(line, contents))


END_OF_A = f"0.0.{len(line(b'a'))}"


class Writer:
    """Writes a log as a runtime does; by default, a file counts as stable afterwards."""

    def __init__(self, root):
        self.directory = root / "zone"
        self.directory.mkdir(parents=True)

    def write(self, name, data, *, is_stable=True):
        with (self.directory / name).open("ab") as file:
            file.write(data)
        if is_stable:
            self.make_stable(name)

    def make_stable(self, name):
        os.utime(self.directory / name, (LONG_AGO, LONG_AGO))

    def rotate(self, attempt, number, *, is_stable=True):
        (self.directory / f"{attempt}.log").rename(self.directory / f"{attempt}.log.{number}")
        self.write(f"{attempt}.log", b"")
        if is_stable:
            self.make_stable(f"{attempt}.log.{number}")


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path)
    yield store
    store.close()


@pytest.fixture
def log(store):
    return Writer(store.root)


def yes():
    return True


async def everything(store, after=None, limit=65536):
    """Read in parts until the end."""
    content = b""
    while True:
        chunk = await store.read("zone", after, limit=limit, has_ended=yes)
        assert len(chunk.data) <= limit
        assert chunk.data or chunk.has_ended
        content += chunk.data
        after = chunk.next
        if chunk.has_ended:
            return content


async def streamed(store, after=None, **options):
    return b"".join([content async for content in store.stream("zone", after, **options)])


async def test_empty_log_has_no_content(store, log):
    chunk = await store.read("zone")
    assert (chunk.data, chunk.next, chunk.has_ended, chunk.has_gap) == (
        b"",
        "0.0.0",
        False,
        False,
    )
    assert (await store.read("zone", has_ended=yes)).has_ended
    assert await store.tail("zone", 5) == "0.0.0"
    assert await streamed(store) == b""
    assert await streamed(store, follow=True, has_ended=yes) == b""


async def test_read_of_a_missing_log_raises_unknown_log(store):
    for call in (store.read("zone"), store.tail("zone", 1), streamed(store)):
        with pytest.raises(UnknownLog):
            await call
    with pytest.raises(UnknownLog):
        await streamed(store, follow=True)


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 300, 65536])
async def test_read_joins_the_files_and_attempts_of_a_log(store, log, limit):
    expected = b""
    for number, name in enumerate(["0.log.0", "0.log.1", "0.log", "1.log.8", "1.log.9", "1.log"]):
        content, data = numbered(number * 3, number * 3 + 3)
        expected += content
        log.write(name, data)
    assert await everything(store, limit=limit) == expected
    assert await streamed(store) == expected
    assert await streamed(store, follow=True, has_ended=yes) == expected


async def test_files_are_read_in_the_order_of_their_numbers(store, log):
    for number in (9, 10, 100):
        log.write(f"0.log.{number}", line(b"%d" % number))
    assert await everything(store) == b"9\n10\n100\n"


async def test_line_split_over_two_files_is_joined(store, log):
    log.write("0.log.0", line(b"a", b"P"))
    log.write("0.log", line(b"b") + line(b"c", b"P"))
    assert await everything(store) == b"ab\nc"
    assert await everything(store, await store.tail("zone", 1)) == b"c"
    assert await everything(store, await store.tail("zone", 2)) == b"ab\nc"


async def test_read_keeps_the_order_of_two_streams(store, log):
    log.write("0.log", line(b"o1 ", b"P") + line(b"e1", b"F", b"stderr") + line(b"o2"))
    assert await everything(store) == b"o1 e1\no2\n"
    assert await everything(store, await store.tail("zone", 1)) == b"o2\n"


async def test_read_returns_binary_content_unchanged(store, log):
    content = bytes(byte for byte in range(256) if byte != 10) * 3
    log.write("0.log", line(content))
    assert await everything(store) == content + b"\n"


@pytest.mark.parametrize("limit", [1, 50, 65536])
async def test_unfinished_line_is_read_as_it_grows(store, log, limit):
    data = line(b"first") + line(b"second")
    got, after = b"", None
    for byte in data:
        log.write("0.log", bytes([byte]))
        chunk = await store.read("zone", after, limit=limit)
        got, after = got + chunk.data, chunk.next
    while chunk.data:
        chunk = await store.read("zone", after, limit=limit)
        got, after = got + chunk.data, chunk.next
    assert got == b"first\nsecond\n"


async def test_incomplete_header_is_read_once_the_log_has_ended(store, log):
    log.write("0.log", line(b"a") + TIME[:9])
    chunk = await store.read("zone")
    assert chunk.data == b"a\n"
    assert (await store.read("zone", chunk.next)).data == b""
    assert await store.tail("zone", 1) == "0.0.0"
    last = await store.read("zone", chunk.next, has_ended=yes)
    assert (last.data, last.has_ended) == (TIME[:9], True)
    log.write("1.log", line(b"b"))
    assert (await store.read("zone", chunk.next)).data == TIME[:9] + b"b\n"


async def test_line_of_ten_megabytes_is_read_in_bounded_memory(store, log):
    content = random.Random(1).randbytes(10_000_000).replace(b"\n", b" ")
    data = b"x\n" + line(content) + content + b"\n" + line(b"y")
    log.write("0.log", data)
    del data
    tracemalloc.start()
    size, after, has_ended = 0, None, False
    while not has_ended:
        chunk = await store.read("zone", after, has_ended=yes)
        size, after, has_ended = size + len(chunk.data), chunk.next, chunk.has_ended
    tails = [await store.tail("zone", number) for number in range(1, 6)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 2 * len(content) + 6
    assert peak < 20 * BLOCK
    sizes = [len(await everything(store, tail, MAX_READ)) for tail in tails]
    assert sizes == [2, len(content) + 3, 2 * len(content) + 4, size, size]


async def test_limit_of_a_read_is_capped(store, log):
    log.write("0.log", line(b"x" * 10_000) * 200)
    assert len((await store.read("zone", limit=10**9)).data) <= MAX_READ
    assert len((await store.read("zone", limit=0)).data) == 1


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 5, 299, 300, 301, 10_000])
async def test_tail_counts_lines_over_all_files(store, log, lines):
    expected = []
    for number, name in enumerate(["0.log.0", "0.log.1", "0.log"]):
        content, data = numbered(number * 100, number * 100 + 100)
        expected += content.splitlines(keepends=True)
        log.write(name, data)
    after = await store.tail("zone", lines)
    assert await everything(store, after) == b"".join(expected[-lines:] if lines else [])


async def test_read_of_short_lines_examines_a_bounded_part_of_the_files(store, log):
    lines = 3 * MAX_EXAMINED // len(line(b""))
    log.write("0.log", line(b"") * lines)
    content, after, reads = b"", None, 0
    while len(content) < lines:
        chunk = await store.read("zone", after, limit=lines)
        assert 0 < len(chunk.data) <= (MAX_EXAMINED + BLOCK) // len(line(b""))
        content, after, reads = content + chunk.data, chunk.next, reads + 1
        assert chunk.examined >= MAX_EXAMINED or len(content) == lines
    assert (content, reads) == (b"\n" * lines, 3)


async def test_other_reads_run_while_a_log_is_searched_for_its_last_lines(store, log):
    lines = 3 * MAX_EXAMINED // len(line(b""))
    log.write("0.log", line(b"a") + line(b"") * lines)
    searched = asyncio.create_task(store.tail("zone", lines))
    await asyncio.sleep(0)
    assert (await store.read("zone", limit=1)).data == b"a"
    assert not searched.done()
    assert await everything(store, await searched) == b"\n" * lines


async def test_tail_ignores_a_file_that_is_created_during_its_search(store, log, monkeypatch):
    monkeypatch.setattr(_records, "MAX_EXAMINED", 1)
    expected, data = numbered(0, 3 * BLOCK // len(line(b"line 1000")))
    log.write("0.log", data)
    searched = []

    def search(directory, progress):
        searched.append(progress)
        if len(searched) == 2:
            log.rotate(0, 0)
            log.write("1.log", line(b"new") * 100)
        return last_lines(directory, progress)

    monkeypatch.setattr(_store, "last_lines", search)
    last = 2 * expected.count(b"\n") // 3
    after = await store.tail("zone", last)
    assert len(searched) > 2
    content = b"".join(expected.splitlines(keepends=True)[-last:])
    assert await everything(store, after) == content + b"new\n" * 100


async def test_tail_skips_an_empty_file(store, log):
    log.write("0.log.0", line(b"a") + line(b"b"))
    log.write("0.log", b"")
    assert await everything(store, await store.tail("zone", 1)) == b"b\n"
    assert await everything(store, await store.tail("zone", 0)) == b""


RECORDS = st.lists(
    st.one_of(
        st.builds(
            line,
            st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\n", b".")),
            st.sampled_from([b"F", b"P", b"F:x"]),
            st.sampled_from([b"stdout", b"stderr"]),
        ),
        st.sampled_from([b"raw\n", b"\n", line(b"x" * BLOCK), line(b"p" * BLOCK, b"P")]),
    ),
    max_size=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(RECORDS, min_size=1, max_size=3), st.integers(0, 14), st.integers(1, 500))
def test_tail_of_any_log_is_the_tail_of_its_text(tmp_path_factory, files, lines, limit):
    root = tmp_path_factory.mktemp("logs")
    log = Writer(root)
    for number, records in enumerate(files):
        log.write(f"0.log.{number}", b"".join(records))
    store = LogStore(root)

    async def compare():
        text = await everything(store)
        expected = text.split(b"\n")
        expected = [part + b"\n" for part in expected[:-1]] + [
            part for part in expected[-1:] if part
        ]
        after = await store.tail("zone", lines)
        tail = await everything(store, after)
        assert tail == b"".join(expected[-lines:] if lines else [])
        if len(text) < 2000:
            assert await everything(store, limit=limit) == text

    asyncio.run(compare())
    store.close()


async def test_cursor_stays_valid_over_rotations(store, log):
    log.write("0.log", line(b"a"))
    first = await store.read("zone")
    log.write("0.log", line(b"b"))
    log.rotate(0, 0)
    log.write("0.log", line(b"c"))
    log.rotate(0, 1)
    log.write("0.log", line(b"d"))
    chunk = await store.read("zone", first.next)
    assert (chunk.data, chunk.has_gap) == (b"b\nc\nd\n", False)


@pytest.mark.parametrize("after", ["0.0.5.f", "0.1.0", "7.0.0", "0.9.0"])
async def test_cursor_into_a_removed_file_continues_at_the_oldest_remaining_file(store, log, after):
    log.write("0.log.2", line(b"a"))
    log.write("0.log", line(b"b"))
    chunk = await store.read("zone", after)
    assert (chunk.data, chunk.has_gap) == (b"a\nb\n", True)


@pytest.mark.parametrize("after", ["0.0.7", "0.0.9999", "0.0.9999.f"])
async def test_cursor_past_the_end_of_a_truncated_file_continues_at_its_start(store, log, after):
    log.write("0.log", line(b"a"))
    chunk = await store.read("zone", after)
    assert (chunk.data, chunk.has_gap) == (b"a\n", True)


async def test_gap_found_while_waiting_is_reported(store, log):
    chunk = await store.read("zone", "0.3.5", wait=0.01)
    assert not chunk.has_gap
    log.write("0.log", b"")
    chunk = await store.read("zone", "0.3.5", wait=0.01)
    assert (chunk.data, chunk.next, chunk.has_gap) == (b"", "0.0.0", True)


async def test_reader_stays_in_a_rotated_file_until_it_is_stable(store, log):
    log.write("0.log", line(b"a"))
    log.rotate(0, 0, is_stable=False)
    log.write("0.log", line(b"c"))
    os.utime(log.directory / "0.log.0")
    chunk = await store.read("zone")
    assert (chunk.data, chunk.has_ended) == (b"a\n", False)
    log.write("0.log.0", line(b"b"))
    assert (await store.read("zone", chunk.next)).data == b"b\nc\n"
    assert await streamed(store) == b"a\nb\nc\n"


async def test_reader_leaves_the_files_of_an_ended_zone_at_once(store, log):
    log.write("0.log.0", line(b"a"), is_stable=False)
    log.write("0.log", line(b"b"), is_stable=False)
    chunk = await store.read("zone", has_ended=yes)
    assert (chunk.data, chunk.has_ended) == (b"a\nb\n", True)


async def test_read_is_not_delayed_by_a_clock_that_was_set_back(store, log):
    log.write("0.log.0", line(b"a"))
    os.utime(log.directory / "0.log.0", (2**32, 2**32))
    log.write("0.log", line(b"b"))
    assert (await store.read("zone")).data == b"a\nb\n"


async def test_read_waits_for_content(store, log):
    reading = asyncio.create_task(store.read("zone", wait=30))
    await asyncio.sleep(0)
    log.write("0.log", line(b"a"))
    assert (await reading).data == b"a\n"


async def test_waiting_read_returns_when_the_zone_ends(store, log):
    ended = asyncio.Event()
    reading = asyncio.create_task(store.read("zone", wait=30, has_ended=ended.is_set))
    await asyncio.sleep(0)
    ended.set()
    assert (await reading).has_ended


async def test_follower_reads_over_rotations_truncation_and_attempts(store, log):
    ended = asyncio.Event()
    stream = store.stream("zone", follow=True, has_ended=ended.is_set)
    log.write("0.log", line(b"a"))
    assert await anext(stream) == b"a\n"
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    log.rotate(0, 0)
    log.write("0.log", line(b"b"))
    assert await waiting == b"b\n"
    log.write("0.log", line(b"c"))
    log.rotate(0, 1)
    assert await anext(stream) == b"c\n"
    log.write("1.log", line(b"d") * 2)
    assert await anext(stream) == b"d\nd\n"
    (log.directory / "1.log").write_bytes(b"")
    log.write("1.log", line(b"e"))
    assert await anext(stream) == b"e\n"
    log.write("1.log", line(b"f"))
    ended.set()
    assert await anext(stream) == b"f\n"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_follower_ends_when_the_log_is_removed(store, log):
    stream = store.stream("zone", follow=True)
    log.write("0.log", line(b"a"))
    assert await anext(stream) == b"a\n"
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await store.remove("zone")
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_follower_slower_than_the_writer_misses_rotated_content(store, log):
    for number in range(3):
        log.write(f"0.log.{number}", line(b"%d" % number * 300_000))
    stream = store.stream("zone")
    first = await anext(stream)
    assert first == b"0" * len(first)
    (log.directory / "0.log.0").unlink()
    (log.directory / "0.log.1").unlink()
    assert b"".join([content async for content in stream]) == b"2" * 300_000 + b"\n"


async def test_read_without_follow_ends_although_the_log_grows(store, log):
    log.write("0.log", line(b"x" * 1000) * 1000)
    size = 0
    async for content in store.stream("zone"):
        size += len(content)
        log.write("0.log", line(b"y" * 1000) * 300)
    assert 1_001_000 <= size < 1_300_000


async def test_log_of_an_ended_zone_is_read_to_its_end(store, log):
    log.write("0.log", line(b"a"))
    for _ in range(2):
        assert await everything(store) == b"a\n"
    chunk = await store.read("zone", END_OF_A, has_ended=yes)
    assert (chunk.data, chunk.has_ended) == (b"", True)


async def test_many_readers_share_one_thread(store, log):
    log.write("0.log", line(b"a"))
    readers = [asyncio.create_task(store.read("zone", END_OF_A, wait=30)) for _ in range(50)]
    await asyncio.sleep(0)
    assert len(store._thread._threads) == 1
    log.write("0.log", line(b"b"))
    assert {chunk.data for chunk in await asyncio.gather(*readers)} == {b"b\n"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(
        st.binary(max_size=300) | st.sampled_from([b"\r\n", b"\n", b"\r", b"\0"]), max_size=30
    ),
    st.sampled_from([1, 3, 64, 65536]),
)
async def test_log_has_all_bytes_of_a_container_except_carriage_returns_before_line_feeds(
    tmp_path_factory, pieces, limit
):
    root = tmp_path_factory.mktemp("logs")
    (root / "zone").mkdir()
    writer = LogWriter(root / "zone" / "0.log")
    for piece in pieces:
        writer.write(piece)
    writer.close()
    store = LogStore(root)
    expected = b"".join(pieces).replace(b"\r\n", b"\n")
    assert await everything(store, limit=limit) == expected
    assert await bounded(store, limit=limit) == expected
    assert await streamed(store) == expected
    store.close()


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 300, 65536])
async def test_bounded_reads_end_at_the_first_end_over_rotations(store, log, limit):
    expected = b""
    for number, name in enumerate(["0.log.0", "0.log", "1.log"]):
        content, data = numbered(number * 3, number * 3 + 3)
        expected += content
        log.write(name, data)
    chunk = await store.read_bounded("zone", None, limit=limit)
    later, data = numbered(100, 200)
    log.write("1.log", data)
    log.rotate(1, 0)
    log.write("1.log", data)
    log.write("2.log", data)
    read = chunk.data
    while not chunk.has_ended:
        chunk = await store.read_bounded("zone", chunk.next, limit=limit)
        read += chunk.data
    assert read == expected
    assert (await store.read_bounded("zone", chunk.next, limit=limit)).data == b""
    assert (await everything(store)).startswith(expected + later)


async def test_bounded_read_whose_files_were_removed_has_ended(store, log):
    log.write("0.log", line(b"a"))
    first = await store.read_bounded("zone", None, limit=1)
    (log.directory / "0.log").unlink()
    log.write("1.log", line(b"b"))
    chunk = await store.read_bounded("zone", first.next, limit=10)
    assert (chunk.data, chunk.has_ended) == (b"", True)


@pytest.mark.parametrize("after", ["0.0.1-", "0.0.1-x", "-0.0.1", "0.0.1-0.0.2-0.0.3"])
async def test_bounded_read_with_an_invalid_cursor_raises_log_cursor_error(store, log, after):
    log.write("0.log", line(b"a"))
    with pytest.raises(LogCursorError):
        await store.read_bounded("zone", after, limit=10)


async def bounded(store, *, limit):
    read, after = b"", None
    while True:
        chunk = await store.read_bounded("zone", after, limit=limit)
        read, after = read + chunk.data, chunk.next
        if chunk.has_ended:
            return read

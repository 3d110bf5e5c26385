import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kakuri_workload import LogRecord, LogSelection, LogStream, read_records
from kakuri_zones.logs import _records
from kakuri_zones.logs._errors import LogCursorError
from kakuri_zones.logs._records import BLOCK, MAX_EXAMINED, MIN_LIMIT
from kakuri_zones.logs._store import LogStore

from .test_log_reading import Writer

EVERYTHING = LogSelection()
OUT = LogSelection(stream=LogStream.STDOUT)
ERR = LogSelection(stream=LogStream.STDERR)


def at(second, fraction="000000000"):
    return f"2026-11-26T14:{second // 60:02}:{second % 60:02}.{fraction}Z"


def line(content, second=0, stream="stdout", tag="F"):
    return f"{at(second)} {stream} {tag} ".encode() + content + b"\n"


def record(content, second=0, stream="stdout", attempt=0, *, is_partial=False):
    return LogRecord(at(second), stream, is_partial, attempt, content)


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


async def selected(store, selection=EVERYTHING, *, tail=None, limit=65536, bounded=True):
    """Read all selected records, and check that every turn makes progress."""
    after = None if tail is None else await store.tail("zone", tail, records=True)
    found = []
    for _ in range(10_000):
        if bounded:
            chunk = await store.read_bounded("zone", after, limit=limit, records=selection)
        else:
            chunk = await store.read("zone", after, limit=limit, records=selection, has_ended=yes)
        assert len(chunk.data) <= max(limit, MIN_LIMIT)
        assert chunk.examined <= MAX_EXAMINED + 2 * BLOCK
        assert chunk.has_gap == (None in list(read_records(chunk.data)))
        assert chunk.data or chunk.has_ended or chunk.examined
        found += read_records(chunk.data)
        after = chunk.next
        assert len(after) <= 128
        if chunk.has_ended:
            return found
    raise AssertionError("the log does not end")


async def test_records_have_time_stream_attempt_and_content(store, log):
    log.write("0.log", line(b"out", 1) + line(b"err", 2, "stderr"))
    log.write("1.log", line(b"again", 3))
    assert await selected(store) == [
        record(b"out", 1),
        record(b"err", 2, "stderr"),
        record(b"again", 3, attempt=1),
    ]


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("2026-11-26T14:00:00Z", "2026-11-26T14:00:00.000000000Z"),
        ("2026-11-26T14:00:00.5Z", "2026-11-26T14:00:00.500000000Z"),
        ("2026-11-26T23:00:00.123456789+09:00", "2026-11-26T14:00:00.123456789Z"),
        ("2026-11-26T02:00:00-12:00", "2026-11-26T14:00:00.000000000Z"),
    ],
)
async def test_times_of_records_are_in_utc_with_nine_digits(store, log, time, utc):
    log.write("0.log", f"{time} stdout F text\n".encode())
    assert await selected(store) == [LogRecord(utc, "stdout", False, 0, b"text")]


@pytest.mark.parametrize("raw", [b"", b"no header", b"2026-11-26T14:00:00Z stdin F x", b"\0\xff"])
async def test_line_that_the_runtime_did_not_write_has_neither_time_nor_stream(store, log, raw):
    log.write("0.log", raw + b"\n" + line(b"after"))
    assert await selected(store) == [LogRecord(None, None, False, 0, raw), record(b"after")]
    assert await selected(store, OUT) == [record(b"after")]


async def test_line_with_an_impossible_date_has_no_time(store, log):
    log.write("0.log", b"2026-13-45T14:00:00+01:00 stdout F text\n")
    assert await selected(store) == [LogRecord(None, None, False, 0, b"text")]


async def test_content_of_a_record_is_any_bytes_but_a_line_feed(store, log):
    content = bytes(byte for byte in range(256) if byte != 10) + b"gap\r - - F 0 "
    log.write("0.log", line(content) + line(b"gap"))
    assert await selected(store) == [record(content), record(b"gap")]


async def test_parts_of_a_line_that_the_runtime_cut_are_partial_records(store, log):
    log.write("0.log", line(b"a", tag="P") + line(b"x", 1, "stderr") + line(b"b"))
    parts = [record(b"a", is_partial=True), record(b"b")]
    assert await selected(store, OUT) == parts
    assert await selected(store, OUT, tail=1) == parts
    assert await selected(store, tail=2) == [parts[0], record(b"x", 1, "stderr"), parts[1]]


@pytest.mark.parametrize("limit", [1, 5000, 65536])
async def test_line_longer_than_the_limit_is_cut_into_partial_records(store, log, limit):
    content = b"x" * (BLOCK * 2 + 100)
    log.write("0.log", line(b"first") + line(content, 7, "stderr") + line(b"last", 8))
    found = await selected(store, limit=limit)
    assert (found[0], found[-1]) == (record(b"first"), record(b"last", 8))
    parts = found[1:-1]
    assert b"".join(part.content for part in parts) == content
    assert {(part.at, part.stream) for part in parts} == {(at(7), "stderr")}
    assert [part.is_partial for part in parts] == [True] * (len(parts) - 1) + [False]
    assert await selected(store, OUT, limit=limit) == [record(b"first"), record(b"last", 8)]
    tail = await selected(store, tail=2, limit=limit)
    assert b"".join(part.content for part in tail[:-1]) == content


async def test_long_line_without_header_is_cut_and_keeps_its_content(store, log):
    log.write("0.log", b"y" * BLOCK * 2 + b"\n")
    found = await selected(store, limit=5000)
    assert b"".join(part.content for part in found) == b"y" * BLOCK * 2
    assert {part.at for part in found} == {None}
    assert [part.is_partial for part in found] == [True] * (len(found) - 1) + [False]


async def test_incomplete_line_is_a_record_once_it_is_complete_or_the_log_has_ended(store, log):
    log.write("0.log", line(b"a") + line(b"half")[:-3])
    chunk = await store.read("zone", records=EVERYTHING)
    assert list(read_records(chunk.data)) == [record(b"a")]
    waiting = await store.read("zone", chunk.next, records=EVERYTHING)
    assert (waiting.data, waiting.examined, waiting.next) == (b"", 0, chunk.next)
    ended = await store.read("zone", chunk.next, records=EVERYTHING, has_ended=yes)
    assert list(read_records(ended.data)) == [record(b"ha", is_partial=True)]
    log.write("0.log", b"lf\n")
    done = await store.read("zone", chunk.next, records=EVERYTHING)
    assert list(read_records(done.data)) == [record(b"half")]


@pytest.mark.parametrize("has_header", [True, False])
async def test_incomplete_line_at_the_end_counts_as_one_of_the_last_lines(store, log, has_header):
    half = line(b"half", 3)[:-3] if has_header else b"2026-11-"
    log.write("0.log", line(b"a", 1) + line(b"b", 2, "stderr") + half)
    last = record(b"ha", 3, is_partial=True)
    if not has_header:
        last = LogRecord(None, None, True, 0, half)
    lines = [record(b"a", 1), record(b"b", 2, "stderr"), last]
    shown = 0 if has_header else 1  # without a header, it belongs to no line that is counted
    for tail in range(1, 4):
        expected = lines[max(0, 3 - tail - shown) :]
        assert await selected(store, tail=tail, bounded=False) == expected
    outs = [record(b"a", 1), *[last] * has_header]
    for tail in range(1, 3):
        expected = outs[max(0, len(outs) - tail) :]
        assert await selected(store, OUT, tail=tail, bounded=False) == expected


@pytest.mark.parametrize("count", [1, 100, 10_000])
async def test_log_that_fits_the_limit_is_read_to_its_end_at_once(store, log, count):
    log.write("0.log", line(b"text") * count)
    chunk = await store.read("zone", limit=2**20, records=EVERYTHING, has_ended=yes)
    assert len(list(read_records(chunk.data))) == count
    assert chunk.has_ended
    bounded = await store.read_bounded("zone", None, limit=2**20, records=EVERYTHING)
    assert (bounded.data, bounded.has_ended) == (chunk.data, True)


async def test_gap_without_room_is_reported_by_the_next_read(store, log):
    """The line that reports it is part of the records, and counts in their limit."""
    for name in ("0.log.1", "0.log.3"):
        size = MIN_LIMIT - len(line(b"")) - 5
        log.write(name, line(b"x" * size))
    log.write("0.log", line(b"last"))
    found = await selected(store, limit=MIN_LIMIT)
    assert [None if each is None else each.content[:1] for each in found] == [
        None, b"x", None, b"x", b"l"
    ]  # fmt: skip


async def test_stream_selects_the_records_of_one_stream(store, log):
    log.write("0.log", b"".join(line(b"%d" % n, n, ["stdout", "stderr"][n % 2]) for n in range(9)))
    assert [each.content for each in await selected(store, ERR)] == [b"1", b"3", b"5", b"7"]
    assert [each.content for each in await selected(store, ERR, tail=2)] == [b"5", b"7"]
    assert await selected(store, ERR, tail=0) == []


async def test_attempt_selects_the_records_of_one_run(store, log):
    for attempt in (3, 4):
        log.write(f"{attempt}.log", line(b"of %d" % attempt))
    assert await selected(store, LogSelection(attempt=3)) == [record(b"of 3", attempt=3)]
    assert await selected(store, LogSelection(attempt=3), tail=5) == [record(b"of 3", attempt=3)]
    assert await selected(store, LogSelection(attempt=5)) == []


async def test_attempt_whose_log_was_removed_is_a_gap(store, log):
    log.write("3.log", line(b"x"))
    assert await selected(store, LogSelection(attempt=2)) == []  # it may have written nothing
    log.write("4.log", line(b"x"))
    assert await selected(store, LogSelection(attempt=2)) == [None]
    assert await selected(store, LogSelection(attempt=2), bounded=False) == [None]


async def test_since_begins_at_the_first_record_that_is_not_older(store, log):
    log.write("0.log", b"".join(line(b"%d" % n, n) for n in range(5)))
    since = LogSelection(since=at(3))
    assert [each.content for each in await selected(store, since)] == [b"3", b"4"]
    later = LogSelection(since=at(2, "000000001"))
    assert [each.content for each in await selected(store, later)] == [b"3", b"4"]
    assert await selected(store, LogSelection(since=at(5))) == []


async def test_records_after_a_clock_was_set_back_are_not_lost_by_since(store, log):
    log.write("0.log", line(b"old", 10) + line(b"new", 100) + line(b"set back", 20))
    found = await selected(store, LogSelection(since=at(50)))
    assert [each.content for each in found] == [b"new", b"set back"]


@pytest.mark.parametrize("before", [b"", line(b"old", 1)])
async def test_line_after_a_reader_reached_the_end_is_new_whatever_its_time(store, log, before):
    later = LogSelection(since=at(5))
    if before:
        log.write("0.log", before)
    after = None
    for _ in range(2):  # what was there is examined first
        chunk = await store.read("zone", after, records=later)
        assert chunk.data == b""
        after = chunk.next
    log.write("0.log", line(b"new", 2))
    chunk = await store.read("zone", after, records=later)
    assert list(read_records(chunk.data)) == [record(b"new", 2)]


async def test_since_compares_times_of_other_offsets(store, log):
    log.write("0.log", b"2026-11-26T23:00:01+09:00 stdout F in\n")
    assert len(await selected(store, LogSelection(since=at(1)))) == 1
    assert await selected(store, LogSelection(since=at(2))) == []


async def test_lost_files_are_gaps_where_they_were(store, log):
    for name in ("0.log.2", "0.log", "1.log.1", "1.log"):
        log.write(name, line(name.encode()))
    log.write("0.log.4", line(b"4"))
    contents = [each and each.content for each in await selected(store)]
    assert contents == [
        *(None, b"0.log.2", None, b"4", b"0.log"),
        *(None, b"1.log.1", b"1.log"),
    ]
    contents = [each and each.content for each in await selected(store, tail=100)]
    assert contents[:2] == [None, b"0.log.2"]
    contents = [each and each.content for each in await selected(store, tail=2)]
    assert contents == [None, b"1.log.1", b"1.log"]
    contents = [each and each.content for each in await selected(store, tail=1)]
    assert contents == [b"1.log"]


async def test_file_that_is_removed_under_a_reader_is_a_gap(store, log):
    log.write("0.log.0", line(b"a") + line(b"b"))
    log.write("0.log.1", line(b"c"))
    cursor = f"0.0.{len(line(b'a'))}"
    (log.directory / "0.log.0").unlink()
    chunk = await store.read("zone", cursor, records=EVERYTHING, has_ended=yes)
    assert list(read_records(chunk.data)) == [None, record(b"c")]
    assert chunk.has_gap


@pytest.mark.parametrize("offset", [5, 7, 9999])
async def test_file_that_was_truncated_under_a_reader_is_a_gap(store, log, offset):
    """A position inside what is there now, at its end, or after it."""
    log.write("0.log", line(b"new"))
    chunk = await store.read("zone", f"0.0.{offset}", records=EVERYTHING, has_ended=yes)
    assert list(read_records(chunk.data)) == [None, record(b"new")]
    assert chunk.has_gap


async def test_removed_log_is_reported_once(store, log):
    chunk = await store.read("zone", "0.3.70", records=EVERYTHING, has_ended=yes)
    assert list(read_records(chunk.data)) == [None]
    again = await store.read("zone", chunk.next, records=EVERYTHING, has_ended=yes)
    assert (again.data, again.has_gap, again.has_ended) == (b"", False, True)


async def test_selection_that_matches_nothing_examines_a_bounded_part_in_each_read(
    store, log, monkeypatch
):
    monkeypatch.setattr(_records, "MAX_EXAMINED", 2 * BLOCK)
    log.write("0.log", line(b"x" * 100) * 4000)
    for tail in (None, 10):
        after = None if tail is None else await store.tail("zone", tail, records=True)
        examined, turns, chunk = 0, 0, None
        while chunk is None or chunk.examined:
            chunk = await store.read("zone", after, records=ERR)
            assert (chunk.data, chunk.has_ended) == (b"", False)
            assert chunk.examined <= 3 * BLOCK
            turns, after, examined = turns + 1, chunk.next, examined + chunk.examined
        assert turns >= 4
        assert examined >= 4000 * 100


async def test_cursors_of_records_outlive_the_store(store, log):
    log.write("0.log", line(b"z" * 3000) + line(b"x") * 50)
    for tail in (None, 30):
        expected = await selected(store, tail=tail, limit=MIN_LIMIT)
        after, found, has_ended = None, [], False
        if tail is not None:
            after = await store.tail("zone", tail, records=True)
        while not has_ended:
            fresh = LogStore(store.root)
            chunk = await fresh.read_bounded("zone", after, limit=MIN_LIMIT, records=EVERYTHING)
            fresh.close()
            found += read_records(chunk.data)
            after, has_ended = chunk.next, chunk.has_ended
        assert found == expected


async def test_cursor_of_a_search_is_only_valid_for_records(store, log):
    log.write("0.log", line(b"x"))
    after = await store.tail("zone", 1, records=True)
    with pytest.raises(LogCursorError):
        await store.read("zone", after)
    with pytest.raises(LogCursorError):
        await store.read("zone", f"{after}-0.0.5", records=EVERYTHING)


@pytest.mark.parametrize("text", ["t0.0.0.0", "v1.0.0.0", "t1", "t12345678.0.0.0", "0.0.1.f.x"])
async def test_invalid_cursor_of_records_raises_log_cursor_error(store, log, text):
    with pytest.raises(LogCursorError):
        await store.read("zone", text, records=EVERYTHING)


LINES = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.sampled_from(["stdout", "stderr"]),
        st.sampled_from("FFFP"),
        st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
        st.integers(1, 60),
    ),
    max_size=40,
)


def expected_records(written, selection, tail):
    """Return what a reader should get, computed from the list of all records."""
    found = [
        each
        for each in written
        if (selection.stream is None or each.stream == selection.stream.value)
        and (selection.attempt is None or each.attempt == selection.attempt)
    ]
    if tail is not None:
        lines, start = 0, len(found)
        for index in range(len(found) - 1, -1, -1):
            lines += index == len(found) - 1 or not found[index].is_partial
            if lines > tail:
                break
            start = index
        found = found[start:]
    if selection.since is not None:
        while found and found[0].at < selection.since:
            del found[0]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=LINES,
    cuts=st.sets(st.integers(0, 40), max_size=5),
    new_run=st.integers(0, 60),
    stream=st.sampled_from([None, *LogStream]),
    since=st.none() | st.integers(0, 3000).map(at),
    attempt=st.sampled_from([None, 0, 1]),
    tail=st.none() | st.integers(0, 45),
    block=st.integers(300, 2000),
)
async def test_any_selection_of_any_log_returns_the_records_that_match(
    tmp_path_factory, lines, cuts, new_run, stream, since, attempt, tail, block
):
    root = tmp_path_factory.mktemp("logs")
    log = Writer(root)
    written, run, number = [], 0, 0
    for index, (second, of_stream, tag, content, repeat) in enumerate(lines):
        if index == new_run:
            run, number = 1, 0
        elif index in cuts and (log.directory / f"{run}.log").exists():
            log.rotate(run, number)
            number += 1
        content *= repeat
        log.write(f"{run}.log", line(content, second, of_stream, tag))
        written.append(record(content, second, of_stream, run, is_partial=tag == "P"))
    selection = LogSelection(stream, since, attempt)
    store = LogStore(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_records, "BLOCK", block)
        patch.setattr(_records, "MAX_EXAMINED", block)
        found = joined(await selected(store, selection, tail=tail, limit=MIN_LIMIT))
    store.close()
    assert found == joined(expected_records(written, selection, tail))


def joined(records):
    """Join the parts of a line, which a reader may cut anywhere."""
    found = []
    for each in records:
        before = found[-1] if found else None
        if before is not None and before.is_partial and is_same_line(before, each):
            each = each._replace(content=before.content + each.content)
            found.pop()
        found.append(each)
    return found


def is_same_line(one, other):
    return (one.at, one.stream, one.attempt) == (other.at, other.stream, other.attempt)

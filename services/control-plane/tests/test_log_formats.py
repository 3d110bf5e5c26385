"""Forms of log records: what of them a container could forge, and what is kept exactly."""

import asyncio
import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_control_plane._log_formats import formatted, record_format
from kakuri_control_plane._log_queries import LogFormat, LogQuery, since_time
from kakuri_daemon.api import QueryError
from kakuri_rpc import UnexpectedReply
from kakuri_workload import LogRecord, LogSelection, LogStream

AT = "2026-11-26T14:07:25.000000001Z"
NOW = 1_795_702_045.25  # 2026-11-26T14:07:25.25Z

TIMED = LogQuery(timestamps=True)
LINES = LogQuery(format=LogFormat.NDJSON)
ERRORS = LogQuery(stream=LogStream.STDERR)


def record(content, stream="stdout", attempt=0, *, is_partial=False, at=AT):
    return LogRecord(at, stream, is_partial, attempt, content)


FOREIGN = LogRecord(None, None, False, 0, b"raw")


def written(query, *records):
    form = record_format(query)
    return b"".join(map(form, records))


def test_plain_text_has_the_bytes_of_the_container_alone():
    records = [
        record(b"a", is_partial=True),
        None,
        record(b"\xff\0"),
        FOREIGN,
        record(b"b", "x", 1),
    ]
    assert written(ERRORS, *records) == b"a\xff\0\nraw\nb\n"


def test_text_with_timestamps_has_the_time_before_each_line():
    text = written(TIMED, record(b"one"), record(b"", "stderr"), FOREIGN)
    assert text == f"{AT} one\n{AT} \n- raw\n".encode()


def test_text_with_timestamps_marks_gaps_and_attempts():
    text = written(TIMED, None, record(b"one"), record(b"two", attempt=2), None)
    assert text == f"--- gap\n{AT} one\n--- attempt 2\n{AT} two\n--- gap\n".encode()


def test_text_with_timestamps_joins_the_parts_of_a_line():
    parts = [record(b"a", is_partial=True), record(b"b", is_partial=True), record(b"c")]
    assert written(TIMED, *parts) == f"{AT} abc\n".encode()


def test_text_with_timestamps_begins_a_line_for_whatever_follows_a_partial_one():
    cut = record(b"a", is_partial=True)
    assert written(TIMED, cut, None, record(b"b")) == f"{AT} a\n--- gap\n{AT} b\n".encode()
    text = written(TIMED, cut, record(b"e", "stderr"), record(b"b"))
    assert text == f"{AT} a\n{AT} e\n{AT} b\n".encode()
    text = written(TIMED, cut, record(b"b", attempt=1))
    assert text == f"{AT} a\n--- attempt 1\n{AT} b\n".encode()


def test_json_lines_have_time_stream_attempt_and_line():
    assert (
        written(LINES, record(b'say "hi"\t\\', "stderr", 3))
        == (
            f'{{"at":"{AT}","stream":"stderr","attempt":3,"line":"say \\"hi\\"\\t\\\\"}}\n'
        ).encode()
    )
    assert written(LINES, FOREIGN) == b'{"attempt":0,"line":"raw"}\n'
    part = written(LINES, record(b"a", is_partial=True))
    assert part.endswith(b'"line":"a","partial":true}\n')


def test_json_lines_mark_gaps_and_attempts():
    text = written(LINES, None, record(b""), record(b"", attempt=2), record(b"", attempt=2))
    lines = list(map(json.loads, text.splitlines()))
    marks = [each for each in lines if "type" in each]
    assert marks == [{"type": "gap"}, {"type": "attempt", "attempt": 2}]
    assert [each.get("attempt") for each in lines] == [None, 0, 2, 2, 2]


def test_bytes_that_are_not_utf8_are_replaced_and_kept_in_base64():
    document = json.loads(written(LINES, record(b"a\xff\xc3z")))
    assert document["line"] == "a\ufffd\ufffdz"
    assert b64decode(document["base64"]) == b"a\xff\xc3z"


@pytest.mark.parametrize("char", ["\n", "\0", "\x1b", "\x7f", "\x9b", "\x85", "\u2028", "\u2029"])
def test_characters_that_terminals_or_readers_obey_are_escaped(char):
    text = written(LINES, record(f"a{char}b".replace("\n", "").encode()))
    assert char.encode() not in text[:-1]
    assert len(text.decode().splitlines()) == 1
    assert json.loads(text)["line"] == f"a{char}b".replace("\n", "")


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\n", b"")))
def test_json_line_of_any_content_has_the_exact_bytes(content):
    text = written(LINES, record(content))
    document = json.loads(text)
    assert len(text.decode().splitlines()) == 1
    exact = document.get("base64")
    assert (document["line"].encode() if exact is None else b64decode(exact)) == content


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b""))))
def test_content_never_looks_like_a_mark_in_text_with_timestamps(contents):
    text = written(TIMED, *(record(content) for content in contents))
    assert [line[: len(AT) + 1] for line in text.split(b"\n")[:-1]] == [f"{AT} ".encode()] * len(
        contents
    )


async def test_data_of_the_agent_that_is_not_records_is_an_unexpected_reply():
    async def pieces():
        yield f"{AT} stdout F 0 good\n".encode()
        yield b"\x1b]0;title\x07\n"

    text = formatted(pieces(), record_format(TIMED), asyncio.Lock())
    assert await anext(text) == f"{AT} good\n".encode()
    with pytest.raises(UnexpectedReply, match=r"expected a log record, got b'\\x1b"):
        await anext(text)


async def test_readers_convert_one_piece_in_each_turn_of_the_event_loop():
    line, turn, is_done = f"{AT} stdout F 0 good\n".encode(), asyncio.Lock(), False
    converted = [0]  # in each turn of the loop

    def form(_record):
        converted[-1] += 1
        return b"good\n"

    async def count_turns():
        while not is_done:
            await asyncio.sleep(0)
            converted.append(0)

    async def read():
        async def pieces():
            for _ in range(3):
                yield line

        return [piece async for piece in formatted(pieces(), form, turn)]

    counting = asyncio.create_task(count_turns())
    texts = await asyncio.gather(*(read() for _ in range(20)))
    is_done = True
    await counting
    assert texts == [[b"good\n"] * 3] * 20
    assert sum(converted) == 60
    assert max(converted) == 1


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0s", "2026-11-26T14:07:25.250000000Z"),
        ("90s", "2026-11-26T14:05:55.250000000Z"),
        ("10m", "2026-11-26T13:57:25.250000000Z"),
        ("1h30m", "2026-11-26T12:37:25.250000000Z"),
        ("2d", "2026-11-24T14:07:25.250000000Z"),
        ("1d1h1m1s", "2026-11-25T13:06:24.250000000Z"),
        ("999999d", "1970-01-01T00:00:00.000000000Z"),
        (AT, AT),
        ("2026-11-26T14:07:25Z", "2026-11-26T14:07:25.000000000Z"),
        ("2026-11-26T23:07:25+09:00", "2026-11-26T14:07:25.000000000Z"),
        ("2026-11-26T23:07:25 09:00", "2026-11-26T14:07:25.000000000Z"),
    ],
)
def test_since_is_a_time_or_a_duration_before_now(text, time):
    assert since_time(text, NOW) == time


@pytest.mark.parametrize("text", ["", "1", "10", "m", "-5m", "1m1h", "5 m", "now", "2026-11-26"])
def test_malformed_since_is_a_query_error(text):
    with pytest.raises(QueryError, match=r"query\.since: expected a time such as"):
        since_time(text, NOW)


@pytest.mark.parametrize(
    ("query", "selection"),
    [
        (LogQuery(), None),
        (LogQuery(5, follow=True), None),
        (TIMED, LogSelection()),
        (LINES, LogSelection()),
        (ERRORS, LogSelection(LogStream.STDERR)),
        (LogQuery(since=AT), LogSelection(since=AT)),
        (LogQuery(attempt=0), LogSelection(attempt=0)),
    ],
)
def test_records_are_only_requested_for_what_needs_them(query, selection):
    assert query.records(NOW) == selection

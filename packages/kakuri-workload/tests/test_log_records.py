import pytest
from kakuri_workload import (
    LOG_GAP,
    MAX_RECORD_HEADER,
    LogRecord,
    LogSelection,
    LogStream,
    log_time,
    read_records,
    select_records,
    write_record,
)

AT = "2026-11-26T14:07:25.000000001Z"


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (f"{AT} stdout F 0 text", LogRecord(AT, "stdout", False, 0, b"text")),
        (f"{AT} stderr P 12 part", LogRecord(AT, "stderr", True, 12, b"part")),
        (f"{AT} stdout F 0 ", LogRecord(AT, "stdout", False, 0, b"")),
        (f"{AT} stdout F 0  gap\r", LogRecord(AT, "stdout", False, 0, b" gap\r")),
        ("- - F 3 no header", LogRecord(None, None, False, 3, b"no header")),
        ("- - P 3 gap", LogRecord(None, None, True, 3, b"gap")),
        ("gap", None),
    ],
)
def test_record_has_time_stream_tag_attempt_and_content(line, record):
    data = line.encode() + b"\n"
    assert list(read_records(data)) == [record]
    assert list(read_records(LOG_GAP + data * 2)) == [None, record, record]


def test_content_of_a_record_is_any_bytes_but_a_line_feed():
    content = bytes(byte for byte in range(256) if byte != 10)
    data = f"{AT} stdout F 0 ".encode() + content + b"\n"
    assert [each.content for each in read_records(data)] == [content]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "text",
            "",
            "gap ",
            " gap",
            f"{AT}",
            f"{AT} stdout",
            f"{AT} stdout F",
            f"{AT} stdout F 0",
        ),
        *(f"{AT} stdin F 0 x", f"{AT} stdout X 0 x", f"{AT} stdout F -1 x", f"{AT} stdout F 01 x"),
        *(f"{AT[:-1]} stdout F 0 x", f"{AT[:-3]}Z stdout F 0 x", "- stdout F 0 x", f"{AT} - F 0 x"),
        "２026-11-26T14:07:25.000000001Z stdout F 0 x",
    ],
)
def test_data_that_is_not_records_raises_value_error(line):
    good = f"{AT} stdout F 0 good\n".encode()
    records = read_records(good + line.encode() + b"\n")
    assert next(records).content == b"good"
    with pytest.raises(ValueError, match="expected a log record"):
        next(records)


def test_record_without_its_line_feed_raises_value_error():
    with pytest.raises(ValueError, match="expected a log record"):
        list(read_records(f"{AT} stdout F 0 cut".encode()))


def test_longest_header_of_a_record_is_within_its_limit():
    assert len(f"{AT} stdout F 999999999 ".encode()) + len(b"\n") <= MAX_RECORD_HEADER


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (AT, AT),
        ("2026-11-26T14:07:25Z", "2026-11-26T14:07:25.000000000Z"),
        ("2026-11-26t14:07:25.5z", "2026-11-26T14:07:25.500000000Z"),
        ("2026-11-26 14:07:25.000001Z", "2026-11-26T14:07:25.000001000Z"),
        ("2026-11-26T23:07:25.123456789+09:00", "2026-11-26T14:07:25.123456789Z"),
        ("2026-12-31T20:00:00-05:30", "2027-01-01T01:30:00.000000000Z"),
        ("0999-01-01T00:00:00-00:00", "0999-01-01T00:00:00.000000000Z"),
    ],
)
def test_time_is_written_in_utc_with_nine_digits(text, time):
    assert log_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-26", "2026-11-26T14:07:25", "2026-11-26T14:07Z", "14:07:25Z"),
        *("2026-13-26T14:07:25Z", "2026-02-30T14:07:25Z", "2026-11-26T24:07:25Z"),
        *("2026-11-26T14:07:25.Z", "2026-11-26T14:07:25.0123456789Z", "2026-11-26T14:07:25+25:00"),
        *("0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", f"{AT}\n", "x" * 1000),
    ],
)
def test_text_that_is_not_a_time_raises_value_error(text):
    with pytest.raises(ValueError, match="expected a") as caught:
        log_time(text)
    assert len(str(caught.value)) < 250


RECORDS = [
    LogRecord("2026-11-26T14:07:25.000000000Z", "stdout", False, 0, b"a"),
    None,
    LogRecord(None, None, False, 0, b"foreign"),
    LogRecord("2026-11-26T14:07:27.000000000Z", "stderr", True, 1, b"b"),
    LogRecord("2026-11-26T14:07:26.000000000Z", "stdout", False, 1, b"set back"),
]


@pytest.mark.parametrize("record", [each for each in RECORDS if each is not None])
def test_written_record_is_read_again(record):
    assert list(read_records(write_record(record))) == [record]


def test_text_of_a_record_has_a_line_feed_unless_it_is_partial():
    assert [each.text for each in RECORDS if each] == [b"a\n", b"foreign\n", b"b", b"set back\n"]


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (LogSelection(), [0, 1, 2, 3, 4]),
        (LogSelection(LogStream.STDOUT), [0, 1, 4]),
        (LogSelection(LogStream.STDERR), [1, 3]),
        (LogSelection(attempt=1), [1, 3, 4]),
        (LogSelection(since="2026-11-26T14:07:25.000000000Z"), [0, 1, 2, 3, 4]),
        (LogSelection(since="2026-11-26T14:07:26.500000000Z"), [1, 3, 4]),
        (LogSelection(since="2026-11-26T14:07:28.000000000Z"), [1]),
    ],
)
def test_selected_records_are_those_of_the_stream_the_attempt_and_the_time(selection, selected):
    assert list(select_records(RECORDS, selection)) == [RECORDS[index] for index in selected]

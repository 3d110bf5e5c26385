import errno
import fcntl
import os
import threading
import time
from collections import deque

import pytest
from kakuri_daemon import LogStream, _stream
from kakuri_daemon._stream import (
    FILE_PIECE_SIZE,
    MAX_REASON_LENGTH,
    RENDER_BATCH,
    _piece_size,
    _pieces,
)

PIPE_BYTES = 4096


def test_log_stream_writes_lines_in_order():
    read, write = os.pipe()
    stream = LogStream(write)
    for number in range(1000):
        assert stream.write(f"line {number}\n") > 0
    stream.close(10)
    os.close(write)
    with os.fdopen(read) as source:
        assert source.read().splitlines() == [f"line {number}" for number in range(1000)]


def test_log_stream_with_a_closed_reader_still_closes():
    read, write = os.pipe()
    os.close(read)
    stream = LogStream(write)
    stream.write("dropped\n")
    stream.write("nor this\n")
    stream.close(10)
    assert not stream._writer.is_alive()
    os.close(write)


def text_of_a_stuck_stream(write_lines):
    """Return what a stream with room for two lines wrote after its reader was stuck."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    stream = LogStream(write, max_waiting=2)
    first = "x" * 3 * PIPE_BYTES + "\n"
    stream.write(first)
    text = os.read(read, 1)  # the writer has taken the line, and the pipe can't hold the rest
    write_lines(stream)
    stream.close(0)
    while not text.endswith(b"too slow\n"):
        text += os.read(read, PIPE_BYTES)
    stream.close(10)
    os.close(read)
    os.close(write)
    return text.decode().removeprefix(first)


def test_log_stream_whose_reader_is_stuck_drops_lines_and_counts_them():
    def write_lines(stream):
        for number in range(5):
            stream.write(f"{number}\n")

    text = text_of_a_stuck_stream(write_lines)
    assert text == "0\n1\n3 log lines were dropped: the reader is too slow\n"


class Disk:
    """Stands in for `os.write`: a disk with room for some bytes."""

    def __init__(self, room):
        self.room = room
        self.content = b""

    def write(self, _descriptor, data):
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = data[: self.room]
        self.content += written
        self.room -= len(written)
        return len(written)


def test_lines_that_do_not_fit_on_a_full_disk_are_counted(monkeypatch):
    disk = Disk(room=len("first\nsec"))
    monkeypatch.setattr(_stream.os, "write", disk.write)
    before = LogStream.dropped_by_process
    stream = LogStream(2)
    for number, line in enumerate(("first", "second", "third", "fourth")):
        stream.write(f"{line}\n")
        while LogStream.dropped_by_process < before + number:
            time.sleep(0.001)
    disk.room = 1000
    stream.write("fifth\n")
    stream.close(10)
    assert LogStream.dropped_by_process == before + 3
    report = b"3 log lines were dropped: No space left on device\n"
    assert disk.content == b"first\nsec\nfifth\n" + report


def test_log_stream_on_a_non_blocking_descriptor_loses_nothing():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(write, False)
    stream = LogStream(write)
    line = "y" * 5 * PIPE_BYTES
    stream.write(line)
    text = b""
    while len(text) < len(line):
        text += os.read(read, PIPE_BYTES)
    stream.close(10)
    assert text == line.encode()
    os.close(read)
    os.close(write)


def test_log_stream_writes_lone_surrogates_escaped():
    read, write = os.pipe()
    stream = LogStream(write)
    stream.write("\udcff\n")
    stream.close(10)
    assert os.read(read, 100) == b"\\udcff\n"
    os.close(read)
    os.close(write)


def test_log_stream_writes_the_first_line_at_once_and_joins_those_of_its_pause(monkeypatch):
    monkeypatch.setattr("kakuri_daemon._stream.PAUSE_SECONDS", 1000)
    read, write = os.pipe()
    stream = LogStream(write)
    stream.write("first\n")
    assert os.read(read, 100) == b"first\n"
    stream.write("second\n")
    stream.write("third\n")
    stream.close(10)
    assert not stream._writer.is_alive()
    assert os.read(read, 100) == b"second\nthird\n"
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    "lengths", [[1], [4096], [4095, 1], [4096, 1], [5000, 5000, 1], [100] * 200]
)
def test_log_stream_writes_whole_lines_in_pieces_that_a_pipe_writes_atomically(lengths):
    lines = [b"x" * (length - 1) + b"\n" for length in lengths]
    pieces = list(_pieces(b"".join(lines), PIPE_BYTES))
    assert b"".join(pieces) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= 4096 or piece.count(b"\n") == 1 for piece in pieces)
    assert len(pieces) <= len(lines)


def test_log_stream_writes_text_without_a_line_feed():
    assert list(_pieces(b"a\nb", PIPE_BYTES)) == [b"a\n", b"b"]


def test_log_stream_writes_large_pieces_to_a_file_and_small_ones_to_a_pipe(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        assert _piece_size(file.fileno()) == FILE_PIECE_SIZE
    ends = os.pipe()
    assert _piece_size(ends[1]) == PIPE_BYTES
    for end in ends:
        os.close(end)
    assert _piece_size(ends[1]) == PIPE_BYTES  # closed


def read_lines(stream, ends):
    stream.close(10)
    os.close(ends[1])
    with os.fdopen(ends[0]) as source:
        return source.read().splitlines()


@pytest.mark.parametrize("number", [1, RENDER_BATCH - 1, RENDER_BATCH, 1000])
def test_line_that_is_rendered_later_keeps_its_place_among_others(number):
    ends = os.pipe()
    stream = LogStream(ends[1])
    expected = []
    for count in range(number):
        render = render_texts if count % 3 else render_loudly
        stream.write_later(render, f"{count} of {number}")
        expected.append(f"{count} of {number}{'' if count % 3 else '!'}")
        if count % 50 == 7:
            stream.write("at once\n")
            expected.append("at once")
    assert read_lines(stream, ends) == expected


def test_line_that_is_rendered_later_is_written_without_another_one():
    ends = os.pipe()
    stream = LogStream(ends[1])
    for text in ("first", "second"):
        stream.write_later(render_texts, text)
        assert os.read(ends[0], 100) == f"{text}\n".encode()
    assert read_lines(stream, ends) == []


def test_lines_that_are_rendered_later_are_dropped_and_counted_beyond_the_limit():
    total = 10 * RENDER_BATCH

    def write_lines(stream):
        for number in range(total):
            stream.write_later(render_texts, number)
            assert len(stream._later) < RENDER_BATCH

    text = text_of_a_stuck_stream(write_lines)
    assert text == f"0\n1\n{total - 2} log lines were dropped: the reader is too slow\n"


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


def render_loudly(items):
    return [f"{item}!\n" for item in items]


def render_texts(items):
    """Render texts and numbers, and raise an error that is among them."""
    for item in items:
        if isinstance(item, Exception):
            raise item
    return [f"{item}\n" for item in items]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("a\nb"), "KeyError: 'a\\\\nb'"),
        (ValueError("a\nb\x1b[2J\ud800"), r"ValueError: a\nb\x1b[2J\ud800"),
        (ValueError("x" * 1000), f"ValueError: {'x' * (MAX_REASON_LENGTH - 12)}"),
        (Unprintable(), "test_stream.Unprintable: <exception str() failed>"),
    ],
)
@pytest.mark.parametrize("before", [0, RENDER_BATCH - 1])
def test_line_that_cannot_be_rendered_is_reported_and_the_others_appear(error, reason, before):
    read, write = os.pipe()
    stream = LogStream(write)
    for number in range(before):
        stream.write_later(render_texts, number)
    stream.write_later(render_texts, error)  # in this thread if it completes a batch
    stream.write_later(render_texts, "after it")
    stream.write("at once\n")
    stream.write_later(render_texts, error)  # in the writer's thread
    stream.close(10)
    os.close(write)
    with os.fdopen(read) as source:
        lines = source.read().splitlines()
    report = f"a log line could not be rendered: {reason}"
    assert [line.replace(f"{__name__}.", "test_stream.") for line in lines] == [
        *map(str, range(before)), report, "after it", "at once", report
    ]  # fmt: skip


def test_writer_takes_lines_without_the_lock_that_other_threads_wait_for(monkeypatch):
    was_free = []

    def try_lock():
        # The test's thread holds the lock only for moments; the writer waits for this thread.
        was_free.append(stream._changed.acquire(timeout=10))
        if was_free[-1]:
            stream._changed.release()

    class Watched(deque):
        def popleft(self):
            item = super().popleft()
            if isinstance(item, str):  # not a line to render
                other = threading.Thread(target=try_lock)
                other.start()
                other.join()
            return item

    monkeypatch.setattr(_stream, "deque", Watched)
    read, write = os.pipe()
    stream = LogStream(write)
    stream.write("first\n")
    stream.write_later(render_texts, "second")
    stream.close(10)
    os.close(write)
    with os.fdopen(read) as source:
        assert source.read() == "first\nsecond\n"
    assert was_free == [True, True]


def test_lines_that_a_renderer_logs_keep_the_order_of_other_lines():
    read, write = os.pipe()
    stream = LogStream(write)
    was_rendering = []

    def render(items):
        stream.write("within\n")
        stream.write_later(render_texts, "later")
        was_rendering.append(stream._is_rendering)
        return items

    with stream._changed:  # so that the writer does not render
        stream.write_later(render, "outer\n")
        stream.write_later(render_texts, "next")
        stream.write("last\n")
    stream.close(10)
    assert was_rendering == [True]
    assert not stream._is_rendering
    os.close(write)
    with os.fdopen(read) as source:
        assert source.read().splitlines() == ["within", "outer", "next", "later", "last"]


def test_line_that_is_written_while_the_writer_renders_another_appears_after_it():
    read, write = os.pipe()
    stream = LogStream(write)
    has_begun, may_end = threading.Event(), threading.Event()

    def render(items):
        has_begun.set()
        may_end.wait(10)
        return items

    stream.write_later(render, "first\n")
    assert has_begun.wait(10)
    other = threading.Thread(target=stream.write, args=["second\n"])
    other.start()
    other.join(0.1)  # not finished: it waits for the writer
    may_end.set()
    other.join(10)
    stream.close(10)
    os.close(write)
    with os.fdopen(read) as source:
        assert source.read() == "first\nsecond\n"

"""Standard streams without a reader."""

import io
import os
import sys

from kakuri_daemon._standard_streams import discard_unread_output


def test_buffered_output_without_a_reader_is_discarded(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    stream.write("nobody")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    discard_unread_output()
    stream.close()  # would raise BrokenPipeError


def test_buffered_output_with_a_reader_is_written(monkeypatch):
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    stream.write("text")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    discard_unread_output()
    assert os.read(reading, 10) == b"text"
    stream.close()
    os.close(reading)

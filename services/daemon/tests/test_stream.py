import contextlib
import os
import threading

from kakuri_daemon import LogStream


def test_lines_are_written_in_order(capfd):
    read, write = os.pipe()
    with os.fdopen(write, "w") as target:
        stream = LogStream(target)
        for number in range(1000):
            assert stream.write(f"line {number}\n") > 0
        stream.close(10)
    with os.fdopen(read) as source:
        assert source.read().splitlines() == [f"line {number}" for number in range(1000)]


def test_a_reader_that_is_gone_harms_nobody():
    read, write = os.pipe()
    os.close(read)
    target = os.fdopen(write, "w")
    stream = LogStream(target)
    stream.write("nobody reads this\n")
    stream.write("nor this\n")
    stream.close(10)
    assert not stream._writer.is_alive()
    with contextlib.suppress(BrokenPipeError):
        target.close()


class Stuck:
    """A target that takes nothing until it is released."""

    def __init__(self):
        self.entered, self.released = threading.Event(), threading.Event()
        self.text = ""

    def write(self, text):
        self.entered.set()
        assert self.released.wait(10)
        self.text += text

    def flush(self):
        pass


def test_a_reader_that_is_stuck_costs_lines_and_not_time():
    target = Stuck()
    stream = LogStream(target, max_waiting=2)
    stream.write("first\n")
    assert target.entered.wait(10)
    for number in range(5):
        stream.write(f"{number}\n")
    stream.close(0)
    target.released.set()
    stream.close(10)
    assert target.text == "first\n0\n1\n3 pieces of the log were dropped: nobody read it\n"

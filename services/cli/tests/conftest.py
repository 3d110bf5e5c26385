import io
import os
import pty
import re
import signal
import sys
import termios
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from kakuri import main

from .fake_api import FakeAPI

NOW = datetime(2026, 11, 26, 14, 1, 17, tzinfo=UTC).timestamp()


@dataclass
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def standard_streams_stay_open():
    """Check that a test leaves no closed stream, to which later tests would write."""
    yield
    for name in ("stdin", "stdout", "stderr"):
        assert not getattr(sys, name).closed, f"the test has left a closed sys.{name}"


@pytest.fixture(autouse=True)
def restored_sigint_handler():
    """Restore the handler of SIGINT: a command that was interrupted ignores it while it exits."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def tests_continue_without_a_reader(monkeypatch):
    """Do not end the process of the tests when the reader of its output closes it."""
    monkeypatch.setattr("kakuri._reader.exit_when_reader_closes", lambda: None)


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test():
    """End the threads of commands, which otherwise end with the process.

    One that continues to try to reach its server would write to the output of later tests, and use
    what they replace.
    """
    earlier = set(threading.enumerate())
    yield
    with pytest.MonkeyPatch.context() as environment:
        environment.setattr("kakuri._outage.OutageTracker.attempt_failed", _give_up)
        for thread in set(threading.enumerate()) - earlier:
            thread.join(10)
            assert not thread.is_alive(), thread


def _give_up(_tracker, error):
    raise error


@pytest.fixture
def api():
    with FakeAPI() as server:
        yield server


UNWANTED = ("NO_COLOR", "SUDO_USER", "TERM", "XDG_CONFIG_HOME")


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Remove the variables that change the output; the clock stands still, in UTC."""
    for name in list(os.environ):
        if name.startswith("KAKURI_") or name in UNWANTED:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def kakuri(api, environment):
    """Run the command against the scripted control plane; return what it printed."""
    environment.setenv("KAKURI_HOST", api.url)

    def run(*args, width=None, stdin=""):
        if width is not None:
            return _on_a_terminal(environment, args, width)
        environment.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        environment.setattr(sys, "stdout", out)
        environment.setattr(sys, "stderr", err)
        code = _exit_code(args)
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return Result(code, *texts)

    return run


def _exit_code(args):
    with pytest.raises(SystemExit) as ended:
        main(args)
    return ended.value.code


def _on_a_terminal(environment, args, width):
    """Run the command with both streams on one terminal of this width."""
    leader, follower = pty.openpty()
    attributes = termios.tcgetattr(follower)
    attributes[1] &= ~termios.ONLCR
    termios.tcsetattr(follower, termios.TCSANOW, attributes)
    termios.tcsetwinsize(follower, (40, width))
    read = []

    def drain():
        try:
            while piece := os.read(leader, 65_536):
                read.append(piece)
        except OSError:
            pass  # the last descriptor of the other side was closed

    reader = threading.Thread(target=drain)
    reader.start()
    with open(follower, "w", encoding="utf-8", closefd=False) as stream:
        environment.setattr(sys, "stdout", stream)
        environment.setattr(sys, "stderr", stream)
        code = _exit_code(args)
        stream.flush()
    os.close(follower)
    reader.join(10)
    os.close(leader)
    return Result(code, b"".join(read).decode(), "")


def without_color(text):
    """Return what a terminal shows, without colours and rewritten lines."""
    return re.sub(r"\x1b\[[0-9;]*[mKHJ]|\r", "", text)

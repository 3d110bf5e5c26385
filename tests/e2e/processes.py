"""Kakuri's daemons as processes, and the programs that talk to them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.openapi.checker import check_response

BIN = Path(sys.executable).parent
DEADLINE = 20
"""Seconds to wait for a condition."""


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment that a service manager gives a daemon: PATH, HOME and `more`.

    A developer's own variables change what is tested: PYTHONUNBUFFERED, for one, hides what a
    daemon still has to write when it exits. Those of a coverage measurement make it half as fast.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | more


class Daemon:
    """A running daemon, with a clean environment; the kernel chose its port."""

    def __init__(
        self, name: str, *options: str, log: Path, env: dict[str, str] | None = None
    ) -> None:
        self.name, self.options, self.log = name, options, log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [BIN / name, *options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=clean_environment(**(env or {})),
            )
        self.first_line = self.process.stdout.readline()
        if not self.first_line.startswith("listening on "):
            self.end(signal.SIGKILL)
            raise AssertionError(f"{name} said {self.first_line!r}; {log.read_text()}")
        self.address = self.first_line.removeprefix("listening on ").strip()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def await_log(self, text: str) -> None:
        """Wait until the log has this text."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        return status


@dataclass
class Answer:
    """What curl printed of a response."""

    status: int
    headers: dict[str, str]
    body: str


def curl(url: str, *options: str) -> Answer:
    """Request a URL of a control plane with the real curl.

    Raises:
        tests.openapi.checker.UndocumentedResponse: The response is not as the API's document
            describes it.
    """
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        str(DEADLINE),
        *options,
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * DEADLINE)
    head, _, body = done.stdout.partition("\n\n")
    while head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\n\n")
    status_line, *fields = head.splitlines()
    headers = dict(field.split(": ", 1) for field in fields)
    answer = Answer(int(status_line.split()[1]), {k.lower(): v for k, v in headers.items()}, body)
    check_response(_method_of(options), url, answer.status, answer.headers, body)
    return answer


def _method_of(options: tuple[str, ...]) -> str:
    """Return the method with which curl sends a request."""
    for option, value in pairwise((*options, "")):
        if option in ("-X", "--request"):
            return value
    has_content = any(option.startswith(("-d", "--data")) for option in options)
    return "POST" if has_content else "GET"


def nc(port: int, text: str, *options: str) -> str:
    """Send text with the real nc, close the sending side, and return the answer."""
    command = ["nc", "-N", "-w", str(DEADLINE), *options, "127.0.0.1", str(port)]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=2 * DEADLINE
    ).stdout

"""What a supervisor is told, and what it need not be there for: a loop that hangs.

systemd is told over the socket that it names (sd_notify(3)). A thread of this process watches the
event loop besides, because a daemon whose loop hangs answers nobody and still looks alive.
"""

import asyncio
import faulthandler
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar

import structlog

log = structlog.get_logger()

HANG_SECONDS = 30
"""Beats of the watching thread, one a second, without one of the loop, after which the process
ends. They are counted instead of read off a clock: a process that was stopped for an hour and goes
on has missed none."""

SHED_SECONDS = 5
"""Beats without one of the loop after which the daemon sheds load, and again after as many: a loop
that is late because of too many peers then turns again, and only one that hangs is ended."""

EXIT_HUNG = 70
"""The exit status of a process whose loop hung: EX_SOFTWARE of sysexits(3)."""

_BEAT_SECONDS = 1.0


class Supervisor:
    """Tells systemd what state the daemon is in, where systemd has started it and wants to know."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        given = dict(os.environ) if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        asked = given.get("WATCHDOG_USEC", "")
        is_ours = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        is_number = re.fullmatch("[0-9]{1,18}", asked) is not None
        self._watchdog = int(asked) / 1e6 if is_number and is_ours else None

    def ready(self) -> None:
        """Tell that the daemon serves."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Tell that the daemon finishes what is in flight."""
        self._tell("STOPPING=1")

    @property
    def beat_seconds(self) -> float | None:
        """How often `beat` has to be called; None if nobody waits for it."""
        return None if self._watchdog is None else self._watchdog / 2

    def beat(self) -> None:
        """Tell that the daemon's loop turns."""
        self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # A leading @ stands for the zero byte of an abstract socket.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
                notify.connect(address)
                notify.sendall(state.encode())
        except OSError as error:
            log.warning("systemd not told", state=state, error=str(error))


_shedding: ContextVar[list[Callable[[], None]]] = ContextVar("kakuri_daemon_shedding")


def shed_with(shed: Callable[[], None]) -> None:
    """Register how a service sheds load when its event loop is late.

    To be called while the service starts, with for example `kakuri_tcp.Server.shed`. `shed` is
    called from another thread. Outside of `run` nothing is registered.
    """
    registered = _shedding.get(None)
    if registered is not None:
        registered.append(shed)


class LoopWatch:
    """Sheds load when the event loop is late, and ends the process when it has not turned for long.

    The end says where every thread hangs. Shedding is what was registered by `shed_with` in the
    context that made the watch, or later.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        beats: int = HANG_SECONDS,
        shed_beats: int = SHED_SECONDS,
        interval: float = _BEAT_SECONDS,
        end: Callable[[], None] | None = None,
    ) -> None:
        """Watch a loop: `beats` times `interval` seconds without a turn, and `end` is called.

        Load is shed after `shed_beats` of them, and again after as many.
        """
        self._loop = loop
        self._beats = beats
        self._shed_beats = shed_beats
        self._shedding: list[Callable[[], None]] = []
        _shedding.set(self._shedding)
        self._interval = interval
        self._end = end or _end_process
        self._turned = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        missed = 0
        while not self._closed.wait(self._interval):
            if self._turned.is_set():
                missed = 0
                self._turned.clear()
            else:
                missed += 1
            if missed >= self._beats:
                self._end()
                return
            if missed and missed % self._shed_beats == 0:
                self._shed(missed)
            if missed <= 1:
                self._ask()

    def _shed(self, missed: int) -> None:
        log.warning("event loop late", seconds=round(missed * self._interval, 2), shed=True)
        for shed in list(self._shedding):
            try:
                shed()
            except RuntimeError:  # the loop is closed
                self._closed.set()

    def _ask(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._turned.set)
        except RuntimeError:  # the loop is closed
            self._closed.set()


def _end_process() -> None:
    print("the event loop hangs; where every thread is:", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_HUNG)

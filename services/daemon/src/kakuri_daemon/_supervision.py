"""Notification of systemd, and a watchdog for the event loop.

systemd is notified over the socket that it names (sd_notify(3)). A thread of this process watches
the event loop too, because a daemon whose loop hangs answers no request and still looks alive.
"""

import asyncio
import faulthandler
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import structlog

log = structlog.get_logger()

HANG_CHECKS = 30
"""The process ends after this many consecutive checks, one per second, without a turn of the loop.
Checks are counted, instead of seconds of a clock, so that a process that was stopped for an hour
and continued has missed none."""

SHED_CHECKS = 5
"""The daemon sheds load after each series of this many checks without a turn of the loop. A loop
that is late because of too many peers then recovers, and only a process whose loop hangs ends."""

EXIT_HUNG = 70
"""The exit status of a process whose loop hung: EX_SOFTWARE of sysexits(3)."""

READY_RETRY_SECONDS = 1.0
"""Seconds until systemd is notified again that the daemon serves, if its socket was full."""

_CHECK_SECONDS = 1.0


class Supervisor:
    """Notifies systemd of the daemon's state, if systemd started it and expects notifications.

    No method waits for systemd: while it reads nothing, as during a hang of systemd itself, its
    socket is full, and a daemon that waited for it would serve no client and be ended as hung.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        given = dict(os.environ) if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        interval = given.get("WATCHDOG_USEC", "")
        is_ours = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        is_number = re.fullmatch("[1-9][0-9]{0,17}", interval) is not None
        self._watchdog = int(interval) / 1e6 if is_number and is_ours else None
        self._must_resend_ready = False

    def ready(self) -> None:
        """Notify systemd that the daemon serves; `heartbeat` tries again if its socket is full."""
        self._must_resend_ready = not self._notify("READY=1")

    def stopping(self) -> None:
        """Notify systemd that the daemon completes requests in progress and stops."""
        self._notify("STOPPING=1")

    @property
    def interval(self) -> float | None:
        """Seconds until the next call of `heartbeat`; None if systemd expects none."""
        if self._must_resend_ready:
            return READY_RETRY_SECONDS
        return None if self._watchdog is None else self._watchdog / 2

    def heartbeat(self) -> None:
        """Notify systemd that the daemon is alive, or first repeat READY=1 if that is still due."""
        if self._must_resend_ready:
            self.ready()
        else:
            self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> bool:
        """Send a state; return False if it has to be sent again, because the socket is full."""
        if not self._address.startswith(("/", "@")):
            return True
        # A leading @ stands for the zero byte of an abstract socket.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.connect(address)
                sender.send(state.encode())
        except OSError as error:
            log.warning("systemd not notified", state=state, error=str(error))
            return not isinstance(error, BlockingIOError)
        return True


_shedding: ContextVar[list[Callable[[], None]]] = ContextVar("kakuri_daemon_shedding")


def shed_with(shed: Callable[[], None]) -> None:
    """Register how a service sheds load when its event loop is late.

    Call it while the service starts. Outside of `run` it does nothing.

    Args:
        shed: Called from another thread; for example `kakuri_tcp.Server.shed`.
    """
    registered = _shedding.get(None)
    if registered is not None:
        registered.append(shed)


class LoopWatchdog:
    """A thread that sheds load if the event loop is late, and ends the process if it hangs.

    Before the process ends, a traceback of every thread is printed. Load is shed by the functions
    that `shed_with` registers in the context (contextvars) that created the watchdog.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        hang_checks: int = HANG_CHECKS,
        shed_checks: int = SHED_CHECKS,
        interval: float = _CHECK_SECONDS,
        end: Callable[[], None] | None = None,
        on_lag: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Create a watchdog.

        Args:
            loop: The event loop to watch.
            hang_checks: Consecutive checks without a turn after which `end` is called.
            shed_checks: Consecutive checks without a turn after which load is shed, each time.
            interval: Seconds between checks.
            end: Ends the process; by default with status 70.
            on_lag: Called in the loop after each check, with the seconds between scheduling the
                check and running it.
        """
        self._loop = loop
        self._hang_checks = hang_checks
        self._shed_checks = shed_checks
        self._shedding: list[Callable[[], None]] = []
        _shedding.set(self._shedding)
        self._interval = interval
        self._end = end or _end_process
        self._on_lag = on_lag
        self._turned = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, and wait for its end."""
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
            if missed >= self._hang_checks:
                self._end()
                return
            if missed and missed % self._shed_checks == 0:
                self._shed(missed)
            if missed <= 1:
                self._request_turn()

    def _shed(self, missed: int) -> None:
        log.warning("event loop late", seconds=round(missed * self._interval, 2), shed=True)
        for shed in list(self._shedding):
            try:
                shed()
            except RuntimeError:  # the loop is closed
                self._closed.set()

    def _request_turn(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._turn, time.perf_counter())
        except RuntimeError:  # the loop is closed
            self._closed.set()

    def _turn(self, requested: float) -> None:
        self._turned.set()
        self._on_lag(time.perf_counter() - requested)


def _end_process() -> None:
    print("the event loop hangs; the stack of every thread:", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_HUNG)

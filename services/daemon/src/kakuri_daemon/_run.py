"""Runs a daemon's process: announces readiness, serves, drains and stops."""

import asyncio
import select
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
from kakuri_tcp import Endpoint, ListenFailed

from kakuri_daemon import _memory
from kakuri_daemon._errors import DaemonError
from kakuri_daemon._frames import call_with_room_for_frames
from kakuri_daemon._process_limits import forbid_core_files, raise_descriptor_limit
from kakuri_daemon._supervision import LoopWatchdog, Supervisor
from kakuri_daemon.metrics import observe_loop_lag

log = structlog.get_logger()

SWITCH_SECONDS = 0.0001
"""Seconds that a thread waits for the interpreter's lock before it requests it. A write to disk
acquires it a few times, and a client waits for the sum. Python's default of 5 ms suits threads that
compute."""


def run(
    service: Callable[[], AbstractAsyncContextManager[Endpoint]], *, lifeline: int | None = None
) -> None:
    """Run a service until SIGTERM, SIGHUP or Ctrl-C.

        @asynccontextmanager
        async def service() -> AsyncIterator[Endpoint]:
            async with await listen_lines("127.0.0.1:9000", bytes.upper) as server:
                yield server.endpoint
                await server.drain(10)

        run(service)

    When the service listens, the first line on standard output is `listening on HOST:PORT` or
    `listening on unix:PATH`, and systemd is notified. A second signal ends the process at once, and
    so does an event loop that hangs. The process uses uvloop if it is installed, raises its limit
    of descriptors, and leaves no core file.

    Args:
        service: Returns an async context manager. Entering it starts to listen and yields the real
            endpoint; leaving it completes requests in progress.
        lifeline: A descriptor whose other end the parent process holds; its end stops the service
            as SIGTERM does.

    Raises:
        DaemonError: The service can't listen, or the process may not open enough descriptors.
    """
    _memory.prepare()
    raise_descriptor_limit()
    forbid_core_files()
    sys.setswitchinterval(SWITCH_SECONDS)

    def serve() -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(service, lifeline))

    try:
        call_with_room_for_frames(serve)
    except ListenFailed as error:
        raise DaemonError(str(error)) from error


async def _serve(
    service: Callable[[], AbstractAsyncContextManager[Endpoint]], lifeline: int | None
) -> None:
    loop = asyncio.get_running_loop()
    stop_requested = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        stop_requested.set()
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for each in handled:
            loop.remove_signal_handler(each)
            # The next signal ends the process at once, except for SIGHUP: a closing terminal may
            # send it more than once.
            signal.signal(each, signal.SIG_IGN if each is signal.SIGHUP else signal.SIG_DFL)
        log.info("stopping", signal=number.name)

    handled = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup(1) has it
        handled.append(signal.SIGHUP)
    for number in handled:
        loop.add_signal_handler(number, stop, number)
    if lifeline is not None:
        loop.add_reader(lifeline, stop, signal.SIGTERM)
    supervisor = Supervisor()
    watchdog = LoopWatchdog(loop, on_lag=observe_loop_lag)
    collector = _memory.Collector(loop)
    collector.start()
    async with service() as endpoint:
        watchdog.start()
        try:
            _announce(endpoint)
            supervisor.ready()
            await _notify_until(stop_requested, supervisor)
        finally:
            watchdog.close()
            supervisor.stopping()
    collector.close()
    log.info("stopped")


async def _notify_until(stop_requested: asyncio.Event, supervisor: Supervisor) -> None:
    while True:
        try:
            async with asyncio.timeout(supervisor.interval):
                await stop_requested.wait()
        except TimeoutError:
            supervisor.heartbeat()
        else:
            return


def _announce(endpoint: Endpoint) -> None:
    """Print the ready line; if standard output is a full pipe, print it once there is room."""
    if select.select([], [sys.stdout], [], 0)[1]:
        _write_ready_line(endpoint)
        return
    log.warning("standard output is full; the ready line is printed once there is room")
    loop, descriptor = asyncio.get_running_loop(), sys.stdout.fileno()

    def write_later() -> None:
        loop.remove_writer(descriptor)
        try:
            _write_ready_line(endpoint)
        except DaemonError as error:
            log.warning(str(error))

    loop.add_writer(descriptor, write_later)


def _write_ready_line(endpoint: Endpoint) -> None:
    try:
        # In one write, even if the stream is unbuffered: logs may go to the same file.
        sys.stdout.write(f"listening on {endpoint}\n")
        sys.stdout.flush()
    except OSError as error:
        message = f"can't write to standard output that the daemon is ready: {error.strerror}"
        raise DaemonError(message) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 (an extra: used where it is installed)
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop

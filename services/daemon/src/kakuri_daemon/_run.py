"""The life of a daemon's process: ready, serving, drained, gone."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
from kakuri_tcp import Endpoint, ListenFailed

from kakuri_daemon import _memory
from kakuri_daemon._command import DaemonError
from kakuri_daemon._supervision import LoopWatch, Supervisor

log = structlog.get_logger()

SWITCH_SECONDS = 0.0001
"""How long a thread waits for the interpreter's lock before it asks for it: a write to disk needs
it a few times, and its waits add up to what a client waits for. Python's own 5 ms are for threads
that compute."""


def run(
    service: Callable[[], AbstractAsyncContextManager[Endpoint]], *, lifeline: int | None = None
) -> None:
    """Run a service until SIGTERM, SIGHUP or Ctrl-C.

    Entering the context that `service()` gives starts listening and yields the real endpoint;
    leaving it finishes what is in flight. When ready, the first line on standard output is
    `listening on HOST:PORT` or `listening on unix:PATH`; systemd is told as well. A second signal
    ends the process at once, and so does a loop that hangs. The end of `lifeline`, a descriptor
    whose other end the parent process holds, stops the service as SIGTERM does.
    Raises DaemonError if the service can't listen.
    """
    _memory.prepare()
    _raise_descriptor_limit()
    _forbid_core_files()
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_serve(service, lifeline))
        except ListenFailed as error:
            raise DaemonError(str(error)) from error


async def _serve(
    service: Callable[[], AbstractAsyncContextManager[Endpoint]], lifeline: int | None
) -> None:
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        asked_to_stop.set()
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for each in handled:
            loop.remove_signal_handler(each)
            # The next one ends the process at once; but a terminal that closes may send SIGHUP
            # more than once.
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
    watch = LoopWatch(loop)
    collector = _memory.Collector(loop)
    collector.start()
    async with service() as endpoint:
        _announce(endpoint)
        supervisor.ready()
        watch.start()
        try:
            await _beat_until(asked_to_stop, supervisor)
        finally:
            watch.close()
            supervisor.stopping()
    collector.close()
    log.info("stopped")


async def _beat_until(asked_to_stop: asyncio.Event, supervisor: Supervisor) -> None:
    while True:
        try:
            async with asyncio.timeout(supervisor.beat_seconds):
                await asked_to_stop.wait()
        except TimeoutError:
            supervisor.beat()
        else:
            return


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as this process may have.

    The usual soft limit of 1024 is for programs that call select(2): idle connections would use
    it up, and leave none to reach the next daemon with.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _forbid_core_files() -> None:
    """Leave no core file: it would hold the variables of every workload."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _announce(endpoint: Endpoint) -> None:
    try:
        # In one piece, though it may be unbuffered: logs may go to the same place.
        sys.stdout.write(f"listening on {endpoint}\n")
        sys.stdout.flush()
    except OSError as error:
        message = f"can't say on standard output that it is ready: {error.strerror}"
        raise DaemonError(message) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 (an extra: used where it is installed)
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop

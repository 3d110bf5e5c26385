"""Worker processes: a daemon on more than one core.

The parent opens the sockets, starts the workers and replaces those that end; it serves no requests
itself. A worker is the same command, with the sockets' descriptors in its environment. The parent
keeps every worker's sockets open, so connections that are not accepted yet wait for the worker's
successor, and the end of a worker only breaks the connections that it had accepted.

```
parent ── sockets 1 ──▶ worker 1 ─┐
   └───── sockets 2 ──▶ worker 2 ─┴─▶ agent
```
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)

import structlog
from kakuri_tcp import Endpoint, ListeningSockets, LocalAccess, open_listening_sockets

from kakuri_daemon._errors import DaemonError
from kakuri_daemon._run import run
from kakuri_daemon._worker_peers import PeerSockets, inherited_peers, peer_sockets

log = structlog.get_logger()

SOCKETS_VARIABLE = "_KAKURI_WORKER_SOCKETS"
"""The variable that makes a process a worker: descriptors of its sockets, separated by commas, and
by a semicolon for each further endpoint."""

MIN_DELAY, MAX_DELAY = 0.1, 10.0
"""Seconds before a worker is replaced: doubled for each that ends soon after its start."""

STABLE_SECONDS = 10.0
"""Seconds that a worker has to run until the delay is reset."""

STOP_SECONDS = 15.0
"""Seconds after SIGTERM until a worker that has not ended is killed, such as one that was stopped
(SIGSTOP). More than the 10 s that requests get, and less than the units' TimeoutStopSec."""

_LIFELINE = 0  # standard input, a pipe whose other end closes when the parent ends


def run_workers(
    service: Callable[..., AbstractAsyncContextManager[Endpoint]],
    endpoint: Endpoint,
    number: int,
    *,
    more: Sequence[Endpoint] = (),
    local_access: LocalAccess | None = None,
) -> None:
    """Run a service as `run` does, in several processes if `number` is more than one.

    Args:
        service: Returns the service of one process; called with what it has to listen on, an
            Endpoint or ListeningSockets for `endpoint` and for each of `more`, and with `peers=`,
            the WorkerPeers of a worker; None if it has none.
        endpoint: Where to listen; port 0 lets the kernel choose.
        number: The number of processes, at least 1.
        more: Further endpoints to listen on.
        local_access: Who may connect to a Unix socket; the workers check users on loopback.

    Raises:
        DaemonError: The endpoint can't be used, or a worker did not start.
    """
    endpoints = (endpoint, *more)
    sockets = _inherited_sockets(endpoints)
    if sockets is not None:
        peers = inherited_peers()
        run(lambda: service(*sockets, peers=peers), lifeline=_LIFELINE)
    elif number > 1:
        run(lambda: _worker_processes(endpoints, number, local_access))
    else:
        run(lambda: service(*endpoints, peers=None))


def _inherited_sockets(endpoints: Sequence[Endpoint]) -> list[ListeningSockets] | None:
    """Return the sockets that a parent has opened for this process; None without a parent.

    Raises:
        DaemonError: A descriptor is not a socket, because another program set the variable.
    """
    given = os.environ.pop(SOCKETS_VARIABLE, None)
    if given is None:
        return None
    try:
        groups = [[int(each) for each in group.split(",")] for group in given.split(";")]
        return [
            ListeningSockets.inherited(endpoint, group)
            for endpoint, group in zip(endpoints, groups, strict=True)
        ]
    except (OSError, OverflowError, ValueError) as error:
        raise DaemonError(
            f"expected listening sockets in {SOCKETS_VARIABLE}, got {given!r}"
        ) from error


@asynccontextmanager
async def _worker_processes(
    endpoints: Sequence[Endpoint], number: int, local_access: LocalAccess | None
) -> AsyncIterator[Endpoint]:
    """Start workers that serve endpoints while the context is entered; yield the first real one.

    Entering the context waits until all of them listen. Leaving it sends them SIGTERM, and waits
    until they have completed their requests in progress and ended. Those that have not ended after
    STOP_SECONDS are killed.
    """
    with ExitStack() as stack:
        opened: list[list[ListeningSockets]] = []
        for endpoint in endpoints:
            opened.append(open_listening_sockets(endpoint, number, local_access=local_access))
            for sockets in opened[-1]:
                stack.callback(sockets.close)
        lifeline = stack.enter_context(_pipe())
        peers = stack.enter_context(peer_sockets(number))
        workers = [
            _Worker(index, worker_sockets, lifeline[0], peers)
            for index, worker_sockets in enumerate(zip(*opened, strict=True), 1)
        ]
        tasks = [asyncio.create_task(worker.keep_running()) for worker in workers]
        try:
            await _all_ready(workers, tasks)
            yield opened[0][0].endpoint
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for worker in workers:
                worker.kill()
            # Of several that did not start, one is reported.
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all_ready(workers: list["_Worker"], tasks: list[asyncio.Task[None]]) -> None:
    """Wait until every worker listens; raise the error of one that fails to."""
    waits = [asyncio.create_task(worker.ready.wait()) for worker in workers]
    try:
        for ready in waits:
            await asyncio.wait([ready, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for ready in waits:
            ready.cancel()


class _Worker:
    """One worker: a process that is replaced when it ends."""

    def __init__(
        self, index: int, sockets: Sequence[ListeningSockets], lifeline: int, peers: PeerSockets
    ) -> None:
        self.ready = asyncio.Event()
        self._index = index
        self._sockets = sockets
        self._lifeline = lifeline
        self._peers = peers
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Terminate the process gracefully; it is not replaced."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        if self._process is not None:
            log.error("worker killed", worker=self._index, pid=self._process.pid)
            self._process.kill()

    async def keep_running(self) -> None:
        """Run a process, and replace it when it ends, until `stop` is called.

        Raises:
            DaemonError: The first process ended before it listened.
        """
        loop = asyncio.get_running_loop()
        delay = MIN_DELAY
        while not self._stopping.is_set():
            started = loop.time()
            end = await self._run()
            if self._stopping.is_set():
                return
            if not self.ready.is_set():
                raise DaemonError(f"worker {self._index} did not start: {end}")
            if loop.time() - started >= STABLE_SECONDS:
                delay = MIN_DELAY
            log.error("worker ended", worker=self._index, end=end, replaced_in=delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            delay = min(2 * delay, MAX_DELAY)

    async def _run(self) -> str:
        """Run one process to its end, and return how it ended or why it was not started."""
        try:
            with _pipe() as (reading, writing):
                self._process = process = self._start(writing)
                try:
                    await self._wait(process, reading)
                finally:
                    self._process = None
                    process.kill()  # no effect unless the wait failed: it has ended
                    status = process.wait()
        except OSError as error:  # no descriptor, memory or process is left for it
            return error.strerror or str(error)
        return signal.Signals(-status).name if status < 0 else f"status {status}"

    async def _wait(self, process: subprocess.Popen[bytes], reading: int) -> None:
        """Wait until a process has ended; read its line when it listens."""
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._read_ready_line, reading)
        try:
            await _wait_for_exit(process.pid)
        finally:
            loop.remove_reader(reading)

    def _start(self, stdout: int) -> subprocess.Popen[bytes]:
        """Start this process's command again, with the worker's sockets."""
        groups = [each.descriptors for each in self._sockets]
        variables, descriptors = self._peers.for_worker(self._index)
        return subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, *sys.orig_argv[1:]],
            stdin=self._lifeline,
            stdout=stdout,
            env=_environment(groups) | variables,
            pass_fds=[*descriptors, *(descriptor for group in groups for descriptor in group)],
            process_group=0,  # Ctrl-C is for the parent, which then stops the workers
        )

    def _read_ready_line(self, reading: int) -> None:
        """Read a worker's line `listening on …`; the parent prints one line for all workers."""
        asyncio.get_running_loop().remove_reader(reading)
        if os.read(reading, 4096):
            self.ready.set()
            if self._process is not None:
                log.info("worker started", worker=self._index, pid=self._process.pid)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe; yield its reading and its writing end."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


async def _wait_for_exit(pid: int) -> None:
    """Wait until a child process has ended, without reaping it (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set_result, None)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _environment(groups: list[list[int]]) -> dict[str, str]:
    """Return a worker's environment; only the parent notifies systemd."""
    environment = dict(os.environ)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        environment.pop(name, None)
    return environment | {SOCKETS_VARIABLE: ";".join(",".join(map(str, group)) for group in groups)}

"""Listening: sockets, the accept loop, the account of connections, and how a server ends."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from kakuri_tcp._connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectionFault, IdleTimeout, ListenFailed, WriteTimeout
from kakuri_tcp._limits import ServerLimits

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_log = logging.getLogger("kakuri_tcp")

# accept() fails with these when the process or the system has run out of something.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY_ACCEPT = 0.25  # seconds; a connection that ends tries again at once
_ACCEPTS_PER_TURN = 64  # so that a storm of connections doesn't starve the ones we have


@dataclass(slots=True)
class Counters:
    """What a server has seen since it started; plain numbers, never reset."""

    accepted: int = 0
    refused: int = 0
    handshakes_failed: int = 0
    idle_timeouts: int = 0
    write_timeouts: int = 0
    faults: int = 0
    accept_failures: int = 0


class Server:
    """A listening endpoint and its connections; made by `listen`.

    As an async context manager it closes at the end of the block.

    Attributes:
        endpoint: where it listens, with the port that the kernel chose.
        limits: what it allows its peers.
        counters: what it has seen.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        sockets: list[socket.socket],
        factory: Callable[[], Connection],
        limits: ServerLimits,
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.counters = Counters()
        self._sockets = sockets
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._connections: dict[Connection, str] = {}
        self._per_peer: Counter[str] = Counter()
        self._openings: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._ended.set()
        self._retry: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._start_accepting()
        self._sweep()

    def __repr__(self) -> str:
        state = "draining" if self._is_draining else "listening"
        if not self._sockets:
            state = "draining" if self._connections else "closed"
        elif self._retry is not None:
            state = "out of descriptors"
        return f"<Server {self.endpoint} {state}, {len(self._connections)} connections>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connections(self) -> int:
        """How many connections are open, those in a TLS handshake included."""
        return len(self._connections)

    async def drain(self, deadline: float) -> int:
        """Accept no more, let every connection finish what is in flight, then close.

        Args:
            deadline: seconds after which the rest is aborted.

        Returns:
            How many connections had to be aborted.

        """
        self._stop_accepting()
        self._is_draining = True
        for connection in list(self._connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._ended.wait()
        aborted = len(self._connections)
        await self.close()
        return aborted

    async def close(self) -> None:
        """Stop listening and abort every connection; may be called again."""
        self._stop_accepting()
        for task in list(self._openings):
            task.cancel()
        if self._openings:
            await asyncio.wait(self._openings)
        for connection in list(self._connections):
            connection.abort()
        await self._ended.wait()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def connection_ended(self, connection: Connection, fault: ConnectionFault | None) -> None:
        """Take a connection off the account; connections call this."""
        key = self._connections.pop(connection, None)
        if key is None:
            return
        self._per_peer[key] -= 1
        if not self._per_peer[key]:
            del self._per_peer[key]
        if isinstance(fault, IdleTimeout):
            self.counters.idle_timeouts += 1
        elif isinstance(fault, WriteTimeout):
            self.counters.write_timeouts += 1
        elif fault is not None:
            self.counters.faults += 1
        if not self._connections:
            self._ended.set()
        if self._retry is not None:
            self._start_accepting()  # a descriptor has become free

    # Accepting

    def _start_accepting(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)

    def _stop_accepting(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause_accepting(error)
                return
            self._take(accepted, address)

    def _pause_accepting(self, error: OSError) -> None:
        """Wait for a descriptor; the connections that we have are served meanwhile."""
        self.counters.accept_failures += 1
        _log.warning("%s can't accept: %s", self.endpoint, error.strerror)
        for listener in self._sockets:
            self._loop.remove_reader(listener)
        self._retry = self._loop.call_later(_RETRY_ACCEPT, self._start_accepting)

    def _take(self, accepted: socket.socket, address: object) -> None:
        key, peer = _describe(address)
        if (
            len(self._connections) >= self.limits.connections
            or (key and self._per_peer[key] >= self.limits.connections_per_peer)
        ):  # fmt: skip
            self.counters.refused += 1
            accepted.close()
            return
        accepted.settimeout(0)
        connection = self._factory()
        connection.adopt(self, peer, self.limits)
        self.counters.accepted += 1
        self._connections[connection] = key
        self._per_peer[key] += 1
        self._ended.clear()
        task = self._loop.create_task(self._open(accepted, connection))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except (OSError, asyncio.CancelledError) as error:
            accepted.close()
            self.counters.handshakes_failed += 1
            self.connection_ended(connection, None)
            if isinstance(error, asyncio.CancelledError):
                raise

    # Timeouts

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            connection.sweep(now)
        self._sweeper = self._loop.call_later(self.limits.sweep_interval, self._sweep)


async def listen(
    endpoint: Endpoint,
    factory: Callable[[], Connection],
    *,
    limits: ServerLimits | None = None,
) -> Server:
    """Listen on an endpoint and make a connection of `factory` for every peer.

    A host name is listened on at every address that it has; with port 0 all get the same port.

    Raises:
        ListenFailed: the address is taken, is not of this machine, or may not be used.

    """
    limits = limits or ServerLimits()
    loop = asyncio.get_running_loop()
    if endpoint.scheme != "tcp":
        raise ListenFailed(str(endpoint), f"the scheme {endpoint.scheme!r} is not served")
    try:
        found = await loop.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = _bind_all(found, endpoint.port, limits.backlog)
    except OSError as error:
        raise ListenFailed(str(endpoint), error.strerror or str(error)) from error
    port = sockets[0].getsockname()[1]
    return Server(replace(endpoint, port=port), sockets, factory, limits)


def _bind_all(found: Iterable[_AddressInfo], port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address that a name has, at one port.

    A name may have addresses of a family that this machine doesn't speak (`localhost` where IPv6
    is off); they are left out as long as one address remains.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            missing = error
            continue
        try:
            listener.settimeout(0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRNOTAVAIL:
                for other in sockets:
                    other.close()
                raise
            missing = error
            continue
        sockets.append(listener)
        port = listener.getsockname()[1]
    if not sockets:
        raise missing or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return sockets


def _describe(address: object) -> tuple[str, str]:
    """Give what connections of one peer are counted by, and the peer's text for logs."""
    match address:
        case (str(host), int(port), *_):
            ip = ipaddress.ip_address(host)
            if isinstance(ip, ipaddress.IPv6Address):
                if ip.ipv4_mapped is not None:
                    return str(ip.ipv4_mapped), f"{ip.ipv4_mapped}:{port}"
                # One subscriber holds a whole /64 (RFC 6177).
                return ip.packed[:8].hex(), f"[{host}]:{port}"
            return host, f"{host}:{port}"
    return "", "unix"

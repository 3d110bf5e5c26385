"""Servers: accepting connections, counting them, timeouts, draining and closing."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from kakuri_tcp._connection import Connection
from kakuri_tcp._connection_table import ConnectionTable
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import (
    ConnectionFault,
    ForbiddenUser,
    IdleTimeout,
    ListenFailed,
    Overloaded,
    WriteTimeout,
)
from kakuri_tcp._limits import DEFAULT_SERVER_LIMITS, ServerLimits, check_timeout, check_type
from kakuri_tcp._listeners import ListeningSockets, open_sockets
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._peers import Peer, identify
from kakuri_tcp._shared import SharedResources
from kakuri_tcp._tls import ServerTLS
from kakuri_tcp._user_check import UserCheck

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("kakuri_tcp")

_RETRY_ACCEPT = 0.25  # seconds; accepting also resumes when a connection ends
_ACCEPTS_PER_TURN = 64  # so that a flood of new connections doesn't starve the open ones


@dataclass(slots=True)
class Counters:
    """Counts of events since the server started; never reset."""

    accepted: int = 0
    """Connections that were opened, including those that only receive a refusal."""
    refused: int = 0
    """Connections that were closed immediately: over a limit, or on a Unix socket whose mode does
    not admit the user."""
    handshakes_failed: int = 0
    """TLS handshakes that failed or did not complete in time."""
    idle_timeouts: int = 0
    """Connections that were closed because the peer made no progress."""
    write_timeouts: int = 0
    """Connections that were closed because the peer did not read."""
    faults: int = 0
    """Connections that ended with any other fault, such as a reset by the peer."""
    accept_failures: int = 0
    """Failed attempts to accept connections, usually because no file descriptor was free."""
    evicted: int = 0
    """Idle connections that were closed to make room for a new one."""
    overloaded: int = 0
    """Connections closed because all together used too many resources, or by `shed`."""
    forbidden: int = 0
    """Connections over loopback from users who may not connect."""


class Server:
    """A listening endpoint and its connections; returned by `listen`.

    Use it as an async context manager, which closes the server on exit. To let requests in progress
    complete, call `drain` first.

    Attributes:
        endpoint: The endpoint it listens on, with the actual port.
        limits: The limits of its connections.
        counters: Event counts since the start.
    """

    def __init__(
        self,
        listeners: ListeningSockets,
        factory: Callable[[], Connection],
        limits: ServerLimits,
        tls: "ssl.SSLContext | None",
        local_access: LocalAccess,
    ) -> None:
        self.endpoint: Endpoint = listeners.endpoint
        self.limits = limits
        self.counters: Counters = Counters()
        self._listeners = listeners
        self._sockets = listeners.sockets
        self._tls = tls
        self._access = local_access
        self._users = UserCheck(local_access, listeners)
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._table = ConnectionTable(limits)
        self._shared = SharedResources(limits)
        self._openings: dict[Connection, asyncio.Task[None]] = {}
        self._accepted: dict[Connection, socket.socket] = {}  # not opened yet
        self._ended = asyncio.Event()
        self._ended.set()
        self._retry: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._is_exhausted = False
        self._start_accepting()
        self._sweep()

    def __repr__(self) -> str:
        state = "draining" if self._is_draining else "listening"
        if not self._sockets:
            state = "draining" if self._table else "closed"
        elif self._retry is not None:
            state = "out of descriptors"
        return f"<Server {self.endpoint} {state}, {len(self._table)} connections>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def connections(self) -> int:
        """The number of open connections, including those in a TLS handshake."""
        return len(self._table)

    def shed(self) -> None:
        """Abort the connections with the most pending work: half of those that wait for a turn.

        Intended for a watchdog that finds the event loop running late. May be called from any
        thread; takes effect in the next turn of the loop. `counters.overloaded` counts the
        connections.

        Raises:
            RuntimeError: The event loop is closed.
        """
        self._loop.call_soon_threadsafe(self._shared.shed)

    async def drain(self, deadline: float) -> int:
        """Stop accepting, let requests in progress complete, then close.

        Args:
            deadline: Seconds after which the remaining connections are aborted.

        Returns:
            The number of connections that were aborted.

        Raises:
            TypeError: The deadline is not a number.
            ValueError: It is NaN.
        """
        check_timeout(deadline, "deadline", may_be_none=False)
        self._stop_accepting()
        self._is_draining = True
        await self._cancel_openings()
        for connection in self._table.connections:
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._ended.wait()
        aborted = len(self._table)
        await self.close()
        return aborted

    async def close(self) -> None:
        """Stop listening, and abort every connection. Closing again has no effect."""
        self._stop_accepting()
        await self._cancel_openings()
        for connection in self._table.connections:
            connection.abort()
        await self._ended.wait()
        self._shared.turns.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def connection_ended(self, connection: Connection, fault: ConnectionFault | None) -> None:
        """Remove a connection and count its fault; connections call this."""
        if not self._table.remove(connection):
            return
        if isinstance(fault, Overloaded):
            if fault.limit == "connections":
                self.counters.evicted += 1
            else:
                self.counters.overloaded += 1
        elif isinstance(fault, IdleTimeout):
            self.counters.idle_timeouts += 1
        elif isinstance(fault, WriteTimeout):
            self.counters.write_timeouts += 1
        elif fault is not None and not isinstance(fault, ForbiddenUser):
            self.counters.faults += 1
        if not self._table:
            self._ended.set()
        if self._retry is not None:
            self._start_accepting()  # a descriptor is free again

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
        self._listeners.close()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause_accepting(error)
                return
            self._is_exhausted = False
            self._accept_peer(accepted, identify(accepted, address))

    def _pause_accepting(self, error: OSError) -> None:
        """Pause until a descriptor is free; open connections are served meanwhile.

        The listening socket stays readable, so without the pause the event loop would spin.
        """
        self.counters.accept_failures += 1
        if not self._is_exhausted:
            self._is_exhausted = True
            _log.error("%s: can't accept connections: %s", self.endpoint, error)
        for listener in self._sockets:
            self._loop.remove_reader(listener)
        self._retry = self._loop.call_later(_RETRY_ACCEPT, self._start_accepting)

    def _accept_peer(self, accepted: socket.socket, peer: Peer) -> None:
        peer, refusal = self._users.check(accepted, peer)
        if refusal is not None:
            self.counters.forbidden += 1
        if not self._admits(peer):
            self.counters.refused += refusal is None
            accepted.close()
            return
        accepted.settimeout(0)
        try:
            connection = self._factory()
        except BaseException:
            accepted.close()
            raise
        connection.attach(self, peer.text, self.limits, self._shared, refusal, peer.uid)
        self.counters.accepted += 1
        self._table.add(connection, peer.key)
        self._ended.clear()
        self._accepted[connection] = accepted
        task = self._loop.create_task(self._open(connection))
        self._openings[connection] = task
        task.add_done_callback(lambda _: self._forget_opening(connection))

    def _admits(self, peer: Peer) -> bool:
        if peer.credentials is not None and not self._access.admits_unix_peer(peer.credentials):
            return False
        if self._table.has_room(peer.key):
            return True
        idle = self._table.longest_idle(peer.key)
        if idle is None:
            return False
        self._evict(idle)
        return True

    def _evict(self, idle: Connection) -> None:
        """Close an idle connection; it is removed from the table at once."""
        fault = Overloaded("connections")
        self.connection_ended(idle, fault)
        opening = self._openings.get(idle)
        if opening is None:
            idle.close_with(fault)
        elif not self._cancel_opening(idle):
            opening.add_done_callback(lambda _: idle.close_with(fault))

    async def _cancel_openings(self) -> None:
        """Close the connections that are not open yet; they have no requests in progress.

        A connection that can no longer be cancelled is open when this returns.
        """
        openings = list(self._openings.values())
        for connection in self._openings:
            self._cancel_opening(connection)
        if openings:
            await asyncio.wait(openings)

    def _cancel_opening(self, connection: Connection) -> bool:
        """Cancel the opening of a connection; return False if it is too late.

        If it opens in the next turn of the event loop, uvloop would close the transport without a
        call of `connection_lost`.
        """
        is_handshaking = self._tls is not None and not connection.was_opened
        return (is_handshaking or connection in self._accepted) and (
            self._openings[connection].cancel()
        )

    def _forget_opening(self, connection: Connection) -> None:
        del self._openings[connection]
        accepted = self._accepted.pop(connection, None)
        if accepted is not None:  # the task was cancelled before its first step
            accepted.close()
            self.connection_ended(connection, None)

    async def _open(self, connection: Connection) -> None:
        accepted = self._accepted.pop(connection)
        timeouts: dict[str, float] = {}
        if self._tls is not None:
            timeouts["ssl_handshake_timeout"] = self.limits.handshake_timeout
            timeouts["ssl_shutdown_timeout"] = self.limits.linger_timeout
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, **timeouts
            )
        except OSError as error:
            self.counters.handshakes_failed += 1
            _log.info("%s: the TLS handshake failed: %s", connection.peer, error)
            self.connection_ended(connection, None)
        except BaseException:
            self.connection_ended(connection, None)
            raise

    # Timeouts

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(self.limits.sweep_interval, self._sweep)
        now = time.monotonic()
        for connection in self._table.connections:
            connection.sweep(now)
        self._table.sweep()
        self._shared.sweep()


async def listen(
    endpoint: Endpoint | str | ListeningSockets,
    factory: Callable[[], Connection],
    *,
    limits: ServerLimits | None = None,
    tls: ServerTLS | None = None,
    local_access: LocalAccess | None = None,
) -> Server:
    """Listen on an endpoint, and serve every peer with a connection that `factory` creates.

        async with await listen("127.0.0.1:0", Echo) as server:
            print(server.endpoint)       # 127.0.0.1:49152
            await stop.wait()
            await server.drain(10)

    For a host name, the server listens on every address, and with port 0 on the same port of each.
    When the server is full, a new connection replaces an idle one; see `ServerLimits.connections`.

    Args:
        endpoint: Where to listen, or listening sockets, which the server then owns.
        factory: Called without arguments for each peer; returns its connection.
        limits: Limits of connections, memory and time; None for the defaults.
        tls: The certificate; required for the scheme "tls", and only allowed for it.
        local_access: Who on this machine may connect. By default, only root and this user may
            connect to a Unix socket, and every user may connect over loopback.

    Raises:
        ListenFailed: The address is in use, not of this machine, or not permitted.
        EndpointError: The text is not an endpoint.
        TLSSettingsError: A file of the TLS settings can't be used.
        TypeError: An argument has the wrong type.
    """
    local_access = local_access if local_access is not None else LocalAccess()
    opened: ListeningSockets | None = None
    if isinstance(endpoint, ListeningSockets):
        opened, endpoint = endpoint, endpoint.endpoint
    endpoint = Endpoint.of(endpoint)
    limits = DEFAULT_SERVER_LIMITS if limits is None else limits
    check_type("limits", limits, ServerLimits)
    check_type("local_access", local_access, LocalAccess)
    if tls is not None:
        check_type("tls", tls, ServerTLS)
    if not callable(factory):
        raise TypeError(f"expected a function as factory, got {factory!r:.80}")
    if (endpoint.scheme == "tls") is not (tls is not None):
        reason = "TLS settings need tls://" if tls else "tls:// needs a certificate"
        raise ListenFailed(str(endpoint), reason)
    context = tls.context() if tls is not None else None
    sockets = opened or await open_sockets(endpoint, limits.backlog, local_access)
    try:
        return Server(sockets, factory, limits, context, local_access)
    except ListenFailed:
        sockets.close()
        raise

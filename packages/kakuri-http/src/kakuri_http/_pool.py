"""Connections of a client: kept while they can be used again, counted always."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Collection

from kakuri_tcp import ClientTLS, Endpoint, connect
from kakuri_tcp import ConnectFailed as TCPConnectFailed

from kakuri_http._client_connection import HttpClientConnection
from kakuri_http._errors import ConnectFailed, RequestTimeout, connect_error
from kakuri_http._limits import Limits
from kakuri_http._timeouts import PoolLimits, Timeouts


class Pool:
    """Gives out one connection to one request at a time."""

    def __init__(
        self,
        limits: PoolLimits,
        messages: Limits,
        tls: ClientTLS | None,
        trusted_uids: Collection[int],
    ) -> None:
        self._limits = limits
        self._messages = messages
        self._tls = tls
        self._trusted_uids = frozenset(trusted_uids)
        self._idle: dict[Endpoint, deque[HttpClientConnection]] = {}
        self._in_use: set[HttpClientConnection] = set()
        self._count: Counter[Endpoint] = Counter()
        self._waiters: deque[tuple[Endpoint, asyncio.Future[None]]] = deque()
        self._is_closed = False

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        return f"<Pool {len(self._in_use)} in use, {idle} idle, {len(self._waiters)} waiting>"

    async def acquire(self, endpoint: Endpoint, timeouts: Timeouts) -> HttpClientConnection:
        """Return a connection that stands; `release` has to follow.

        Raises ConnectFailed, also on a closed client, or RequestTimeout when no place becomes free.
        """
        self._check_open(endpoint)
        try:
            async with asyncio.timeout(timeouts.pool):
                while not self._has_place(endpoint):
                    await self._wait(endpoint)
                    self._check_open(endpoint)
        except TimeoutError as error:
            raise RequestTimeout(
                f"expected a connection to {endpoint} to become free, all were in use", phase="pool"
            ) from error
        connection = self._take_idle(endpoint)
        if connection is None:
            self._count[endpoint] += 1
            try:
                connection = await self._connect(endpoint, timeouts)
            except BaseException:
                self._forget(endpoint)
                raise
        connection.timeouts = timeouts
        self._in_use.add(connection)
        return connection

    def _check_open(self, endpoint: Endpoint) -> None:
        if self._is_closed:
            raise ConnectFailed(
                f"expected an open client to connect to {endpoint}, got a closed one"
            )

    def _has_place(self, endpoint: Endpoint) -> bool:
        self._drop_idle()
        if self._idle.get(endpoint):
            return True
        if self._count[endpoint] >= self._limits.per_host:
            return False
        if self._count.total() >= self._limits.connections:
            return self._close_one_idle()
        return True

    async def _wait(self, endpoint: Endpoint) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (endpoint, waiter)
        self._waiters.append(entry)
        try:
            await waiter
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def _connect(self, endpoint: Endpoint, timeouts: Timeouts) -> HttpClientConnection:
        def make() -> HttpClientConnection:
            return HttpClientConnection(self._messages)

        try:
            tls = self._tls if endpoint.scheme == "tls" else None
            connection = await connect(
                endpoint,
                make,
                timeout=timeouts.connect,
                tls=tls,
                trusted_uids=self._trusted_uids,
            )
        except TCPConnectFailed as error:
            raise connect_error(error) from error
        connection.peer = connection.peer or str(endpoint)
        try:
            self._check_open(endpoint)
        except ConnectFailed:
            connection.abort()
            raise
        return connection

    def release(self, endpoint: Endpoint, connection: HttpClientConnection) -> None:
        """Take a connection back; it is kept only where its exchange has ended cleanly."""
        self._in_use.discard(connection)
        if connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(endpoint, deque()).append(connection)
            self._wake()
        else:
            connection.abort()
            self._forget(endpoint)

    def _take_idle(self, endpoint: Endpoint) -> HttpClientConnection | None:
        idle = self._idle.get(endpoint)
        while idle:
            connection = idle.pop()  # the one used last has most of its time left
            if connection.is_reusable:
                return connection
            self._forget(endpoint)
        return None

    def _drop_idle(self) -> None:
        oldest = time.monotonic() - self._limits.idle
        for endpoint, idle in self._idle.items():
            while idle and (idle[0].idle_since < oldest or not idle[0].is_reusable):
                idle.popleft().close()
                self._forget(endpoint)

    def _close_one_idle(self) -> bool:
        for endpoint, idle in self._idle.items():
            if idle:
                idle.popleft().close()
                self._forget(endpoint)
                return True
        return False

    def _forget(self, endpoint: Endpoint) -> None:
        self._count[endpoint] -= 1
        if not self._count[endpoint]:
            del self._count[endpoint]
        self._wake()

    def _wake(self) -> None:
        # Each looks again; whoever finds no place queues once more.
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """Close all connections; what is under way fails, and what waits for a place."""
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()
        for connection in list(self._in_use):
            connection.abort()
        self._wake()

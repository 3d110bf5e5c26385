"""Connections of a client: kept while they can be used again, counted always.

Places are given first come, first served. The rule that makes it so: whenever a place becomes free,
`_serve` hands it to the first request in the queue that can use it, before anything else runs. So
while a request waits, there is no place that it could use, and one that comes later finds none.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from itertools import count

from kakuri_tcp import ClientTLS, Endpoint, connect

from kakuri_http._errors import ConnectFailed, RequestTimeout, translated_connect_errors
from kakuri_http._limits import Limits, PoolLimits, Timeouts
from kakuri_http.client._protocol import ClientProtocol


class _Place:
    """A place in the pool: the right to one connection to an endpoint, kept or new."""

    __slots__ = ("connection",)

    def __init__(self, connection: ClientProtocol | None = None) -> None:
        self.connection = connection


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
        self._idle: dict[Endpoint, deque[ClientProtocol]] = {}
        self._in_use: set[ClientProtocol] = set()
        self._count: Counter[Endpoint] = Counter()
        # The queue of each endpoint, by the number that a request had when it came.
        self._waiters: dict[Endpoint, OrderedDict[int, asyncio.Future[_Place]]] = {}
        self._numbers = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        waiting = sum(map(len, self._waiters.values()))
        return f"<Pool {len(self._in_use)} in use, {idle} idle, {waiting} waiting>"

    async def acquire(self, endpoint: Endpoint, timeouts: Timeouts) -> ClientProtocol:
        """Return an open connection; `release` has to follow.

        Raises:
            ConnectFailed: no connection came about, or the client is closed.
            RequestTimeout: no place became free in time.
            RuntimeError: the client was used in another event loop before.

        """
        self._check_loop()
        self._check_open(endpoint)
        place = self._claim(endpoint) or await self._wait(endpoint, timeouts.pool)
        connection = place.connection
        if connection is not None and not _is_fresh(connection):
            connection.abort()
            connection = None
        if connection is None:
            try:
                connection = await self._connect(endpoint, timeouts)
            except BaseException:
                self._forget(endpoint)
                self._serve()
                raise
        self._in_use.add(connection)
        return connection

    def release(self, endpoint: Endpoint, connection: ClientProtocol) -> None:
        """Return a connection to the pool; it is kept only if its exchange has ended cleanly."""
        self._in_use.discard(connection)
        connection.finish()
        if connection.is_reusable and not self._is_closed:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(endpoint, deque()).append(connection)
        else:
            connection.abort()
            self._forget(endpoint)
        self._serve()

    def close(self) -> None:
        """Close all connections; requests in progress or waiting for a place fail."""
        self._check_loop()
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()
        for connection in list(self._in_use):
            connection.abort()
        for endpoint, queue in self._waiters.items():
            for waiter in queue.values():
                if not waiter.done():
                    waiter.set_exception(_closed(endpoint))
        self._waiters.clear()

    def _check_loop(self) -> None:
        # In another event loop, futures and transports would fail late and with obscure errors.
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("the client belongs to another event loop; use one client per loop")

    def _check_open(self, endpoint: Endpoint) -> None:
        if self._is_closed:
            raise _closed(endpoint)

    def _claim(self, endpoint: Endpoint) -> _Place | None:
        """Return a place that is free, or None."""
        self._drop_idle()
        idle = self._idle.get(endpoint)
        if idle:
            return _Place(idle.pop())  # the one used last has most of its time left
        if self._count[endpoint] >= self._limits.per_host:
            return None
        if self._count.total() >= self._limits.connections and not self._close_one_idle():
            return None
        self._count[endpoint] += 1
        return _Place()

    async def _wait(self, endpoint: Endpoint, seconds: float | None) -> _Place:
        waiter: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._waiters.setdefault(endpoint, OrderedDict())[number] = waiter
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return await waiter
        except BaseException as error:
            if number in self._waiters.get(endpoint, ()):
                self._leave(endpoint, number)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(endpoint, waiter.result())
            if isinstance(error, TimeoutError) and deadline.expired():
                raise RequestTimeout(
                    f"all connections to {endpoint} were in use for {seconds} s", phase="pool"
                ) from error
            raise

    def _give_back(self, endpoint: Endpoint, place: _Place) -> None:
        """Free a place whose request was cancelled."""
        if place.connection is not None and not self._is_closed:
            self._idle.setdefault(endpoint, deque()).append(place.connection)
        else:
            if place.connection is not None:
                place.connection.abort()
            self._forget(endpoint)
        self._serve()

    def _serve(self) -> None:
        """Assign free places to the waiting requests, first come, first served.

        Takes time for the places and the endpoints, not for the requests that wait on.
        """
        endpoints = set(self._waiters)  # those that may have a place free
        while endpoints:
            endpoint = min(endpoints, key=lambda each: next(iter(self._waiters[each])))
            number, waiter = next(iter(self._waiters[endpoint].items()))
            if not waiter.done():  # else it gave up
                place = self._claim(endpoint)
                if place is None:
                    endpoints.discard(endpoint)
                    continue
                waiter.set_result(place)
            if not self._leave(endpoint, number):
                endpoints.discard(endpoint)

    def _leave(self, endpoint: Endpoint, number: int) -> bool:
        """Remove a request from its queue; return whether others are in it."""
        queue = self._waiters[endpoint]
        del queue[number]
        if not queue:
            del self._waiters[endpoint]
        return bool(queue)

    async def _connect(self, endpoint: Endpoint, timeouts: Timeouts) -> ClientProtocol:
        def make() -> ClientProtocol:
            return ClientProtocol(self._messages)

        with translated_connect_errors():
            connection = await connect(
                endpoint,
                make,
                timeout=timeouts.connect,
                tls=self._tls if endpoint.scheme == "tls" else None,
                trusted_uids=self._trusted_uids,
            )
        connection.peer = connection.peer or str(endpoint)
        if self._is_closed:
            connection.abort()
            raise _closed(endpoint)
        return connection

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


def _is_fresh(connection: ClientProtocol) -> bool:
    return connection.is_reusable and not connection.has_input()


def _closed(endpoint: Endpoint) -> ConnectFailed:
    return ConnectFailed(f"not connected to {endpoint}: the client is closed")

"""A client's pool of connections, with a total limit and a limit for each endpoint.

A slot is the right to one connection. Slots are assigned first come, first served: as soon as one
becomes free, `_assign` passes it to the first queued request that can use it, before any other code
runs. So while a request waits, there is no free slot that it could use, and no later request can
overtake it.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from itertools import count

from kakuri_tcp import ClientTLS, Endpoint, connect

from kakuri_http._errors import ConnectFailed, RequestTimeout, translated_connect_errors
from kakuri_http._limits import Limits, Timeouts, checked_uids
from kakuri_http.client._pool_limits import PoolLimits
from kakuri_http.client._protocol import ClientProtocol


class _Slot:
    """The right to one connection to an endpoint, idle or still to be opened."""

    __slots__ = ("connection",)

    def __init__(self, connection: ClientProtocol | None = None) -> None:
        self.connection = connection


class Pool:
    """A pool that assigns each connection to one request at a time."""

    def __init__(
        self,
        limits: PoolLimits,
        message_limits: Limits,
        tls: ClientTLS | None,
        trusted_uids: Collection[int] | None,
    ) -> None:
        self._limits = limits
        self._message_limits = message_limits
        self._tls = tls
        self._trusted_uids = checked_uids(trusted_uids)
        self._idle: dict[Endpoint, deque[ClientProtocol]] = {}
        self._in_use: set[ClientProtocol] = set()
        self._count: Counter[Endpoint] = Counter()
        # The queue of each endpoint, by the numbers that requests get when they arrive.
        self._waiters: dict[Endpoint, OrderedDict[int, asyncio.Future[_Slot]]] = {}
        self._numbers = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        waiting = sum(map(len, self._waiters.values()))
        return f"<Pool {len(self._in_use)} in use, {idle} idle, {waiting} waiting>"

    async def acquire(self, endpoint: Endpoint, timeouts: Timeouts) -> ClientProtocol:
        """Return an open connection; pass it to `release` afterwards.

        Raises:
            ConnectFailed: No connection could be opened, or the client is closed.
            RequestTimeout: No slot became free in time.
            RuntimeError: The client was first used in another event loop.
        """
        self._check_loop()
        self._check_open(endpoint)
        slot = self._claim(endpoint) or await self._wait(endpoint, timeouts.pool)
        connection = slot.connection
        if connection is not None and (self._is_closed or not _is_fresh(connection)):
            connection.abort()
            connection = None
        if connection is None:
            try:
                # The pool may have been closed since the slot was assigned.
                self._check_open(endpoint)
                connection = await self._connect(endpoint, timeouts)
            except BaseException:
                self._count_closed(endpoint)
                self._assign()
                raise
        self._in_use.add(connection)
        return connection

    def release(self, endpoint: Endpoint, connection: ClientProtocol) -> None:
        """Return a connection to the pool, which keeps it if its exchange has ended cleanly."""
        self._in_use.discard(connection)
        connection.end_exchange()
        if connection.is_reusable and not self._is_closed:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(endpoint, deque()).append(connection)
        else:
            connection.abort()
            self._count_closed(endpoint)
        self._assign()

    def close(self) -> None:
        """Close all connections; requests in progress or waiting for a slot fail."""
        self._check_loop()
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()
        for connection in list(self._in_use):
            connection.close_with_client()
        for endpoint, queue in self._waiters.items():
            for waiter in queue.values():
                if not waiter.done():
                    waiter.set_exception(_closed(endpoint))
        self._waiters.clear()

    def _check_loop(self) -> None:
        # In another event loop, futures and transports would fail later with obscure errors.
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("the client belongs to another event loop; use one client per loop")

    def _check_open(self, endpoint: Endpoint) -> None:
        if self._is_closed:
            raise _closed(endpoint)

    def _claim(self, endpoint: Endpoint) -> _Slot | None:
        """Return a free slot, or None."""
        self._close_expired()
        idle = self._idle.get(endpoint)
        if idle:
            return _Slot(idle.pop())  # the server keeps the one used last for the longest time
        if self._count[endpoint] >= self._limits.per_host:
            return None
        if self._count.total() >= self._limits.connections and not self._close_one_idle():
            return None
        self._count[endpoint] += 1
        return _Slot()

    async def _wait(self, endpoint: Endpoint, seconds: float | None) -> _Slot:
        waiter: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._waiters.setdefault(endpoint, OrderedDict())[number] = waiter
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return await waiter
        except BaseException as error:
            if number in self._waiters.get(endpoint, ()):
                self._leave_queue(endpoint, number)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._free(endpoint, waiter.result())
            if isinstance(error, TimeoutError) and deadline.expired():
                raise RequestTimeout(
                    f"all connections to {endpoint} were in use for {seconds} s", phase="pool"
                ) from error
            raise

    def _free(self, endpoint: Endpoint, slot: _Slot) -> None:
        """Free a slot whose request was cancelled."""
        if slot.connection is not None and not self._is_closed:
            self._idle.setdefault(endpoint, deque()).append(slot.connection)
        else:
            if slot.connection is not None:
                slot.connection.abort()
            self._count_closed(endpoint)
        self._assign()

    def _assign(self) -> None:
        """Assign free slots to the waiting requests, first come, first served.

        The cost depends on the number of slots and endpoints, not of waiting requests.
        """
        endpoints = set(self._waiters)  # those that may have a free slot
        while endpoints:
            endpoint = min(endpoints, key=lambda each: next(iter(self._waiters[each])))
            number, waiter = next(iter(self._waiters[endpoint].items()))
            if not waiter.done():  # else its request was cancelled
                slot = self._claim(endpoint)
                if slot is None:
                    endpoints.discard(endpoint)
                    continue
                waiter.set_result(slot)
            if not self._leave_queue(endpoint, number):
                endpoints.discard(endpoint)

    def _leave_queue(self, endpoint: Endpoint, number: int) -> bool:
        """Remove a request from its queue; return whether others are in it."""
        queue = self._waiters[endpoint]
        del queue[number]
        if not queue:
            del self._waiters[endpoint]
        return bool(queue)

    async def _connect(self, endpoint: Endpoint, timeouts: Timeouts) -> ClientProtocol:
        def make() -> ClientProtocol:
            return ClientProtocol(self._message_limits)

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

    def _close_expired(self) -> None:
        """Close connections that were idle for too long or that the server has closed."""
        oldest = time.monotonic() - self._limits.idle
        for endpoint, idle in [*self._idle.items()]:
            while idle and (idle[0].idle_since < oldest or not idle[0].is_reusable):
                idle.popleft().close()
                self._count_closed(endpoint)

    def _close_one_idle(self) -> bool:
        for endpoint, idle in self._idle.items():
            if idle:
                idle.popleft().close()
                self._count_closed(endpoint)
                return True
        return False

    def _count_closed(self, endpoint: Endpoint) -> None:
        """Stop counting a connection that was closed or could not be opened."""
        self._count[endpoint] -= 1
        if not self._count[endpoint]:
            del self._count[endpoint]
            self._idle.pop(endpoint, None)


def _is_fresh(connection: ClientProtocol) -> bool:
    return connection.is_reusable and not connection.has_input()


def _closed(endpoint: Endpoint) -> ConnectFailed:
    return ConnectFailed(f"not connected to {endpoint}: the client is closed")

"""Shares the time of the event loop among the connections of a server.

While the loop keeps up, a connection works as soon as data arrives: `process` is a direct call and
one read of the clock. After `turn_time` seconds of work, connections with new data are queued. In
each turn of the loop, queued connections work for at most `turn_time`, one after the other, each
for a slice of `slice_time`. Between turns, the loop reads from sockets, accepts connections and
runs timers.

The connection that has used the least time goes first, as in the start-time fair queueing of Goyal,
Vin and Cheng (1996); among equals, the last to arrive. So a cheap request overtakes all expensive
ones, even though their cost is only known once they are processed. A connection that completes its
work within its slice counts as having used less time than one that does not, so that an ordinary
client with many requests is not treated like a flood. Every fourth turn begins with the connection
that has waited longest, so that every connection gets a slice eventually.

Slices are cooperative: `Connection.work` has to check `slice_left()` between two requests.

Elapsed time counts whether connections worked or the loop waited, because that takes one read of
the clock instead of two. The only effect is that, after a pause, one connection is queued although
the queue is empty.
"""

import asyncio
import contextvars
import heapq
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_OLDEST_EVERY = 4  # turns
# A connection with more unprocessed bytes than an ordinary request is expected to take longer, in
# proportion to the cost of decoding them.
_ORDINARY_BYTES = 16_384
_SECONDS_PER_BYTE = 1e-7
_SECONDS_PER_TASK = 1e-4


class Worker(Protocol):
    """The part of a connection that `Turns` uses."""

    def work(self) -> None:
        """Process what has been received, until the slice ends."""

    def take_turn(self) -> None:
        """Call `work` after a wait, and read from the peer again."""

    def wait_turn(self) -> None:
        """Stop reading from the peer, because more data arrived while this waits for its turn."""

    def account(self) -> int:
        """Return the number of received bytes that are not processed yet."""


_Worker = TypeVar("_Worker", bound=Worker)


class Turns(Generic[_Worker]):
    """The turns of a server's connections on an event loop.

    Attributes:
        clock: The seconds of a monotonic clock; tests may replace it.
    """

    def __init__(
        self,
        *,
        turn_time: float,
        slice_time: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._turn_time = turn_time
        self._slice_time = slice_time
        self._context = contextvars.copy_context()  # instead of the context of a request
        self._handle: asyncio.Handle | None = None  # of the next turn
        self._is_contended = False  # from the end of the time until the queue is empty
        self._direct_until = clock() + turn_time  # connections work at once until then
        self._expected = 0.0  # seconds of tasks that were started and have not run
        self._slice_end = 0.0  # of the running connection
        self._turns = 0
        self._turn_end = 0.0  # of the current turn
        self._running: _Worker | None = None
        self._runs_again = False
        # By queued connection, in the order of arrival: (priority, number, used time, connection).
        self._waiting: dict[_Worker, tuple[float, int, float, _Worker]] = {}
        self._heap: list[tuple[float, int, float, _Worker]] = []  # with outdated entries
        self._used: dict[_Worker, float] = {}  # seconds since the time is contended
        self._number = 0
        # The used time of the last connection that was chosen because it had used the least. One
        # that was chosen because it had waited longest may have used far more, and new arrivals
        # must not be queued after every connection that has used less than that one.
        self._virtual_time = 0.0

    def __repr__(self) -> str:
        state = f"{len(self._waiting)} waiting" if self._is_contended else "idle"
        return f"<Turns {state}>"

    def __contains__(self, worker: object) -> bool:
        return worker in self._waiting

    @property
    def waiting(self) -> list[_Worker]:
        """The connections that wait for their turn; those with the most work are last."""
        return [entry[3] for entry in sorted(self._waiting.values())]

    @property
    def runs_again(self) -> bool:
        """Whether the running connection has asked for another turn."""
        return self._runs_again

    def process(self, worker: _Worker) -> None:
        """Call the connection's `work` now, or in a later turn if this turn's time is used up."""
        if self._is_contended:
            self.process_later(worker)
            return
        self._slice_end = 0.0
        worker.work()
        if self.clock() >= self._direct_until:
            self._is_contended = True
            self._schedule()

    def slice_left(self) -> float:
        """Return the remaining seconds of the running connection's slice.

        If the connection did not have to wait for its turn, the first call begins the slice.
        """
        now = self.clock()
        if not self._slice_end:
            self._slice_end = now + self._slice_time
        return self._slice_end - now

    def begin_slice(self) -> None:
        """Begin the running connection's slice, unless it began with its turn."""
        self.slice_left()

    def process_later(self, worker: _Worker) -> None:
        """Queue a connection for a later turn; it may call this from its own `work`."""
        if worker is self._running:
            self._runs_again = True
        elif worker in self._waiting:
            worker.wait_turn()
        else:
            # The first one to be queued has just used a slice.
            initial = 0.0 if self._is_contended else self._slice_time
            self._is_contended = True
            used = max(self._used.get(worker, initial), self._virtual_time - self._slice_time)
            excess = max(0, worker.account() - _ORDINARY_BYTES)
            priority = used + excess * _SECONDS_PER_BYTE
            self._number -= 1
            entry = (priority, self._number, used, worker)
            self._waiting[worker] = entry
            heapq.heappush(self._heap, entry)
        self._schedule()

    def expect(self, size: int) -> None:
        """Count the expected time of a task that was started in `work`.

        A task's first step runs in the next turn of the loop. Without this, one turn could start
        any number of tasks, all of which would run in the next.

        Args:
            size: Bytes that the task is going to process.
        """
        seconds = _SECONDS_PER_TASK + size * _SECONDS_PER_BYTE
        self._expected += seconds
        self._direct_until -= seconds

    def discard(self, worker: _Worker) -> None:
        """Remove a connection that has ended."""
        self._waiting.pop(worker, None)
        self._used.pop(worker, None)

    def restart(self) -> None:
        """Begin a new turn in which connections work at once; call it after replacing `clock`."""
        self._is_contended = False
        self._direct_until = self.clock() + self._turn_time
        self._expected = self._virtual_time = 0.0
        self._heap.clear()
        self._used.clear()

    def close(self) -> None:
        """Cancel the next turn."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self) -> None:
        if self._handle is None:
            # In two steps, so that the loop reads from sockets in between, and data that arrived
            # during a turn competes in the next one.
            loop = asyncio.get_running_loop()
            self._handle = loop.call_soon(self._after_reads, loop, context=self._context)

    def _after_reads(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_soon(self._take_turn, context=self._context)

    def _take_turn(self) -> None:
        self._handle = None
        waiting = self._waiting
        self._turns += 1
        now = self.clock()
        self._turn_end = now + self._turn_time
        try:
            if waiting and self._turns % _OLDEST_EVERY == 0:
                now = self._run(next(iter(waiting)), now)
            while waiting and now < self._turn_end:
                worker = self._least_used()
                self._virtual_time = max(self._virtual_time, waiting[worker][2])
                now = self._run(worker, now)
        finally:
            if waiting:
                self._schedule()
            else:
                self.restart()

    def _least_used(self) -> _Worker:
        while True:
            entry = heapq.heappop(self._heap)
            if self._waiting.get(entry[3]) is entry:
                return entry[3]

    def _run(self, worker: _Worker, now: float) -> float:
        used = self._waiting.pop(worker)[2]
        self._running = worker
        self._runs_again = False
        self._slice_end = now + self._slice_time
        self._expected = 0.0
        try:
            worker.take_turn()
        finally:
            self._running = None
            ended = self.clock()
            used += ended - now + self._expected
            if not self._runs_again:
                # It completed its work within its slice, so it stays ahead of connections that do
                # not, and after others that complete theirs and have used less time.
                used = min(used, self._virtual_time - self._slice_time / 2)
            self._used[worker] = used
            self._turn_end -= self._expected
        if self._runs_again:
            self.process_later(worker)
        return ended

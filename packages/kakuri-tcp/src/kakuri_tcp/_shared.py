"""The resources that a server's connections share: time of the event loop, and memory."""

import contextvars
from typing import Protocol

from kakuri_tcp._budgets import SharedBudget
from kakuri_tcp._errors import ConnectionFault, Overloaded
from kakuri_tcp._limits import ServerLimits
from kakuri_tcp._readable import BY_BUDGET
from kakuri_tcp._turns import Turns, Worker

# A connection that holds at most this, the size of an ordinary request, is read even if the budget
# is exceeded.
_ALWAYS_READ = 16_384


class SharedConnection(Worker, Protocol):
    """The part of a connection that `SharedResources` uses."""

    def __hash__(self) -> int:
        """Return the same number for the same connection."""

    def pause_for(self, reason: int) -> None:
        """Stop reading for one of the reasons."""

    def resume_for(self, reason: int) -> None:
        """Read again if there was no other reason."""

    def discard_input(self, fault: ConnectionFault) -> None:
        """Drop unprocessed input, and close with `fault`."""

    def abort(self, fault: ConnectionFault | None = None) -> None:
        """Close at once, and drop unsent data."""


class SharedResources:
    """The turns and the budgets of one server's connections.

    Attributes:
        turns: When each connection may work.
        input: Bytes that were received but not processed.
        output: Unsent bytes for peers that read too slowly, and replies that wait for earlier ones.
        in_flight: Requests of all connections without a reply.
        context: The context (contextvars) of the call that started the server.
        aborted: The number of connections that were closed because of a limit.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self.turns: Turns[SharedConnection] = Turns(
            turn_time=limits.turn_time, slice_time=limits.slice_time
        )
        self.input: SharedBudget[SharedConnection] = SharedBudget(
            limits.unfinished_input, self._clock
        )
        self.output: SharedBudget[SharedConnection] = SharedBudget(
            limits.unsent_output, self._clock
        )
        self.in_flight: int = 0
        self.context: contextvars.Context = contextvars.copy_context()
        self.aborted: int = 0
        self._paused: set[SharedConnection] = set()

    def input_changed(self, connection: SharedConnection, size: int) -> None:
        """Set a connection's number of unprocessed bytes; pause it above the limit."""
        budget = self.input
        budget.set(connection, size)
        if budget.is_exceeded:
            if size > _ALWAYS_READ and connection not in self._paused:
                self._paused.add(connection)
                connection.pause_for(BY_BUDGET)
            if budget.total * 4 > budget.limit * 5:
                self._discard_worst_input()
        elif self._paused and budget.has_room:
            self._resume_paused()

    def output_changed(self, connection: SharedConnection, size: int) -> None:
        """Set a connection's number of unsent bytes; abort the worst above the limit."""
        self.output.set(connection, size)
        if self.output.is_exceeded:
            for worst in self.output.take_worst():
                self._abort(worst, "unsent_output")

    def ended(self, connection: SharedConnection) -> None:
        """Remove a connection."""
        self.turns.discard(connection)
        self.output.set(connection, 0)
        self._paused.discard(connection)
        self.input_changed(connection, 0)

    def sweep(self) -> None:
        """Close connections if pausing them was not enough; called about once a second."""
        if self.input.is_exceeded:
            self._discard_worst_input()

    def shed(self) -> None:
        """Abort the half of the waiting connections with the most pending work."""
        waiting = self.turns.waiting
        for connection in waiting[len(waiting) // 2 :]:
            self._abort(connection, "shed")

    def _discard_worst_input(self) -> None:
        for connection in self.input.take_worst():
            self.aborted += 1
            self._paused.discard(connection)
            self.turns.discard(connection)
            connection.discard_input(Overloaded("unfinished_input"))
        if self._paused and self.input.has_room:
            self._resume_paused()

    def _abort(self, connection: SharedConnection, limit: str) -> None:
        self.aborted += 1
        self.turns.discard(connection)
        connection.abort(Overloaded(limit))

    def _resume_paused(self) -> None:
        paused = list(self._paused)
        self._paused.clear()
        for connection in paused:
            connection.resume_for(BY_BUDGET)

    def _clock(self) -> float:
        return self.turns.clock()

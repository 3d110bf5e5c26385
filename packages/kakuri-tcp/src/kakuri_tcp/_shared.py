"""What the connections of a server share: the time of a turn, and memory for their bytes."""

import contextvars
from typing import Protocol

from kakuri_tcp._budgets import SharedBudget
from kakuri_tcp._errors import ConnectionFault, Overloaded
from kakuri_tcp._limits import ServerLimits
from kakuri_tcp._turns import Turns, Worker

# Reasons not to read from a peer; it is read when none of them applies.
BY_PROTOCOL, BY_TURNS, BY_BUDGET = 1, 2, 4

# A connection that holds no more than this, the size of an ordinary request, is read even when the
# budget is exceeded.
_ALWAYS_READ = 16_384


class SharedConnection(Worker, Protocol):
    """A connection, as what is shared acts on it."""

    def __hash__(self) -> int:
        """Return the same number for the same connection."""

    def pause_for(self, reason: int) -> None:
        """Stop reading for one of the reasons."""

    def resume_for(self, reason: int) -> None:
        """Read again if that was the only reason."""

    def discard_input(self, fault: ConnectionFault) -> None:
        """Drop what was received and not processed, and close with `fault`."""

    def abort(self, fault: ConnectionFault | None = None) -> None:
        """Close at once; what was not sent yet is lost."""


class SharedResources:
    """The turns and the budgets of one server's connections.

    Attributes:
        turns: when each connection may work.
        input: bytes that were received and not processed yet.
        output: bytes that were written to peers that read too slowly.
        in_flight: requests of all connections whose replies are waited for.
        context: in which the server was started.
        aborted: how many connections had to be given up.

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
        self._held_back: set[SharedConnection] = set()

    def input_changed(self, connection: SharedConnection, size: int) -> None:
        """Set how many bytes a connection has not processed; pause it above the limit."""
        budget = self.input
        budget.set(connection, size)
        if budget.is_exceeded:
            if size > _ALWAYS_READ and connection not in self._held_back:
                self._held_back.add(connection)
                connection.pause_for(BY_BUDGET)
            if budget.total * 4 > budget.limit * 5:
                self._give_up_worst_input()
        elif self._held_back and budget.has_room:
            self._let_go()

    def output_changed(self, connection: SharedConnection, size: int) -> None:
        """Set how many bytes a connection has not sent."""
        self.output.set(connection, size)
        if self.output.is_exceeded:
            for worst in self.output.take_worst():
                self._abort(worst, "unsent_output")

    def ended(self, connection: SharedConnection) -> None:
        """Forget a connection."""
        self.turns.discard(connection)
        self.output.set(connection, 0)
        self._held_back.discard(connection)
        self.input_changed(connection, 0)

    def sweep(self) -> None:
        """Close connections where pausing them was not enough; called about once a second."""
        if self.input.is_exceeded:
            self._give_up_worst_input()

    def shed(self) -> None:
        """Abort the half of the waiting connections that has the most work pending."""
        waiting = self.turns.waiting
        for connection in waiting[len(waiting) // 2 :]:
            self._abort(connection, "shed")

    def _give_up_worst_input(self) -> None:
        for connection in self.input.take_worst():
            self.aborted += 1
            self._held_back.discard(connection)
            self.turns.discard(connection)
            connection.discard_input(Overloaded("unfinished_input"))
        if self._held_back and self.input.has_room:
            self._let_go()

    def _abort(self, connection: SharedConnection, limit: str) -> None:
        self.aborted += 1
        self.turns.discard(connection)
        connection.abort(Overloaded(limit))

    def _let_go(self) -> None:
        held_back = list(self._held_back)
        self._held_back.clear()
        for connection in held_back:
            connection.resume_for(BY_BUDGET)

    def _clock(self) -> float:
        return self.turns.clock()

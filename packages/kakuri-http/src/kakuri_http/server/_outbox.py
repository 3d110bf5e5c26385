"""Sends the responses of one turn of the event loop together.

Each write wakes the client, which interrupts this process if both share a core. If all responses
that become ready in one turn are written at its end, a client that owns all these connections, such
as a proxy, wakes only once.
"""

import asyncio
import contextvars
from collections import deque
from typing import Protocol

_MAX_WAITING = 64
"""Maximum number of connections that wait for the end of the turn. When it is reached, the outbox
sends immediately, which takes less than a millisecond."""


class Sender(Protocol):
    """A connection with responses to send."""

    def flush(self) -> None:
        """Send the responses that are ready."""


class Outbox:
    """The connections of a server that have responses to send in this turn of the event loop."""

    __slots__ = ("_context", "_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # instead of the context of a request
        self._waiting: deque[Sender] = deque()

    def add(self, sender: Sender) -> None:
        """Send the responses of a connection at the end of this turn."""
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self._send, context=self._context)
        waiting.append(sender)
        if len(waiting) >= _MAX_WAITING:
            self._send()

    def _send(self) -> None:
        waiting = self._waiting
        try:
            while waiting:
                waiting.popleft().flush()
        finally:
            if waiting:  # a sender raised, which asyncio reports; the others send in the next turn
                self._loop.call_soon(self._send, context=self._context)

"""A control plane that stops answering while a command follows something."""

import time
from collections.abc import Callable

from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._schemas import BAD_RESPONSE
from kakuri._text import now_clock, span

GIVE_UP_SECONDS = 300.0
"""Seconds without a response after which following ends with an error."""

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 2.0


class Outage:
    """Reports the start and the end of an outage, and waits between attempts."""

    def __init__(
        self, invocation: Invocation, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Create a record without an outage; `name` is the server's, for the messages."""
        self._invocation = invocation
        self._name = name
        self._sleep = sleep
        self._since: float | None = None
        self._delay = _FIRST_DELAY

    def failed(self, error: Unreachable) -> None:
        """Record a failed attempt, and wait before the next one.

        Raises:
            Unreachable: The outage has lasted too long, or a response was not what the API
                describes: then the server is not a control plane.
        """
        if error.code == BAD_RESPONSE:
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since, self._delay = now, _FIRST_DELAY
            self._invocation.note(f"{now_clock()} lost {self._name}, trying again: {error.message}",
                                  "yellow")  # fmt: skip
        elif now - self._since > GIVE_UP_SECONDS:
            raise error
        self._sleep(self._delay)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def ended(self) -> None:
        """Record a response."""
        if self._since is not None:
            lasted = span(time.monotonic() - self._since)
            self._invocation.note(f"{now_clock()} {self._name} is back after {lasted}", "yellow")
            self._since = None

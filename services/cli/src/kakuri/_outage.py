"""A control plane that stops answering while a command follows something."""

import time
from collections.abc import Callable

from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._schemas import BAD_RESPONSE
from kakuri._text import now_clock, span

GIVE_UP_SECONDS = 300.0
"""Maximum duration of an outage in seconds; then the command fails. If the server responds but the
responses break off, the time counts from the first of them."""

STABLE_SECONDS = 10.0
"""A failure within this many seconds after a response began continues the outage, so back-off and
GIVE_UP_SECONDS also apply to a server that breaks off each response."""

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
        self._counted_from = 0.0  # the start of the outage, or the first response within it
        self._returned: float | None = None  # the time of the response that interrupted the outage
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
        is_new = self._since is None
        if self._returned is not None:
            is_new, is_stable = True, now - self._returned >= STABLE_SECONDS
            self._since, self._returned = None if is_stable else self._since, None
        if self._since is None:
            self._since = self._counted_from = now
            self._delay = _FIRST_DELAY
        elif now - self._counted_from > GIVE_UP_SECONDS:
            raise error
        if is_new:
            self._invocation.note(f"{now_clock()} lost {self._name}, trying again: {error.message}",
                                  "yellow")  # fmt: skip
        self._sleep(self._delay)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def ended(self, *, is_complete: bool = False) -> None:
        """Record a response, or the beginning of one.

        Args:
            is_complete: Whether it is complete: then the next failure is a new outage.
        """
        if self._since is not None and self._returned is None:
            self._returned = time.monotonic()
            if self._counted_from == self._since:
                self._counted_from = self._returned
            lasted = span(self._returned - self._since)
            self._invocation.note(f"{now_clock()} {self._name} is back after {lasted}", "yellow")
        if is_complete:
            self._since = self._returned = None

"""Outages of a control plane while a command follows something.

An outage begins with a failed attempt. A response that begins interrupts it: the server is back,
but it may break off the response. The outage ends once that response is complete or has lasted
STABLE_SECONDS; a failure before that continues it.
"""

import threading
import time
from collections.abc import Callable

from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._schemas import BAD_RESPONSE
from kakuri._text import now_clock, span

GIVE_UP_SECONDS = 300.0
"""Maximum duration of an outage; after it, a failed attempt fails the command. If responses begin
and break off, the time counts from the first of them."""

STABLE_SECONDS = 10.0
"""Duration after which a response ends the outage although it is not complete. Back-off and
GIVE_UP_SECONDS therefore also apply to a server that breaks off each response."""

_FIRST_DELAY, _MAX_DELAY = 0.1, 2.0

_LOCK = threading.Lock()
"""Held while trackers of several threads count and report."""


class OutageTracker:
    """Reports when the server is lost and when it is back, and waits between attempts.

    Trackers of one command share the report: the first to fail reports the outage, and the last to
    recover reports its end. A tracker that gives up is not counted.
    """

    def __init__(
        self, invocation: Invocation, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Create a tracker without an outage; `name` is the server's, for the messages."""
        self._invocation = invocation
        self._name = name
        self._sleep = sleep
        self._outage_began: float | None = None
        self._response_began: float | None = None  # the response that interrupted the outage
        self._is_lost = False  # an outage, and no response that interrupts it
        self._give_up_at = 0.0
        self._has_responded = False  # since the outage began
        self._delay = _FIRST_DELAY

    def attempt_failed(self, error: Unreachable) -> None:
        """Record a failed attempt or a response that broke off, and wait before the next attempt.

        Raises:
            Unreachable: The outage has lasted too long, or a response was not what the API
                describes: then the server is not a control plane.
        """
        now = time.monotonic()
        if self._response_began is not None and now - self._response_began >= STABLE_SECONDS:
            self._end()
        is_over = self._outage_began is not None and now > self._give_up_at
        if is_over or error.code == BAD_RESPONSE:
            self._leave()
            raise error
        if self._outage_began is None:
            self._outage_began, self._give_up_at = now, now + GIVE_UP_SECONDS
            self._has_responded, self._delay = False, _FIRST_DELAY
        self._response_began = None
        if not self._is_lost:
            self._is_lost = True
            with _LOCK:
                self._invocation.lost_count += 1
                if self._invocation.lost_count == 1:
                    self._invocation.lost_since = self._outage_began
                    text = f"{now_clock()} lost {self._name}, trying again: {error.message}"
                    self._invocation.note(text, "yellow")
        self._sleep(self._delay)
        self._delay = min(2 * self._delay, _MAX_DELAY)

    def response_began(self) -> None:
        """Record that a response began, which interrupts an outage."""
        if not self._is_lost:
            return
        now = self._response_began = time.monotonic()
        if not self._has_responded:
            self._has_responded = True
            self._give_up_at = now + GIVE_UP_SECONDS
        with _LOCK:
            self._is_lost = False
            self._invocation.lost_count -= 1
            if self._invocation.lost_count == 0:
                lasted = span(now - self._invocation.lost_since)
                text = f"{now_clock()} {self._name} is back after {lasted}"
                self._invocation.note(text, "yellow")

    def response_completed(self) -> None:
        """Record a complete response or a refusal, which ends an outage."""
        self.response_began()
        self._end()

    def _leave(self) -> None:
        """Remove this tracker from `lost_count`."""
        if self._is_lost:
            with _LOCK:
                self._is_lost = False
                self._invocation.lost_count -= 1

    def _end(self) -> None:
        self._outage_began = self._response_began = None

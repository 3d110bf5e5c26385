"""The deadlines of a server's connection, which the server's sweep checks."""

from kakuri_http._errors import LimitExceeded
from kakuri_http._limits import Limits
from kakuri_http.core._server import ServerConnection
from kakuri_http.core._states import State


class HalfClosedTooLong:
    """`half_closed_timeout` has passed since the client shut its sending side."""


class Deadlines:
    """When each phase of one connection began; created at its first sweep."""

    __slots__ = (
        "_body_seconds",
        "_exchange_number",
        "_half_closed_since",
        "_head_since",
        "_last_check",
        "_limits",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._last_check = now
        self._head_since: float | None = None
        self._body_seconds = 0.0  # time spent waiting for content, while reading was not paused
        self._exchange_number = -1
        self._half_closed_since: float | None = None

    def check(
        self,
        now: float,
        core: ServerConnection,
        *,
        is_reading: bool,
        is_half_closed: bool,
        is_busy: bool,
    ) -> LimitExceeded | HalfClosedTooLong | None:
        """Return the error for a deadline that has passed at `now` (monotonic seconds), or None."""
        passed, self._last_check = now - self._last_check, now
        limits = self._limits
        if core.exchanges != self._exchange_number:
            self._exchange_number = core.exchanges
            self._head_since, self._body_seconds = None, 0.0
        if core.request_state is State.IDLE and core.head_has_begun:
            self._head_since = self._head_since or now
            if now - self._head_since >= limits.head_timeout:
                return _too_slow("a request's head", limits.head_timeout, "head_timeout")
        elif core.request_state is State.BODY:
            self._body_seconds += passed if is_reading else 0.0
            allowed = limits.body_timeout + core.content_received / limits.body_rate
            if self._body_seconds >= allowed:
                return _too_slow("a request's content", allowed, "body_timeout")
        if is_half_closed and is_busy:
            self._half_closed_since = self._half_closed_since or now
            if now - self._half_closed_since >= limits.half_closed_timeout:
                return HalfClosedTooLong()
        return None


def _too_slow(what: str, seconds: float, limit: str) -> LimitExceeded:
    return LimitExceeded(
        f"expected {what} within {seconds:g} s, got only a part of it",
        limit=limit, status=408, code="request_timeout",
    )  # fmt: skip

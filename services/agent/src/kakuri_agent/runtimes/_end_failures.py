"""Which errors of a stop or removal that is being repeated are reported."""

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger()

REPORT_SECONDS = 5.0
"""Seconds for which a stop or removal has to keep failing before it is reported, because it may
succeed when it is repeated."""

MAX_REPORTED_ERRORS = 8
"""Maximum number of different errors of one stop or removal that are reported."""

NORMAL_SECONDS = 60.0
"""Seconds without a failure after which a stop with a longer grace time is going normally."""


class EndFailures:
    """Reports the errors of one stop or removal.

    Each different error is reported once, so that alternating errors do not cause changes without
    end. For the same reason, reports are withdrawn once only if the stop then goes normally; after
    that, errors are reported anew.

    Args:
        zone_id: The zone.
        grace_seconds: Seconds between the signal and the kill of its process.
        reported: The reported errors by zone id; this object sets and removes its zone's.
        on_change: Called with the zone's id after its reported error changed.
    """

    def __init__(
        self,
        zone_id: str,
        grace_seconds: int,
        reported: dict[str, str],
        on_change: Callable[[str], None],
    ) -> None:
        self._zone_id = zone_id
        self._may_withdraw = grace_seconds > NORMAL_SECONDS
        self._reported = reported
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._errors: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, error: str) -> None:
        """Report an error, if there have been errors for some time."""
        now = self._loop.time()
        if self._since is None:
            self._since = now
        is_new = error not in self._errors and len(self._errors) < MAX_REPORTED_ERRORS
        if is_new and now - self._since >= REPORT_SECONDS:
            self._errors.add(error)
            self._reported[self._zone_id] = error
            log.warning("stop or removal failed, trying again", id=self._zone_id, error=error)
            self._on_change(self._zone_id)
        self._postpone_withdrawal()

    def ignore_earlier(self) -> None:
        """Ignore the errors until now, which belong to an outage."""
        self._since = None
        self._postpone_withdrawal()

    def withdraw(self) -> None:
        """Remove the report and notify the observer, because no event of the zone will."""
        self._cancel_withdrawal()
        if self._reported.pop(self._zone_id, None) is not None:
            self._on_change(self._zone_id)

    def close(self) -> None:
        """Remove the report without notifying; the caller reports the end."""
        self._cancel_withdrawal()
        self._reported.pop(self._zone_id, None)

    def _postpone_withdrawal(self) -> None:
        self._cancel_withdrawal()
        if self._may_withdraw and self._zone_id in self._reported:
            self._timer = self._loop.call_later(NORMAL_SECONDS, self._withdraw_once)

    def _cancel_withdrawal(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _withdraw_once(self) -> None:
        self._may_withdraw = False
        self._since = None
        self._errors.clear()
        self.withdraw()

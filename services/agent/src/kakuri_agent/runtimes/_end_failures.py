"""Reporting the errors of a stop or removal that is being retried."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()

REPORT_SECONDS = 5.0
"""Seconds for which a stop or removal has to keep failing before its errors are reported: the
first retries may succeed."""

OVERDUE_SECONDS = 60.0
"""Seconds after the grace period at which a stop is reported as overdue while its call is still in
progress. A runtime that stops thousands of containers at once can take as long."""

MAX_REPORTED_ERRORS = 8
"""Maximum number of different errors of one stop or removal that are reported."""

NORMAL_SECONDS = 60.0
"""Seconds without an error after which a stop with a longer grace period counts as proceeding
normally."""


class EndFailures:
    """Reports the errors of one stop or removal.

    Each different error is reported once. If the stop then proceeds normally, the report is
    withdrawn and later errors are reported again, but only once. Without these two limits,
    alternating errors would change the workload endlessly.

    Args:
        zone_id: The zone.
        grace_seconds: Seconds between the signal and the kill of its process.
        fault: Returns why the runtime is unavailable, or None. Errors during an outage are not
            reported, because it is logged once for all zones.
        reported: The reported errors by zone id; this object sets and removes its zone's.
        on_change: Called with the zone's id after its reported error changed.
    """

    def __init__(
        self,
        zone_id: str,
        grace_seconds: int,
        fault: Callable[[], str | None],
        reported: dict[str, str],
        on_change: Callable[[str], None],
    ) -> None:
        self._zone_id = zone_id
        self._grace_seconds = grace_seconds
        self._fault = fault
        self._may_withdraw = grace_seconds > NORMAL_SECONDS
        self._reported = reported
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._errors: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def add(self, error: str) -> None:
        """Report an error, if there have been errors for some time."""
        now = self._loop.time()
        if self._fault() is not None:
            self._since = None
        elif self._since is None:
            self._since = now
        if self._since is not None and now - self._since >= REPORT_SECONDS:
            self._report("stop or removal failed, trying again", error)
        self._postpone_withdrawal()

    @asynccontextmanager
    async def overdue_after_grace(self) -> AsyncIterator[None]:
        """Report the stop if this context is still open `OVERDUE_SECONDS` after the grace period.

        During an outage, nothing is reported, and the check is repeated every `OVERDUE_SECONDS`. An
        operation may continue in this context after `close`, when another has replaced it.
        """
        timer: asyncio.TimerHandle

        def check() -> None:
            nonlocal timer
            if self._is_closed:
                return
            if self._fault() is not None:
                timer = self._loop.call_later(OVERDUE_SECONDS, check)
                return
            self._since = self._loop.time() - REPORT_SECONDS  # the next error is reported at once
            seconds = f"at least {OVERDUE_SECONDS:.0f} s after the grace period"
            self._report("stop or removal overdue", f"the stop is still in progress {seconds}")

        timer = self._loop.call_later(self._grace_seconds + OVERDUE_SECONDS, check)
        try:
            yield
        finally:
            timer.cancel()

    def withdraw(self) -> None:
        """Remove the report and notify the observer, because no event of the zone will."""
        self._cancel_withdrawal()
        if self._reported.pop(self._zone_id, None) is not None:
            self._on_change(self._zone_id)

    def close(self) -> None:
        """Remove the report without notifying; the caller reports the end."""
        self._is_closed = True
        self._cancel_withdrawal()
        self._reported.pop(self._zone_id, None)

    def _report(self, event: str, error: str) -> None:
        if error not in self._errors and len(self._errors) < MAX_REPORTED_ERRORS:
            self._errors.add(error)
            self._reported[self._zone_id] = error
            log.warning(event, id=self._zone_id, error=error)
            self._on_change(self._zone_id)

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

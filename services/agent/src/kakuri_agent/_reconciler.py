"""The one loop that compares what should be with what is.

What should be stands in the registry, what is in the runtime's view. Whatever happens - a request,
a report, a crash of anything - ends as a workload that needs attention, and attending to it is
always the same: take over what is true of its zone, then do the one thing that is missing.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice

import structlog
from kakuri_registry import (
    Journal,
    RegistryFull,
    StoreError,
    Wanted,
    WorkloadEntry,
    WorkloadRegistry,
    WorkloadState,
    ZoneHandle,
    ZoneSpec,
    ZoneStatus,
)

from kakuri_agent._capacity import Capacity
from kakuri_agent._restarts import (
    ENDS_OF_A_STOP,
    GOOD_RUN,
    LONGEST_BACK_OFF,
    back_off,
    is_restarted,
)
from kakuri_agent._runtime import Runtime

log = structlog.get_logger()

FULL_PASS_SECONDS = 30.0
"""How often every unfinished workload is attended to, though nothing was told of it."""

STORE_RETRY_SECONDS = 1.0
"""How long a step waits that may only be taken once it is on disk, while the disk takes nothing."""

REMOVED_REMEMBERED = 10_000
"""Removed workloads whose zones are not adopted, should one turn up; the oldest are forgotten."""

WORKLOADS_PER_TURN = 256
"""Attended to before the event loop gets its turn: some milliseconds."""


class Reconciler:
    """Brings what is to what should be. It is the runtime's observer."""

    def __init__(
        self,
        registry: WorkloadRegistry,
        journal: Journal,
        runtime: Runtime,
        capacity: Capacity,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._runtime = runtime
        self._capacity = capacity
        self._clock = clock
        self._chance = chance
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, None] = {}
        self._turn: asyncio.Handle | None = None
        # Back-offs are timed by the loop's clock, which nobody can set. Only after a restart of
        # this process does the wall clock's restart_at count.
        self._back_offs: dict[str, asyncio.TimerHandle] = {}
        self._waited: set[str] = set()
        self._began: dict[str, float] = {}  # runs that were seen running, by the loop's clock
        self._until_durable: dict[str, asyncio.TimerHandle | None] = {}
        self._removed: dict[str, None] = {}  # by this process, and so not to be adopted
        self._vacated: dict[str, str] = {}  # the sandboxes, by workload, that nothing runs in again
        self._on_end: Callable[[], None] | None = None
        self._full_pass = self._loop.call_later(FULL_PASS_SECONDS, self._pass)
        runtime.attach(self)

    def attend(self, workload_id: str) -> None:
        """Have a workload attended to soon."""
        self._due[workload_id] = None
        if self._turn is None:
            self._turn = self._loop.call_soon(self._wait_a_turn)

    def notify_ends(self, on_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended for good."""
        self._on_end = on_end

    def _wait_a_turn(self) -> None:
        """Let replies leave first: they are about to be written, and their clients wait."""
        self._turn = self._loop.call_soon(self._take_turn)

    def zone_changed(self, zone_id: str) -> None:
        """Attend to the workload of a zone."""
        self.attend(zone_id)

    def zone_gone(self, zone_id: str) -> None:
        """Forget a workload of which nothing is left."""
        entry = self._registry.get(zone_id)
        if entry is not None and entry.wanted is Wanted.REMOVE:
            self._registry.remove(zone_id)
            self._rest(zone_id)
            self._vacated.pop(zone_id, None)
            self._removed[zone_id] = None
            if len(self._removed) > REMOVED_REMEMBERED:
                del self._removed[next(iter(self._removed))]
            log.info("workload removed", id=zone_id)
            self._on_change(zone_id)

    def zones_listed(self) -> None:
        """Attend to all workloads that have not ended, and to all zones."""
        for entry in self._registry:
            if not entry.state.is_terminal or entry.wanted is Wanted.REMOVE:
                self.attend(entry.workload.id)
        for zone in self._runtime.list():
            self.attend(zone.id)

    def close(self) -> None:
        """Attend to nothing more."""
        self._full_pass.cancel()
        if self._turn is not None:
            self._turn.cancel()
        for timer in (*self._back_offs.values(), *self._until_durable.values()):
            if timer is not None:
                timer.cancel()

    def _pass(self) -> None:
        """Attend to what has not ended; a removal that is under way goes on by itself."""
        for state in (WorkloadState.PENDING, WorkloadState.RUNNING):
            after = ""
            while page := self._registry.page(state=state, after=after):
                for entry in page:
                    self.attend(entry.workload.id)
                after = page[-1].workload.id
        self._full_pass = self._loop.call_later(FULL_PASS_SECONDS, self._pass)

    def _take_turn(self) -> None:
        self._turn = None
        for workload_id in list(islice(self._due, WORKLOADS_PER_TURN)):
            del self._due[workload_id]
            self._reconcile(workload_id)
            self._on_change(workload_id)
        if self._due and self._turn is None:
            self._turn = self._loop.call_soon(self._wait_a_turn)

    def _reconcile(self, workload_id: str) -> None:
        zone = self._runtime.status(workload_id)
        entry = self._registry.get(workload_id) or self._adopt(zone)
        if entry is None:
            self._rest(workload_id)
            return
        entry = self._observe(self._caught_up(entry, zone), zone)
        if entry.state.is_terminal:
            self._rest(workload_id)
        self._act(entry, zone)

    def _adopt(self, zone: ZoneStatus | None) -> WorkloadEntry | None:
        """Register a zone that nobody remembers: it has run, so it is a workload.

        What is half made is none; the sidecar removes it. Its spec may have to be asked for, and
        then the zone is attended to again.
        """
        if zone is None or zone.state is WorkloadState.PENDING:
            return None
        if zone.id in self._removed:  # by a start that came late to the runtime
            self._runtime.remove(zone.id, 0)
            return None
        spec = self._runtime.spec(zone.id)
        if spec is None:
            return None
        try:
            entry = self._registry.register(spec.workload(), now=self._clock(), is_adopted=True)
        except RegistryFull as error:
            log.warning("zone not adopted", id=zone.id, error=str(error))
            return None
        self._capacity.honour([entry.workload])
        log.warning("zone adopted", id=zone.id, state=zone.state.value)
        words = "its zone was found without a record of it"
        return self._registry.update(
            zone.id, WorkloadState.PENDING, now=self._clock(), reason="Adopted", message=words
        )

    def _caught_up(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> WorkloadEntry:
        """Take over a later attempt than any that is known here: the store is a restored one."""
        if zone is None or zone.attempt <= entry.attempt or entry.state.is_terminal:
            return entry
        log.warning("attempt taken over", id=zone.id, known=entry.attempt, attempt=zone.attempt)
        self._rest_from_back_off(zone.id)
        self._began.pop(zone.id, None)
        return self._registry.restart(
            zone.id,
            now=self._clock(),
            restart_at=None,
            failures=entry.failures,
            attempt=zone.attempt,
        )

    def _observe(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> WorkloadEntry:
        """Take over what is true of a zone."""
        if entry.state.is_terminal:
            return entry
        if zone is None:
            is_lost = entry.state is WorkloadState.RUNNING and self._runtime.is_listed
            if not is_lost or entry.wanted is Wanted.REMOVE:
                return entry
            lost = ZoneStatus(
                entry.workload.id, WorkloadState.FAILED, "ZoneLost", "nothing is left of its zone"
            )
            return self._end(entry, lost)
        if zone.attempt < entry.attempt:
            return entry  # what is left of the run before
        if zone.state.is_terminal:
            return self._end(entry, zone)
        if zone.state is WorkloadState.PENDING and entry.state is WorkloadState.RUNNING:
            log.warning("report not believed", id=zone.id, known="running", reported="pending")
            return entry
        if zone.state is WorkloadState.RUNNING and zone.id not in self._began:
            self._began[zone.id] = self._loop.time() - self._age(zone)
        known = (entry.started_at, entry.address, entry.image_digest)
        # What is not told stays as it is known.
        told = (
            zone.started_at or entry.started_at,
            zone.address or entry.address,
            zone.image_digest or entry.image_digest,
        )
        is_same = (zone.state, zone.reason, zone.message) == (
            entry.state,
            entry.reason,
            entry.message,
        )
        if is_same and told == known:
            return entry
        return self._update(entry, zone, zone.state, zone.reason)

    def _end(self, entry: WorkloadEntry, zone: ZoneStatus) -> WorkloadEntry:
        """Take over the end of a run: it is the workload's, or another run follows."""
        workload = entry.workload
        reason = zone.reason
        if entry.wanted is not Wanted.RUN and reason in ENDS_OF_A_STOP:
            reason = "Stopped"
        if entry.state is WorkloadState.PENDING and (
            zone.started_at is not None or zone.state is WorkloadState.SUCCEEDED
        ):
            running = replace(zone, message=None, exit_code=None, ended_at=None)
            entry = self._update(entry, running, WorkloadState.RUNNING, None)  # so it was, unseen
        if entry.wanted is Wanted.RUN and is_restarted(workload.restart_policy, zone.state):
            failures = 1 if self._ran_well(zone) else entry.failures + 1
            if failures <= workload.max_restarts:
                return self._restart(entry, zone, failures)
            words = f"not restarted any more: {failures} runs in a row were no good ones"
            zone = replace(zone, message=f"{zone.message}; {words}" if zone.message else words)
        return self._update(entry, zone, zone.state, reason)

    def _age(self, zone: ZoneStatus) -> float:
        """Give the seconds that a zone has run: the one thing that the wall clock is asked for."""
        return 0.0 if zone.started_at is None else max(self._clock() - zone.started_at, 0.0)

    def _ran_well(self, zone: ZoneStatus) -> bool:
        """Whether a run was long enough."""
        began = self._began.pop(zone.id, None)
        if began is not None:
            return self._loop.time() - began >= GOOD_RUN
        # Nobody has seen it run. Both times are the runtime's, by one clock.
        if zone.started_at is None or zone.ended_at is None:
            return False
        return zone.ended_at - zone.started_at >= GOOD_RUN

    def _restart(self, entry: WorkloadEntry, zone: ZoneStatus, failures: int) -> WorkloadEntry:
        workload_id = entry.workload.id
        now = self._clock()
        delay = back_off(failures, self._chance())
        code = "" if zone.exit_code is None else f", exit code {zone.exit_code}"
        entry = self._registry.restart(
            workload_id,
            now=now,
            restart_at=now + delay,
            reason="BackOff",
            message=f"the last run ended: {zone.reason or zone.state.value}{code}",
            exit_code=zone.exit_code,
            failures=failures,
        )
        self._wait(workload_id, delay)
        log.info("workload restarts", id=workload_id, attempt=entry.attempt, seconds=round(delay))
        return entry

    def _update(
        self, entry: WorkloadEntry, zone: ZoneStatus, state: WorkloadState, reason: str | None
    ) -> WorkloadEntry:
        handle = None
        if zone.pod_sandbox_id is not None and zone.container_id is not None:
            handle = ZoneHandle(zone.pod_sandbox_id, zone.container_id)
        updated = self._registry.update(
            entry.workload.id,
            state,
            now=self._clock(),
            reason=reason,
            message=zone.message,
            exit_code=zone.exit_code,
            handle=handle,
            address=zone.address,
            started_at=zone.started_at,
            ended_at=zone.ended_at,
            image_digest=zone.image_digest,
        )
        facts = {"reason": reason, "message": zone.message, "exit_code": zone.exit_code}
        known = {name: value for name, value in facts.items() if value is not None}
        log.info("workload changed", id=zone.id, state=state.value, **known)
        if state.is_terminal and self._on_end is not None:
            self._on_end()
        return updated

    def _act(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Do the one thing that is missing."""
        workload_id = entry.workload.id
        is_of_before = zone is not None and zone.attempt < entry.attempt
        if entry.wanted is not Wanted.RUN and not self._is_noted(workload_id):
            self._attend_once_durable(workload_id)
        elif entry.wanted is Wanted.REMOVE:
            self._remove(entry, zone)
        elif entry.state.is_terminal:
            self._vacate(entry, zone)
        elif entry.wanted is Wanted.STOP and is_of_before:
            self._end(entry, ZoneStatus(workload_id, WorkloadState.FAILED, "Stopped"))
            self._rest(workload_id)
        elif entry.wanted is Wanted.STOP:
            self._runtime.stop(workload_id, entry.grace_seconds)
        elif entry.state is WorkloadState.PENDING and (zone is None or is_of_before):
            self._start(entry)

    def _remove(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Have a zone removed; only stopped while that can't be noted.

        A crash would take the removal back, and without the zone it would look as if it never ran.
        """
        workload_id = entry.workload.id
        if self._journal.is_saved(workload_id):
            self._runtime.remove(workload_id, entry.grace_seconds)
            return
        if zone is not None and not zone.state.is_terminal:
            self._runtime.stop(workload_id, entry.grace_seconds)
        self._attend_once_durable(workload_id)

    def _vacate(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Have the sandbox of a workload that has ended for good end too: it may be a machine."""
        if zone is None:
            return
        if zone.state.is_terminal:
            sandbox_id = zone.pod_sandbox_id
            if sandbox_id is None or self._vacated.get(zone.id) == sandbox_id:
                return
            self._vacated[zone.id] = sandbox_id
        # Otherwise it is a start that came late to the runtime, after it was told to stop.
        self._runtime.stop(zone.id, entry.grace_seconds)

    def _start(self, entry: WorkloadEntry) -> None:
        """Start a workload's next run, once it may and once that is on disk."""
        workload_id = entry.workload.id
        if workload_id in self._back_offs:
            return
        if entry.restart_at is not None and workload_id not in self._waited:
            self._wait(workload_id, min(entry.restart_at - self._clock(), LONGEST_BACK_OFF))
        elif self._journal.is_saved(workload_id):
            self._runtime.start(ZoneSpec.of(entry.workload, entry.attempt))
        else:
            self._attend_once_durable(workload_id)

    def _is_noted(self, workload_id: str) -> bool:
        """Whether a crash would not take back that a workload is to end.

        While the disk takes nothing, it ends all the same.
        """
        return self._journal.is_settled(workload_id)

    def _attend_once_durable(self, workload_id: str) -> None:
        if workload_id not in self._until_durable:
            self._until_durable[workload_id] = None
            self._journal.when_saved(workload_id, partial(self._durable, workload_id))

    def _durable(self, workload_id: str, error: StoreError | None) -> None:
        if error is None:
            self._attend_now(workload_id)
        else:  # the journal has logged it, and goes on trying
            self._until_durable[workload_id] = self._loop.call_later(
                STORE_RETRY_SECONDS, self._attend_now, workload_id
            )

    def _attend_now(self, workload_id: str) -> None:
        del self._until_durable[workload_id]
        self.attend(workload_id)

    def _wait(self, workload_id: str, seconds: float) -> None:
        """Wait out a back-off."""
        self._waited.discard(workload_id)
        self._back_offs[workload_id] = self._loop.call_later(
            max(seconds, 0), self._back_off_ended, workload_id
        )

    def _back_off_ended(self, workload_id: str) -> None:
        del self._back_offs[workload_id]
        self._waited.add(workload_id)
        self.attend(workload_id)

    def _rest(self, workload_id: str) -> None:
        """Let no back-off and no promise of a workload go on."""
        self._rest_from_back_off(workload_id)
        self._began.pop(workload_id, None)
        self._capacity.release(workload_id)

    def _rest_from_back_off(self, workload_id: str) -> None:
        timer = self._back_offs.pop(workload_id, None)
        if timer is not None:
            timer.cancel()
        self._waited.discard(workload_id)

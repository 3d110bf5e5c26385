"""A runtime without processes, in which timers change the states of zones.

A script decides how the zones of each image run and end, so that every outcome can be tried without
a container runtime. It is a TOML file, and the first outcome whose `image` pattern matches applies:

    [[outcome]]
    image = "job:*"         # * and ? as in a shell
    start_delay = 0.5       # seconds until it runs
    run_time = 2.0          # seconds until it ends; without it, it runs until it is stopped
    exit_code = 3           # 0 is success
    failure = "OOMKilled"   # the reason if it fails; with run_time = 0 it fails before it runs
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from kakuri_daemon import KeyedEvents, read_toml, wait_until_set
from kakuri_json import convert
from kakuri_rpc import MAX_REASON_LENGTH
from kakuri_workload import (
    ImageState,
    ImageStatus,
    LogChunk,
    LogRequest,
    PullPolicy,
    Range,
    Removal,
    Text,
    WorkloadState,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily

from kakuri_agent.runtimes._names import SIMULATED
from kakuri_agent.runtimes._protocol import NoLog, Observer, RemovedZone

Seconds = Annotated[float, Range(ge=0, le=365 * 24 * 3600)]
Reason = Annotated[
    str,
    Text(pattern=r"[!-~]+", max_length=MAX_REASON_LENGTH, description="a reason like OOMKilled"),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a zone whose image matches the pattern `image` runs and ends; times are in seconds."""

    image: str = "*"
    start_delay: Seconds = 0
    run_time: Seconds | None = None
    exit_code: Annotated[int, Range(ge=0, le=255)] = 0
    failure: Reason | None = None

    @property
    def start(self) -> tuple[WorkloadState, str | None]:
        """The state and the reason of a zone after its start delay."""
        if self.failure is not None and self.run_time == 0:
            return WorkloadState.FAILED, self.failure
        return WorkloadState.RUNNING, None


@dataclass(frozen=True, slots=True)
class Script:
    """The outcomes of a script; the first one that matches an image applies."""

    outcome: list[Outcome]


DEFAULT_OUTCOME = Outcome()
_EXIT_STOPPED = 0


def read_script(path: Path) -> list[Outcome]:
    """Read a script of outcomes. Raises OSError, and ValueError that says what is wrong where."""
    return convert(read_toml(path), type=Script).outcome


class SimulatedRuntime:
    """Simulates workloads by a script."""

    name = SIMULATED
    is_simulated = True
    endpoint = None
    is_listed = True
    fault = None

    def __init__(self, outcomes: list[Outcome] | None = None) -> None:
        self.handlers: Mapping[str, str] = {}
        self.end_failures: Mapping[str, str] = {}
        self._outcomes = outcomes or []
        self._zones: dict[str, ZoneStatus] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}  # for the next state of each zone
        self._observer: Observer | None = None
        self._changed = KeyedEvents()

    def attach(self, observer: Observer) -> None:
        """Notify this observer; there are no zones yet."""
        self._observer = observer
        observer.zones_listed()

    def start(self, spec: ZoneSpec) -> None:
        """Start a zone after its start delay, unless that attempt was started before.

        Without a delay, the zone runs at once, and the observer is notified before this returns.
        """
        zone_id, attempt = spec.workload.id, spec.attempt
        known = self._zones.get(zone_id)
        if known is not None:
            if known.attempt >= attempt:
                return
            self._cancel(zone_id)
        outcome = self._outcome_of(spec.workload.image)
        is_delayed = outcome.start_delay > 0
        state, reason = (WorkloadState.PENDING, None) if is_delayed else outcome.start
        self._zones[zone_id] = ZoneStatus(
            zone_id,
            state,
            reason,
            container_id=f"simulated-{zone_id}-{attempt}",
            attempt=attempt,
            spec=spec,
        )
        if is_delayed:
            self._proceed_after(outcome.start_delay, zone_id, outcome)
        else:
            self._notify(zone_id)
            self._schedule_end(zone_id, outcome)

    def stop(self, zone_id: str, grace_seconds: int) -> None:  # noqa: ARG002 (it ends at once)
        """End a running or starting zone at once, without a grace period."""
        zone = self._zones.get(zone_id)
        if zone is None:
            zone = self._zones[zone_id] = ZoneStatus(zone_id, WorkloadState.PENDING)
        if zone.state.is_terminal:
            return
        self._cancel(zone_id)
        if zone.state is WorkloadState.RUNNING:
            self._change(zone, WorkloadState.SUCCEEDED, "Stopped", exit_code=_EXIT_STOPPED)
        else:
            self._change(zone, WorkloadState.FAILED, "Stopped", "stopped before it ran")

    def remove(self, zone_id: str, grace_seconds: int) -> None:
        """End a zone and forget it."""
        if zone_id in self._zones:
            self.stop(zone_id, grace_seconds)
        zone = self._zones.pop(zone_id, None)
        removed = RemovedZone(Removal(verified_by="simulated"))
        if zone is not None:
            sandbox_id = f"simulated-sandbox-{zone_id}" if zone.container_id else None
            removal = Removal(sandbox_id, zone.container_id, verified_by="simulated")
            removed = RemovedZone(removal, status=zone)
        self._changed.set(zone_id)
        if self._observer is not None:
            self._observer.zone_removed(zone_id, removed)

    def status(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone."""
        return self._zones.get(zone_id)

    def list(self) -> Collection[ZoneStatus]:
        """Return the status of all zones."""
        return list(self._zones.values())

    def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return the spec that a zone was created from."""
        zone = self._zones.get(zone_id)
        return None if zone is None else zone.spec

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return an empty chunk once the log is complete or the time to wait has passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait
        with self._changed.watch(zone_id) as changed:
            while not (ended := self._is_log_complete(zone_id, request)):
                if not await wait_until_set(changed, deadline - loop.time()):
                    break
        return LogChunk(b"", "0", ended)

    def _is_log_complete(self, zone_id: str, request: LogRequest) -> bool:
        zone = self._zones.get(zone_id)
        if zone is None:
            raise NoLog(f"no log of {zone_id!r}")
        attempt = None if request.records is None else request.records.attempt
        is_over = attempt is not None and attempt < zone.attempt
        return is_over or zone.state.is_terminal

    async def check_image(self, _image: str, _policy: PullPolicy | None) -> ImageStatus:
        """Return that no image is needed."""
        return ImageStatus(ImageState.SIMULATED)

    async def metrics(self) -> Sequence[MetricFamily]:
        """Return no metrics: nothing really runs, so there is nothing to measure."""
        return []

    async def close(self) -> None:
        """Cancel all timers."""
        self._observer = None
        for timer in self._timers.values():
            timer.cancel()

    def _outcome_of(self, image: str) -> Outcome:
        for outcome in self._outcomes:
            if fnmatchcase(image, outcome.image):
                return outcome
        return DEFAULT_OUTCOME

    def _proceed_after(self, delay: float, zone_id: str, outcome: Outcome) -> None:
        loop = asyncio.get_running_loop()
        self._timers[zone_id] = loop.call_later(delay, self._proceed, zone_id, outcome)

    def _cancel(self, zone_id: str) -> None:
        """Cancel the next change of a zone's state."""
        timer = self._timers.pop(zone_id, None)
        if timer is not None:
            timer.cancel()

    def _proceed(self, zone_id: str, outcome: Outcome) -> None:
        """Change a zone's state, because its start delay or its run time is over."""
        del self._timers[zone_id]
        zone = self._zones[zone_id]
        if zone.state is WorkloadState.RUNNING:
            self._end(zone, outcome)
        else:
            self._change(zone, *outcome.start)
            self._schedule_end(zone_id, outcome)

    def _schedule_end(self, zone_id: str, outcome: Outcome) -> None:
        if outcome.run_time is None:
            return
        zone = self._zones.get(zone_id)
        if zone is not None and zone.state is WorkloadState.RUNNING:
            self._proceed_after(outcome.run_time, zone_id, outcome)

    def _end(self, zone: ZoneStatus, outcome: Outcome) -> None:
        code, failure = outcome.exit_code, outcome.failure
        if code == 0 and failure is None:
            self._change(zone, WorkloadState.SUCCEEDED, exit_code=code)
        else:
            self._change(zone, WorkloadState.FAILED, failure or "Error", exit_code=code)

    def _change(
        self,
        zone: ZoneStatus,
        state: WorkloadState,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        # Without times: no process has started or ended.
        self._zones[zone.id] = ZoneStatus(
            zone.id,
            state,
            reason,
            message,
            exit_code,
            container_id=zone.container_id,
            attempt=zone.attempt,
            spec=zone.spec,
        )
        self._notify(zone.id)

    def _notify(self, zone_id: str) -> None:
        self._changed.set(zone_id)
        if self._observer is not None:
            self._observer.zone_changed(zone_id)

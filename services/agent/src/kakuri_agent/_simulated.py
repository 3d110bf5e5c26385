"""A runtime in which nothing runs: zones go through their states by the clock.

What a zone does is scripted by its image, so that every outcome can be shown without a container
runtime. The script is a TOML file; the first outcome whose `image` pattern matches counts:

    [[outcome]]
    image = "job:*"         # * and ? as in a shell
    start_delay = 0.5       # seconds until it runs
    run_time = 2.0          # seconds until it ends; without it, it runs until it is stopped
    exit_code = 3           # 0 is success
    failure = "OOMKilled"   # the reason told if it fails; before it runs if run_time = 0
"""

import asyncio
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from kakuri_json import convert
from kakuri_registry import Range, Text, Workload, WorkloadState, ZoneHandle
from kakuri_rpc import MAX_REASON_LENGTH

from kakuri_agent._runtime import Observer, ZoneStatus

Seconds = Annotated[float, Range(ge=0, le=365 * 24 * 3600)]
Reason = Annotated[
    str,
    Text(pattern=r"[!-~]+", max_length=MAX_REASON_LENGTH, description="a reason like OOMKilled"),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a zone whose image matches the pattern `image`; times in seconds."""

    image: str = "*"
    start_delay: Seconds = 0
    run_time: Seconds | None = None
    exit_code: Annotated[int, Range(ge=0, le=255)] = 0
    failure: Reason | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The outcomes of a script, the first match first."""

    outcome: list[Outcome]


DEFAULT_OUTCOME = Outcome()
_EXIT_STOPPED = 0


def read_script(path: Path) -> list[Outcome]:
    """Read a script of outcomes. Raises OSError, and ValueError that says what is wrong where."""
    return convert(tomllib.loads(path.read_text(encoding="utf-8")), type=Script).outcome


@dataclass(slots=True)
class _Zone:
    workload: Workload
    outcome: Outcome
    state: WorkloadState
    timer: asyncio.TimerHandle


class SimulatedRuntime:
    """Pretends to run workloads, by a script."""

    name = "simulated"
    is_simulated = True

    def __init__(self, outcomes: list[Outcome] | None = None) -> None:
        self._outcomes = outcomes or []
        self._zones: dict[str, _Zone] = {}
        self._observer: Observer | None = None

    def attach(self, observer: Observer) -> None:
        """Tell this observer what happens."""
        self._observer = observer

    def start(self, workload: Workload) -> None:
        """Let a zone run after its start delay, unless it has been started already."""
        if workload.id in self._zones:
            return
        outcome = next(
            (each for each in self._outcomes if fnmatchcase(workload.image, each.image)),
            DEFAULT_OUTCOME,
        )
        timer = self._after(outcome.start_delay, workload.id)
        self._zones[workload.id] = _Zone(workload, outcome, WorkloadState.PENDING, timer)

    def stop(self, workload_id: str, grace_seconds: int) -> None:  # noqa: ARG002 (it ends at once)
        """End a zone that has not ended; it needs no grace time."""
        zone = self._zones.get(workload_id)
        if zone is None or zone.state.is_terminal:
            return
        zone.timer.cancel()
        if zone.state is WorkloadState.RUNNING:
            self._change(zone, WorkloadState.SUCCEEDED, "Stopped", exit_code=_EXIT_STOPPED)
        else:
            self._change(zone, WorkloadState.FAILED, "Stopped", "stopped before it ran")

    def remove(self, workload_id: str) -> None:
        """Forget a zone that has ended."""
        zone = self._zones.pop(workload_id, None)
        if zone is not None:
            zone.timer.cancel()
        if self._observer is not None:
            self._observer.zone_gone(workload_id)

    def close(self) -> None:
        """Let no clock go on."""
        self._observer = None
        for zone in self._zones.values():
            zone.timer.cancel()

    def _after(self, delay: float, workload_id: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, self._proceed, workload_id)

    def _proceed(self, workload_id: str) -> None:
        zone = self._zones[workload_id]
        outcome = zone.outcome
        if zone.state is WorkloadState.RUNNING:
            self._end(zone)
        elif outcome.failure is not None and outcome.run_time == 0:
            self._change(zone, WorkloadState.FAILED, outcome.failure)
        else:
            self._change(zone, WorkloadState.RUNNING)
            if outcome.run_time is not None:
                zone.timer = self._after(outcome.run_time, workload_id)

    def _end(self, zone: _Zone) -> None:
        code, failure = zone.outcome.exit_code, zone.outcome.failure
        if code == 0 and failure is None:
            self._change(zone, WorkloadState.SUCCEEDED, exit_code=code)
        else:
            self._change(zone, WorkloadState.FAILED, failure or "Error", exit_code=code)

    def _change(
        self,
        zone: _Zone,
        state: WorkloadState,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        zone.state = state
        workload_id = zone.workload.id
        handle = ZoneHandle(f"simulated-sandbox-{workload_id}", f"simulated-{workload_id}")
        if self._observer is not None:
            self._observer.zone_changed(
                ZoneStatus(workload_id, state, reason, message, exit_code, handle)
            )

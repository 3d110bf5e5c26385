"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from collections.abc import Mapping
from typing import assert_never, assert_type

from kakuri_workload import (
    DEFAULT_RUNTIME_CLASS,
    DesiredState,
    Run,
    RuntimeHealth,
    Workload,
    WorkloadState,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import Counts, Histograms, MetricFamily, gauge, pages
from kakuri_workload.testing import workload

WORKLOAD = Workload(
    "wl-1", "nginx:latest", DEFAULT_RUNTIME_CLASS, 512, 500, args=("-v",), env={"COLOUR": "blue"}
)


def a_workload_has_optional_fields() -> None:
    assert_type(WORKLOAD.args, tuple[str, ...])
    assert_type(WORKLOAD.working_dir, str | None)
    labels: Mapping[str, str] = WORKLOAD.labels
    assert_type(workload("wl-2", labels=labels), Workload)


def states_answer_questions(run: Run, desired: DesiredState) -> None:
    assert_type(run.state, WorkloadState)
    assert_type(run.state.is_terminal, bool)
    assert_type(run.state.can_become(WorkloadState.FAILED), bool)
    assert_type(desired.can_become(DesiredState.REMOVE), bool)
    assert_type(run.exit_code, int | None)


def a_zone_is_specified_by_a_workload_and_an_attempt(status: ZoneStatus) -> None:
    spec = ZoneSpec(WORKLOAD, attempt=2)
    assert_type(spec.id, str)
    assert_type(status.spec, ZoneSpec | None)


def events_are_a_closed_set(event: ZoneEvent) -> str:
    match event:
        case ZoneChanged(zone=zone):
            assert_type(zone, ZoneStatus)
            return zone.id
        case ZoneGone(id=zone_id):
            return zone_id
        case RuntimeHealth(message=message):
            return message or ""
        case ZonesListed():
            return ""
    assert_never(event)


def counts_and_histograms_become_families() -> None:
    requests = Counts("kakuri_requests", "Requests.", ("method",))
    requests["GET",] += 1
    assert_type(requests["GET",], float)
    durations = Histograms("kakuri_request_duration_seconds", "Time.", ("method",))
    durations["GET",].observe(0.5)
    free = gauge("kakuri_disk_bytes", "Free.", {("logs",): 1}, ("disk",))
    assert_type([requests.family(), durations.family(), free], list[MetricFamily])
    assert_type(free.samples[0].labels, tuple[str, ...])
    for page in pages([free], max_samples=10, max_bytes=500_000):
        assert_type(page, list[MetricFamily])

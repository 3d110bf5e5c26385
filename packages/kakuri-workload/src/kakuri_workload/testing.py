"""Builders of valid objects for tests."""

from typing import Any

from kakuri_workload._workload import DEFAULT_RUNTIME_CLASS, Workload
from kakuri_workload._zone import ZoneSpec


def workload(workload_id: str = "wl-1", **changes: Any) -> Workload:
    """Return a small valid workload.

    Args:
        workload_id: Its id.
        changes: Fields of `Workload` that differ from the example in the contracts, such as
            `labels={"team": "blue"}`.
    """
    fields: dict[str, Any] = {
        "image": "nginx:latest",
        "runtime_class": DEFAULT_RUNTIME_CLASS,
        "memory_mb": 512,
        "cpu_millicores": 500,
    }
    return Workload(id=workload_id, **{**fields, **changes})


def zone_spec(workload_id: str = "wl-1", attempt: int = 0, **changes: Any) -> ZoneSpec:
    """Return the zone spec of a small valid workload; `changes` are those of `workload`."""
    return ZoneSpec(workload(workload_id, **changes), attempt)

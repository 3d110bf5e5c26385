"""Workloads, their state machine, and the registry that holds them."""

from kakuri_registry._errors import (
    DuplicateWorkload,
    IllegalTransition,
    RegistryError,
    RegistryFull,
    UnknownWorkload,
)
from kakuri_registry._grammar import IMAGE_REFERENCE, WORKLOAD_ID, Range, Text
from kakuri_registry._registry import MAX_PAGE, MAX_WORKLOADS, WorkloadRegistry
from kakuri_registry._state import TRANSITIONS, WorkloadState
from kakuri_registry._version import __version__
from kakuri_registry._workload import (
    ImageReference,
    Quantity,
    RuntimeClass,
    Workload,
    WorkloadEntry,
    WorkloadId,
    ZoneHandle,
)

__all__ = [
    "IMAGE_REFERENCE",
    "MAX_PAGE",
    "MAX_WORKLOADS",
    "TRANSITIONS",
    "WORKLOAD_ID",
    "DuplicateWorkload",
    "IllegalTransition",
    "ImageReference",
    "Quantity",
    "Range",
    "RegistryError",
    "RegistryFull",
    "RuntimeClass",
    "Text",
    "UnknownWorkload",
    "Workload",
    "WorkloadEntry",
    "WorkloadId",
    "WorkloadRegistry",
    "WorkloadState",
    "ZoneHandle",
    "__version__",
]

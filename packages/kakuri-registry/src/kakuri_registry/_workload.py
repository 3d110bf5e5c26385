"""What a submitter wants to run, and what is known about it."""

from dataclasses import dataclass
from typing import Annotated

from kakuri_registry._grammar import (
    IMAGE_REFERENCE,
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    WORKLOAD_ID,
    Range,
    Text,
)
from kakuri_registry._state import WorkloadState

MAX_QUANTITY = 2**31 - 1
"""The largest memory or CPU figure: a CRI runtime takes neither beyond 32 bits of these units."""

WorkloadId = Annotated[
    str,
    Text(
        pattern=WORKLOAD_ID,
        max_length=MAX_ID_LENGTH,
        description="a label of 1 to 63 characters a-z, 0-9 and '-', a letter or digit at each end",
    ),
]
"""An RFC 1123 label."""

ImageReference = Annotated[
    str,
    Text(
        pattern=IMAGE_REFERENCE,
        max_length=MAX_IMAGE_LENGTH,
        description="an image reference like 'nginx:latest' of at most 255 characters",
    ),
]
"""An OCI image reference: [domain/]path[:tag][@digest]."""

RuntimeClass = Annotated[
    str,
    Text(pattern=WORKLOAD_ID, max_length=MAX_ID_LENGTH, description="the name of a runtime class"),
]
Quantity = Annotated[int, Range(ge=1, le=MAX_QUANTITY)]


@dataclass(frozen=True, slots=True)
class Workload:
    """A container image to run in a zone of its own, with its limits.

    memory_mb is in units of 2**20 bytes; 1000 cpu_millicores are one core.
    """

    id: WorkloadId
    image: ImageReference
    runtime_class: RuntimeClass
    memory_mb: Quantity
    cpu_millicores: Quantity


@dataclass(frozen=True, slots=True)
class ZoneHandle:
    """Where the runtime keeps a workload: the ids that it gave to the sandbox and the container."""

    pod_sandbox_id: str
    container_id: str


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A snapshot of what the registry knows about one workload; it never changes.

    version grows with every change of the registry, so of two snapshots of one workload the one
    with the larger version is the later. Times are seconds since the epoch, as given to the
    registry.
    """

    workload: Workload
    state: WorkloadState
    version: int
    registered_at: float
    changed_at: float
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    handle: ZoneHandle | None = None

"""What a submitter wants to run, and what is known about it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar

from kakuri_registry._document import MAX_DOCUMENT_BYTES, MAX_PATH_BYTES
from kakuri_registry._grammar import (
    C_STRING,
    IMAGE_REFERENCE,
    LABEL_KEY,
    LABEL_VALUE,
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    MAX_NAME_LENGTH,
    USER,
    VARIABLE_NAME,
    WORKING_DIRECTORY,
    WORKLOAD_ID,
    MaxLength,
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

MAX_LABELS = 64
MAX_LABEL_KEY_LENGTH = 253 + 1 + 63
"""A host name, a slash and a name."""

# What Linux takes of these is counted in bytes, by `oversized_strings`.
Argument = Annotated[
    str,
    Text(
        pattern=C_STRING,
        max_length=MAX_DOCUMENT_BYTES,
        description="a string without NUL",
    ),
]
Arguments = tuple[Argument, ...]
VariableName = Annotated[
    str,
    Text(
        pattern=VARIABLE_NAME,
        max_length=MAX_DOCUMENT_BYTES,
        description="a variable's name: printable text without '='",
    ),
]
Environment = dict[VariableName, Argument]
WorkingDirectory = Annotated[
    str,
    Text(
        pattern=WORKING_DIRECTORY,
        max_length=MAX_PATH_BYTES,
        description="an absolute path without '.' and '..', outside /proc, /sys and /dev/fd",
    ),
]
User = Annotated[
    str,
    Text(
        pattern=USER,
        max_length=2 * MAX_NAME_LENGTH + 1,
        description="a user like '1000', '1000:1000', 'nobody' or 'app:staff'",
    ),
]
LabelKey = Annotated[
    str,
    Text(
        pattern=LABEL_KEY,
        max_length=MAX_LABEL_KEY_LENGTH,
        description="a label's key like 'team' or 'example.com/team' that is not reserved",
    ),
]
LabelValue = Annotated[
    str,
    Text(
        pattern=LABEL_VALUE,
        max_length=63,
        description="a label's value: at most 63 of letters, digits, '-', '_' and '.'",
    ),
]
Labels = Annotated[dict[LabelKey, LabelValue], MaxLength(MAX_LABELS)]


class RestartPolicy(Enum):
    """When a workload that has ended is started again, short of being told to stop."""

    NEVER = "never"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"


class PullPolicy(Enum):
    """When the image is pulled before a container is created (Kubernetes' imagePullPolicy)."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


MAX_RESTARTS = 100
"""The restarts that a workload gets unless it says otherwise: at the longest back-off, eight
hours of failing."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A container image to run in a zone of its own, with its limits.

    memory_mb is in units of 2**20 bytes; 1000 cpu_millicores are one core. Without `command` and
    `args`, the image says what runs; without `working_dir` and `user`, it says where and as whom.
    max_restarts bounds the restarts between which it never ran well. Without `pull`, an image
    without tag or with the tag `latest` is pulled always, any other one when it is missing.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    id: WorkloadId
    image: ImageReference
    runtime_class: RuntimeClass
    memory_mb: Quantity
    cpu_millicores: Quantity
    command: Arguments = ()
    args: Arguments = ()
    env: Environment = field(default_factory=dict)
    working_dir: WorkingDirectory | None = None
    user: User | None = None
    labels: Labels = field(default_factory=dict)
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    max_restarts: Annotated[int, Range(ge=0, le=MAX_QUANTITY)] = MAX_RESTARTS
    pull: PullPolicy | None = None


@dataclass(frozen=True, slots=True)
class ZoneHandle:
    """Where the runtime keeps a workload: the ids that it gave to the sandbox and the container."""

    pod_sandbox_id: str
    container_id: str


class Wanted(Enum):
    """What is to become of a workload; it only ever goes down this list."""

    RUN = "run"
    STOP = "stop"
    REMOVE = "remove"

    def can_become(self, other: "Wanted") -> bool:
        """Tell whether the other is further down the list."""
        order = list(Wanted)
        return order.index(other) > order.index(self)


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A snapshot of what the registry knows about one workload; it never changes.

    version grows with every change of the registry, so of two snapshots of one workload the one
    with the larger version is the later. Times are seconds since the epoch: registered_at,
    changed_at and restart_at as given to the registry, started_at and ended_at by the runtime's
    clock. attempt counts the restarts, failures those since it last ran well; address is the
    zone's. grace_seconds is how long a workload that is to stop may take to end by itself.
    image_digest is that of the image that ran, where it is known.
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
    address: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    failures: int = 0
    restart_at: float | None = None
    wanted: Wanted = Wanted.RUN
    grace_seconds: int = 0
    image_digest: str | None = None

"""A workload as submitted, with the constraints of each field."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar

from kakuri_workload._grammar import (
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
from kakuri_workload._limits import MAX_DOCUMENT_BYTES, MAX_PATH_BYTES, MAX_STRING_BYTES

MAX_QUANTITY = 2**31 - 1
"""The maximum memory and CPU, in the units below; CRI uses 32 bits for each."""

WorkloadId = Annotated[
    str,
    Text(
        pattern=WORKLOAD_ID,
        max_length=MAX_ID_LENGTH,
        description="1 to 63 characters a-z, 0-9 and '-', with a letter or digit at each end",
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
"""The name of a RuntimeClass, with the same syntax as in Kubernetes."""

Quantity = Annotated[int, Range(ge=1, le=MAX_QUANTITY)]

DEFAULT_RUNTIME_CLASS = "edera-zone"
"""The runtime class of Edera zones, which every node has by default."""

MAX_LABELS = 64
MAX_LABEL_KEY_LENGTH = 253 + 1 + 63
"""A host name, a slash and a name."""

# The kernel limits the size of these in bytes, which `oversized_strings` checks.
Argument = Annotated[
    str,
    Text(
        pattern=C_STRING,
        max_length=MAX_DOCUMENT_BYTES,
        description=f"a string without NUL of at most {MAX_STRING_BYTES} bytes",
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
        description=f"an absolute path of at most {MAX_PATH_BYTES} bytes without '.' and '..', "
        "outside /proc, /sys and /dev/fd",
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
        description="a label's key like 'team' or 'example.com/team' that is not reserved, with at "
        "most 63 characters in its name and 253 before the slash",
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
    """When to restart a workload whose run has ended, unless it was stopped."""

    NEVER = "never"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"


class PullPolicy(Enum):
    """When to pull the image before a container is created (Kubernetes' imagePullPolicy)."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


DEFAULT_MEMORY_MB = 512
DEFAULT_CPU_MILLICORES = 1000
"""The limits that the API sets for a workload submitted without limits."""

MAX_RESTARTS = 100
"""The default maximum number of restarts: at the longest back-off, eight hours of failures."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A container image to run in its own zone, with its limits.

    The constructor does not validate. Untrusted documents are checked against the annotations when
    they are decoded.

    Attributes:
        id: An RFC 1123 label, unique on the node.
        image: An OCI image reference.
        runtime_class: The runtime class that a node maps to a handler of its container runtime.
        memory_mb: Memory limit in units of 2**20 bytes.
        cpu_millicores: CPU limit; 1000 is one core.
        command: Replaces the image's entry point, unless it is empty.
        args: Replaces the image's command, unless it is empty.
        env: Environment variables, in addition to the image's.
        working_dir: Absolute path; the image's by default.
        user: User and group by id or name; the image's by default.
        labels: Keys and values by which workloads can be selected.
        restart_policy: Whether to start another run after a run has ended.
        max_restarts: Maximum number of consecutive restarts after runs that did not stay up.
        pull: When to pull the image. By default, an image without a tag or with the tag `latest` is
            always pulled, and any other image if it is missing.
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

"""The types of message fields, and their limits."""

from enum import Enum
from typing import Annotated

from kakuri_workload import DesiredState, Range, Text, WorkloadState

MAX_GRACE_SECONDS = 3600
"""Maximum grace period of a stop in seconds."""

MAX_REASON_LENGTH = 64
"""Maximum length of a reason, which is a short code."""

MAX_MESSAGE_LENGTH = 1024
"""Maximum length of a status's message, which may quote an image registry or the runtime."""

MAX_ADDRESS_LENGTH = 64
"""Maximum length of an address; the longest IPv6 address with a zone has 61 characters."""

MAX_NAME_LENGTH = 64
"""Maximum length of a version or of a runtime's name."""

MAX_NODE_NAME_LENGTH = 253
"""Maximum length of a node's name, which is a host name by default (RFC 1035 section 2.3.4)."""

MAX_ERROR_LENGTH = 8192
"""Maximum length of an error's message, which may list all faults of a request with their paths."""

MAX_DIGEST_LENGTH = 135
"""Maximum length of an image's digest: SHA-512, with the algorithm's name."""

MAX_PAGE = 100
"""Maximum number of statuses in one reply: even with the longest messages, and each character
escaped to six bytes, they fit into a line of 1 MiB."""

MAX_LOG_DATA = 65_536
"""Maximum size of a piece of a log: few replies for a long log, little memory for each reader."""

MAX_TAIL = 1_000_000
"""Maximum number of lines from the end of a log that a reader can request."""

MAX_LOG_WAIT = 30
"""Maximum time in seconds that a read of a log can wait for output; less than the idle timeout of
proxies."""

LogCursor = Annotated[
    str,
    Text(
        pattern="[!-~]+",
        max_length=128,
        description="a cursor: 1 to 128 printable characters that an earlier reply gave",
    ),
]
"""A position in a log, opaque to everyone but the agent."""

LabelSelector = Annotated[
    str,
    Text(
        pattern="[A-Za-z0-9./_-]{1,317}=[A-Za-z0-9._-]{0,63}",
        max_length=317 + 1 + 63,
        description="a label as key=value",
    ),
]
"""A label to select workloads by; a key has at most 253 characters, a slash and 63 characters."""

TRACE = "trace"
"""The feature of agents that accept the field `trace` in requests."""

FEATURES = (TRACE,)
"""What this release accepts and earlier ones reject, for `Node.features`."""

MAX_FEATURES = 64
"""Maximum number of features of an agent, which may be from a later release."""

Count = Annotated[int, Range(ge=0, le=2**53)]
"""A number of workloads or resources, exact in every JSON parser (RFC 8259 section 6)."""

MAX_RUNTIME_ID_LENGTH = 128
"""Maximum length of the runtime's id of a sandbox or container in a receipt; usually 64."""

MAX_DIFFERENCES = 64
"""Maximum number of paths in the error of a conflict: more than a workload has fields, but it may
have more variables."""

MAX_PATH_LENGTH = 256
"""Maximum length of such a path; longer names of variables are shortened."""

MAX_DETAIL_BYTES = 524_288
"""Maximum size in bytes of the statuses in a page with details: two of the largest workloads, and
far below the limit of a line. The first status always fits."""

StoreId = Annotated[
    str,
    Text("[0-9a-f]{32}", max_length=32, description="32 hexadecimal digits"),
]
"""The random id of an agent's store."""

GraceSeconds = Annotated[int, Range(ge=0, le=MAX_GRACE_SECONDS)]
"""Seconds that a process has to end by itself before it is killed."""


class Desired(Enum):
    """The part of a workload's desired state that has not been reached yet."""

    STOPPED = "Stopped"
    RESTARTED = "Restarted"
    REMOVED = "Removed"

    @classmethod
    def of(cls, desired: DesiredState, state: WorkloadState) -> "Desired | None":
        """Return the protocol's value for a desired state.

        None if the workload should run, or if it should stop and has ended.
        """
        if desired is DesiredState.STOP and state.is_terminal:
            return None
        return _DESIRED[desired]


_DESIRED = {
    DesiredState.RUN: None,
    DesiredState.RESTART: Desired.RESTARTED,
    DesiredState.STOP: Desired.STOPPED,
    DesiredState.REMOVE: Desired.REMOVED,
}


class State(Enum):
    """A workload's state as this protocol writes it."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @classmethod
    def of(cls, state: WorkloadState) -> "State":
        """Return the protocol's value for a state."""
        return STATES[state]

    @property
    def workload_state(self) -> WorkloadState:
        """The corresponding `WorkloadState`."""
        return _WORKLOAD_STATES[self]


STATES = {state: State[state.name] for state in WorkloadState}
"""The protocol's value for each state."""

_WORKLOAD_STATES = {ours: state for state, ours in STATES.items()}


class ErrorCode(Enum):
    """The reason why a request was rejected or failed."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    VERSION_MISMATCH = "version_mismatch"
    CAPACITY = "capacity"
    NEVER_FITS = "never_fits"
    RUNTIME = "runtime"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    COMPACTED = "compacted"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"

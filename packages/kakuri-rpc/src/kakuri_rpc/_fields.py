"""The types of the fields of messages, and their limits."""

from enum import Enum
from typing import Annotated

from kakuri_workload import DesiredState, Range, Text, WorkloadState

MAX_GRACE_SECONDS = 3600
"""The longest grace time of a stop."""

MAX_REASON_LENGTH = 64
"""Characters of a reason, which is a short code."""

MAX_MESSAGE_LENGTH = 1024
"""Characters of a status's message, which may quote an image registry or the runtime."""

MAX_ADDRESS_LENGTH = 64
"""Characters of an address: the longest of IPv6 with a zone has 61."""

MAX_NAME_LENGTH = 64
"""Characters of a version or of a runtime's name."""

MAX_NODE_NAME_LENGTH = 253
"""Characters of a node's name, which is a host name by default (RFC 1035 section 2.3.4)."""

MAX_ERROR_LENGTH = 8192
"""Characters of an error's message, which may hold all faults of a request with their paths."""

MAX_DIGEST_LENGTH = 135
"""Characters of an image's digest: the longest, of SHA-512, with the algorithm's name."""

MAX_PAGE = 100
"""Statuses in one reply: with the longest messages, every character escaped to six bytes, they
still fit into a line of 1 MiB."""

MAX_LOG_DATA = 65_536
"""Bytes of a log in one reply: few replies for a long log, little memory for each reader."""

MAX_TAIL = 1_000_000
"""Lines from the end of a log that a reader may ask for."""

MAX_LOG_WAIT = 30
"""Seconds that a read of a log may wait for output: less than the idle timeout of proxies."""

LogCursor = Annotated[
    str,
    Text(
        pattern="[!-~]+",
        max_length=128,
        description="a cursor: 1 to 128 printable characters that an earlier reply gave",
    ),
]
"""A position in a log; its content means something to the agent alone."""

LabelSelector = Annotated[
    str,
    Text(
        pattern="[A-Za-z0-9./_-]{1,317}=[A-Za-z0-9._-]{0,63}",
        max_length=317 + 1 + 63,
        description="a label as key=value",
    ),
]
"""A label that a workload has to have; a key is 253 characters, a slash and 63 at most."""

TRACE = "trace"
"""The feature of an agent that accepts the field `trace` in requests."""

FEATURES = (TRACE,)
"""What this release accepts and an earlier one refuses, for `Node.features`."""

MAX_FEATURES = 64
"""Features of an agent, which may be of a later release."""

Count = Annotated[int, Range(ge=0, le=2**53)]
"""A number of workloads or resources, exact in every JSON reader (RFC 8259 section 6)."""

MAX_RUNTIME_ID_LENGTH = 128
"""Characters of the runtime's id of a sandbox or container in a receipt; usual ones have 64."""

MAX_DIFFERENCES = 64
"""Paths in the error of a conflict: a workload has fewer fields, but may have more variables."""

MAX_PATH_LENGTH = 256
"""Characters of such a path; the name of a variable may be longer, and is shortened."""

MAX_DETAIL_BYTES = 524_288
"""Bytes of the statuses in a page with details: two of the largest workloads, and far below what a
line may have. The first status is always in the page."""

StoreId = Annotated[
    str,
    Text("[0-9a-f]{32}", max_length=32, description="32 hexadecimal digits"),
]
"""The random id of an agent's store."""

GraceSeconds = Annotated[int, Range(ge=0, le=MAX_GRACE_SECONDS)]
"""Seconds that a process may take to end by itself before it is killed."""


class Desired(Enum):
    """What was requested of a workload and is not done yet."""

    STOPPED = "Stopped"
    RESTARTED = "Restarted"
    REMOVED = "Removed"

    @classmethod
    def of(cls, desired: DesiredState, state: WorkloadState) -> "Desired | None":
        """Return the protocol's spelling of a desired state.

        None for a workload that is to run, and for one that was to stop and has ended.
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
    """A workload's state as this protocol spells it."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @classmethod
    def of(cls, state: WorkloadState) -> "State":
        """Return the protocol's spelling of a state."""
        return STATES[state]

    @property
    def workload_state(self) -> WorkloadState:
        """The state that this spelling stands for."""
        return _WORKLOAD_STATES[self]


STATES = {state: State[state.name] for state in WorkloadState}
"""The protocol's spelling of each state."""

_WORKLOAD_STATES = {ours: state for state, ours in STATES.items()}


class ErrorCode(Enum):
    """Why a request was refused or failed."""

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

"""The history of a workload: its latest transitions."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar

from kakuri_workload._fast_init import fast_init
from kakuri_workload._grammar import Range
from kakuri_workload._state import WorkloadState

MAX_HISTORY = 16
"""Maximum number of transitions kept: two or three runs of a crashing workload."""

Attempt = Annotated[int, Range(ge=0, le=2**31 - 1)]
"""A number of restarts."""

ExitCode = Annotated[int, Range(ge=-(2**31), le=2**31 - 1)]
"""An exit code; CRI has an int32."""

MAX_TIME = 253_402_300_799
"""The end of the year 9999 in seconds since the epoch: RFC 3339 has no later times."""

Timestamp = Annotated[float, Range(ge=0, le=MAX_TIME)]
"""Seconds since the epoch."""

S = TypeVar("S")


@fast_init
@dataclass(frozen=True, slots=True)
class Transition(Generic[S]):
    """A change of a workload's state, or of its reason or attempt within a state.

    `S` is `WorkloadState`, or the corresponding enum of a protocol.

    Attributes:
        at: When it happened, in seconds since the epoch by the agent's clock.
        state: The state after the transition.
        reason: The reason of the state, as a short code.
        message: A human-readable explanation.
        exit_code: The exit code of an ended run.
        attempt: The number of restarts so far.
        count: Number of consecutive attempts with the same transitions, of which this one is the
            last. Only the transitions of the last attempt are kept, so that a crash loop does not
            push out earlier history.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    at: Timestamp
    state: S
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    attempt: Attempt = 0
    count: Attempt = 1


History: TypeAlias = tuple[Transition[WorkloadState], ...]
"""At most `MAX_HISTORY` transitions, oldest first."""

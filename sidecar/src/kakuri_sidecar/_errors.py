"""Every error of the sidecar, by what a caller would do about it.

    SidecarError
    ├── CriError                 a call to the runtime failed
    │   ├── CallUnanswered           whether it was carried out is unknown: look before trying again
    │   │   ├── RuntimeUnavailable       nobody answers at the runtime's socket
    │   │   └── CallTimeout              no answer in time
    │   └── CallRefused              the runtime said no, in its own words
    │       ├── NotFound                 there is no such thing
    │       ├── NameReserved             another one of this name exists or is being made
    │       ├── StartUnderWay            an earlier call is starting this container
    │       └── Unimplemented            the runtime has no such call
    └── ZoneError                a request for a zone can't be met
        ├── ZoneConflict             another zone has this id, or it is in no state for this
        ├── StaleAgent               another agent has taken over
        ├── UnknownZone              there is no zone of this id
        ├── StartFailed              it could not be started; nothing of it is left
        │   └── PullFailed               because its image can't be had
        └── StartCancelled           it was told to stop before it ran; nothing of it is left

Errors of gRPC are translated where calls are made and appear nowhere else.
"""

import copyreg
from typing import Any

IMAGE_PULL_FAILED = "ImagePullFailed"


class SidecarError(Exception):
    """The base of every error that this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class CriError(SidecarError):
    """A call to the runtime failed.

    Attributes:
        call: the name of the call, as the protocol has it.
        words: what the runtime or the channel said.
        code: gRPC's name of the status.

    """

    def __init__(self, call: str, words: str, code: str = "UNKNOWN") -> None:
        super().__init__(f"{call}: {words}")
        self.call = call
        self.words = words
        self.code = code


class CallUnanswered(CriError):
    """Whether the runtime carried the call out, or still does, is unknown."""


class RuntimeUnavailable(CallUnanswered, ConnectionError):
    """Nobody answers at the runtime's socket."""


class CallTimeout(CallUnanswered, TimeoutError):
    """The runtime did not answer in time."""


class CallRefused(CriError):
    """The runtime said no."""


class NotFound(CallRefused, LookupError):
    """The runtime has no such sandbox, container or image."""


class NameReserved(CallRefused):
    """A sandbox or container of this name exists, or is being made."""


class StartUnderWay(CallRefused):
    """An earlier call, whose caller may be gone, is starting this container."""


class Unimplemented(CallRefused, NotImplementedError):
    """The runtime has no such call."""


class ZoneError(SidecarError):
    """A request for a zone can't be met."""


class ZoneConflict(ZoneError):
    """Another zone has this id, or this one is in no state for what was asked."""


class StaleAgent(ZoneError):
    """The agent that asks is not the one that opened the stream of events last."""


class UnknownZone(ZoneError, LookupError):
    """There is no zone of this id."""


class StartFailed(ZoneError):
    """A zone could not be started; nothing of it is left.

    Attributes:
        reason: "ImagePullFailed" or "StartError".

    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class PullFailed(StartFailed):
    """The image of a zone can't be had.

    Attributes:
        is_transient: whether the same pull may succeed later.

    """

    def __init__(self, words: str, *, is_transient: bool) -> None:
        super().__init__(IMAGE_PULL_FAILED, words)
        self.is_transient = is_transient


class StartCancelled(ZoneError):
    """A zone was told to stop before it ran."""

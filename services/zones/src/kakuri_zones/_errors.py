"""Every error of this package, by what a caller would do about it.

    ZoneError                    code
    ├── ZoneConflict             conflict         another zone has this id, or is in the wrong state
    ├── UnknownZone              not_found        there is no zone with this id
    ├── UnknownRuntimeClass      bad_request      no handler runs this class: correct the spec
    ├── StartFailed              its `reason`     the zone could not be started, and was removed
    │   └── PullFailed           ImagePullFailed  because its image could not be pulled
    ├── StartCancelled           Stopped          the zone was stopped before its container started
    ├── NodeUnavailable          node_unavailable the log directory can't be used
    │   └── NodeLocked           node_locked      another process manages this node's zones
    └── LogError                 internal         see kakuri_zones.logs
        ├── UnknownLog           not_found
        ├── LogNameError         internal
        ├── LogCursorError       bad_request
        └── LogStorageError      internal

Failed calls to the runtime are raised as kakuri_cri.CriError, unchanged; `error_code` has the code
for both trees.
"""

from pathlib import Path

from kakuri_cri import CallUnanswered, CriError
from kakuri_workload import CopyableError

IMAGE_PULL_FAILED = "ImagePullFailed"


class ZoneError(CopyableError):
    """The base of every error that this package raises itself.

    Attributes:
        code: Identifies the kind of error in answers of HTTP APIs and in logs.
    """

    code: str = "internal"


class ZoneConflict(ZoneError):
    """Another zone has this id, or this one is not in a state that allows the operation."""

    code = "conflict"


class UnknownZone(ZoneError, LookupError):
    """There is no zone with this id."""

    code = "not_found"


class UnknownRuntimeClass(ZoneError, LookupError):
    """No handler of the runtime is configured for the runtime class of a spec."""

    code = "bad_request"


class StartFailed(ZoneError):
    """A zone could not be started; everything that was created has been removed.

    Attributes:
        reason: "ImagePullFailed" or "StartError".
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = self.code = reason


class PullFailed(StartFailed):
    """The image of a zone could not be pulled.

    Attributes:
        is_transient: Whether the same pull may succeed later.
    """

    def __init__(self, message: str, *, is_transient: bool) -> None:
        super().__init__(IMAGE_PULL_FAILED, message)
        self.is_transient = is_transient


class StartCancelled(ZoneError):
    """A zone was stopped before its container started; its objects have been removed."""

    code = "Stopped"


class NodeUnavailable(ZoneError):
    """The zones of this node can't be managed, for a reason that its operator can correct."""

    code = "node_unavailable"


class NodeLocked(NodeUnavailable):
    """Another process manages the zones of this node.

    Two of them would undo each other's partially created sandboxes and containers.

    Attributes:
        directory: The log directory that both are configured with.
    """

    code = "node_locked"

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"another process manages the zones with logs in {directory}: stop the other "
            "kakuri-sidecar, or the kakuri-agent with --runtime cri, that uses this directory"
        )
        self.directory = directory


def error_code(error: ZoneError | CriError) -> str:
    """Return the code of an error that an operation on zones raised.

    Returns:
        The `code` of a ZoneError; "RuntimeUnavailable" for a call to the runtime whose outcome is
        unknown, after which the operation can be repeated; "RuntimeError" for one that the runtime
        refused.
    """
    if isinstance(error, ZoneError):
        return error.code
    return "RuntimeUnavailable" if isinstance(error, CallUnanswered) else "RuntimeError"

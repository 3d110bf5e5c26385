"""The errors of this package, grouped by what a caller can do about them.

CriError
├── CallUnanswered           the outcome is unknown: check before trying again
│   ├── RuntimeUnavailable       no runtime responds at the socket, or it is still starting
│   └── CallTimeout              no response in time
└── CallRefused              the runtime responded with an error
    ├── NotFound                 there is no such sandbox, container or image
    ├── NameReserved             another object of this name exists or is being created
    ├── StartUnderWay            an earlier call is starting this container
    └── Unimplemented            the runtime does not implement this call
"""

import copyreg
import re
from typing import Any

from kakuri_cri._channel import ChannelError

MAX_MESSAGE = 4096
"""Maximum length of a runtime's error message; some quote whole command lines."""

_CALLS_WITH_NAMES = frozenset({"RunPodSandbox", "CreateContainer"})
"""The calls that reserve a name. Messages of other calls may quote registries and users."""

_RESERVED = re.compile("is reserved|already in use|already exists")
"""Messages of containerd and CRI-O about a reserved name, for which there is no separate status."""

_STARTING = ("server is not initialized yet", "unknown service runtime.v1.")
"""Messages of a runtime that listens but has not loaded its state or registered its services
yet."""

_START_UNDER_WAY = "is already in starting state"
"""containerd's message to StartContainer while an earlier call is starting the container."""

_SOCKET = re.compile(r"unix:[^\s:,]+")


class CriError(Exception):
    """A call to the runtime failed.

    Attributes:
        call: Name of the call in the protocol, such as `RunPodSandbox`.
        message: The message of the runtime or the channel; printable, at most 4096 characters.
        code: Name of the gRPC status.
    """

    def __init__(self, call: str, message: str, code: str = "UNKNOWN") -> None:
        super().__init__(f"{call}: {message}")
        self.call = call
        self.message = message
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class CallUnanswered(CriError):
    """The outcome is unknown: the runtime may have carried out the call, or may still do so."""


class RuntimeUnavailable(CallUnanswered, ConnectionError):
    """No runtime responds at the socket, or the runtime is still starting."""


class CallTimeout(CallUnanswered, TimeoutError):
    """The runtime did not respond in time."""


class CallRefused(CriError):
    """The runtime responded with an error."""


class NotFound(CallRefused, LookupError):
    """The runtime has no such sandbox, container or image."""


class NameReserved(CallRefused):
    """A sandbox or container of this name exists, or is being created."""


class StartUnderWay(CallRefused):
    """An earlier call, whose caller may have disconnected, is starting this container."""


class Unimplemented(CallRefused, NotImplementedError):
    """The runtime does not implement this call."""


def failure_of(call: str, error: ChannelError) -> CriError:
    """Return the error to raise for a failed call.

    Args:
        call: Name of the call in the protocol.
        error: The channel's error.
    """
    message = error.message or error.code.lower().replace("_", " ")
    # A channel's message contains the path of the socket, which clients of our caller must not see.
    message = printable(_SOCKET.sub("the runtime's socket", message))
    return _class_of(call, error.code, message)(call, message, error.code)


def _class_of(call: str, code: str, message: str) -> type[CriError]:
    # Only at the beginning, because the rest of the message may quote text from a user.
    if message.startswith(_STARTING) or code in {"UNAVAILABLE", "CANCELLED"}:
        return RuntimeUnavailable
    if code in _CLASSES:
        return _CLASSES[code]
    if call == "StartContainer" and _START_UNDER_WAY in message:
        return StartUnderWay
    if call in _CALLS_WITH_NAMES and "name" in message and _RESERVED.search(message):
        return NameReserved
    return CallRefused


_CLASSES: dict[str, type[CriError]] = {
    "DEADLINE_EXCEEDED": CallTimeout,
    "NOT_FOUND": NotFound,
    "UNIMPLEMENTED": Unimplemented,
    "ALREADY_EXISTS": NameReserved,
}


def printable(text: str) -> str:
    """Make a runtime's text safe for logs: escape it, and truncate it to MAX_MESSAGE characters."""
    if len(text) <= MAX_MESSAGE and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: MAX_MESSAGE + 1])
    return shown if len(shown) <= MAX_MESSAGE else f"{shown[: MAX_MESSAGE - 1]}…"

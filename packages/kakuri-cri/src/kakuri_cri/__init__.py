"""A client for container runtimes that implement the Container Runtime Interface (CRI) v1.

`kakuri_cri.api` has the messages and methods of the protocol, and `kakuri_cri.testing` a fake
runtime. Names are imported on first use, so that a program with its own channel never loads
kakuri-grpc.
"""

from importlib import import_module
from sys import modules

from kakuri_cri._version import __version__

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_cri._call_kinds import CallKind
    from kakuri_cri._channel import Channel, ChannelError
    from kakuri_cri._errors import (
        CallRefused,
        CallTimeout,
        CallUnanswered,
        CriError,
        NameReserved,
        NotFound,
        RuntimeUnavailable,
        StartUnderWay,
        Unimplemented,
    )
    from kakuri_cri._events import Events
    from kakuri_cri._grpc_channel import GrpcChannel
    from kakuri_cri._limits import MAX_METADATA_RECEIVED, MAX_RECEIVED, Timeouts
    from kakuri_cri._probe import ProbeResult
    from kakuri_cri._runtime import Runtime

__all__ = [
    "MAX_METADATA_RECEIVED",
    "MAX_RECEIVED",
    "CallKind",
    "CallRefused",
    "CallTimeout",
    "CallUnanswered",
    "Channel",
    "ChannelError",
    "CriError",
    "Events",
    "GrpcChannel",
    "NameReserved",
    "NotFound",
    "ProbeResult",
    "Runtime",
    "RuntimeUnavailable",
    "StartUnderWay",
    "Timeouts",
    "Unimplemented",
    "__version__",
]

_MODULES = {
    "_call_kinds": ("CallKind",),
    "_channel": ("Channel", "ChannelError"),
    "_errors": (
        "CallRefused",
        "CallTimeout",
        "CallUnanswered",
        "CriError",
        "NameReserved",
        "NotFound",
        "RuntimeUnavailable",
        "StartUnderWay",
        "Unimplemented",
    ),
    "_events": ("Events",),
    "_grpc_channel": ("GrpcChannel",),
    "_probe": ("ProbeResult",),
    "_runtime": ("Runtime",),
    "_limits": ("MAX_METADATA_RECEIVED", "MAX_RECEIVED", "Timeouts"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import_module(f"{__name__}.{_HOMES[name]}")
        _publish()
        return globals()[name]


def _publish() -> None:
    """Bind the names of each loaded module here, so that tracebacks show the public name."""
    for name, home in _HOMES.items():
        value = getattr(modules.get(f"{__name__}.{home}"), name, None)
        if value is not None:
            globals()[name] = value
            if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
                value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""A client of container runtimes that speak the Container Runtime Interface (CRI) v1.

`kakuri_cri.api` has the messages and methods of the protocol, `kakuri_cri.testing` a fake runtime.
"""

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
from kakuri_cri._grpc_channel import MAX_RECEIVED, GrpcChannel
from kakuri_cri._probe import RuntimeFacts
from kakuri_cri._runtime import Runtime
from kakuri_cri._timeouts import Timeouts
from kakuri_cri._version import __version__

__all__ = [
    "MAX_RECEIVED",
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
    "Runtime",
    "RuntimeFacts",
    "RuntimeUnavailable",
    "StartUnderWay",
    "Timeouts",
    "Unimplemented",
    "__version__",
]

"""The protocol between Kakuri's control plane and its agents: messages, a client and a server.

The client and the server are imported on first use, because no process needs both.
"""

from importlib import import_module

from kakuri_rpc._document import LIMITS, check_document, check_received
from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    DocumentTooLarge,
    RPCError,
    TooManyLogs,
    UnexpectedReply,
)
from kakuri_rpc._events import (
    MAX_EVENTS,
    MAX_EVENTS_BYTES,
    Changes,
    WatchChanges,
)
from kakuri_rpc._fields import (
    FEATURES,
    MAX_DETAIL_BYTES,
    MAX_DIFFERENCES,
    MAX_LOG_DATA,
    MAX_PAGE,
    MAX_PATH_LENGTH,
    MAX_REASON_LENGTH,
    MAX_TAIL,
    Desired,
    ErrorCode,
    GraceSeconds,
    LabelSelector,
    LogCursor,
    State,
    StoreId,
)
from kakuri_rpc._messages import (
    ErrorReply,
    History,
    Log,
    Node,
    Reply,
    Status,
    WorkloadList,
    runtime_classes,
)
from kakuri_rpc._metrics import (
    MAX_METRIC_FAMILIES,
    MAX_METRIC_SAMPLES,
    MAX_METRICS_BYTES,
    Metrics,
    ReadMetrics,
)
from kakuri_rpc._requests import (
    DescribeNode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    ReadLog,
    RemoveWorkload,
    Request,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    StopWorkload,
)
from kakuri_rpc._version import __version__

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_rpc._call import Call
    from kakuri_rpc._call_metrics import CallMetrics
    from kakuri_rpc._client import DEFAULT_TIMEOUT, AgentClient
    from kakuri_rpc._log import MAX_OPEN_LOGS, AgentLog
    from kakuri_rpc._server import LateReply, serve
    from kakuri_rpc._watch import AgentWatch

__all__ = [
    "DEFAULT_TIMEOUT",
    "FEATURES",
    "LIMITS",
    "MAX_DETAIL_BYTES",
    "MAX_DIFFERENCES",
    "MAX_EVENTS",
    "MAX_EVENTS_BYTES",
    "MAX_LOG_DATA",
    "MAX_METRICS_BYTES",
    "MAX_METRIC_FAMILIES",
    "MAX_METRIC_SAMPLES",
    "MAX_OPEN_LOGS",
    "MAX_PAGE",
    "MAX_PATH_LENGTH",
    "MAX_REASON_LENGTH",
    "MAX_TAIL",
    "AgentClient",
    "AgentError",
    "AgentLog",
    "AgentTimeout",
    "AgentUnreachable",
    "AgentWatch",
    "Call",
    "CallMetrics",
    "Changes",
    "ClientClosed",
    "DescribeNode",
    "Desired",
    "DocumentTooLarge",
    "ErrorCode",
    "ErrorReply",
    "GetHistory",
    "GetStatus",
    "GraceSeconds",
    "History",
    "LabelSelector",
    "LateReply",
    "ListWorkloads",
    "Log",
    "LogCursor",
    "Metrics",
    "Node",
    "RPCError",
    "ReadLog",
    "ReadMetrics",
    "RemoveWorkload",
    "Reply",
    "Request",
    "RerunWorkload",
    "RestartWorkload",
    "StartWorkload",
    "State",
    "Status",
    "StopWorkload",
    "StoreId",
    "TooManyLogs",
    "UnexpectedReply",
    "WatchChanges",
    "WorkloadList",
    "__version__",
    "check_document",
    "check_received",
    "runtime_classes",
    "serve",
]

_HOMES = {
    "DEFAULT_TIMEOUT": "_client",
    "MAX_OPEN_LOGS": "_log",
    "AgentClient": "_client",
    "AgentLog": "_log",
    "AgentWatch": "_watch",
    "Call": "_call",
    "CallMetrics": "_call_metrics",
    "LateReply": "_server",
    "serve": "_server",
}
"""The modules of the names that are imported late."""


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        _publish(name, value)
        return value


def _publish(name: str, value: object) -> None:
    """Bind a name here, so that tracebacks show the public name."""
    globals()[name] = value
    if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
        value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _name in set(__all__) - set(_HOMES):
    _publish(_name, globals()[_name])

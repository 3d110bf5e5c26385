"""The protocol between Kakuri's control plane and its agents: messages, client and server."""

from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._client import DEFAULT_TIMEOUT, AgentClient
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
)
from kakuri_rpc._log import MAX_OPEN_LOGS, AgentLog
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
from kakuri_rpc._server import LateReply, serve
from kakuri_rpc._version import __version__
from kakuri_rpc._watch import AgentWatch

__all__ = [
    "DEFAULT_TIMEOUT",
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

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

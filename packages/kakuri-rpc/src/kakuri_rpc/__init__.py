"""The messages between Kakuri's control plane and its agents, and both ends of the conversation."""

from kakuri_rpc._client import DEFAULT_TIMEOUT, AgentClient
from kakuri_rpc._document import LIMITS, check_document, check_received
from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    DocumentTooLarge,
    RPCError,
    TooManyLogs,
    UnexpectedReply,
)
from kakuri_rpc._log import MAX_OPEN_LOGS, AgentLog
from kakuri_rpc._messages import (
    DescribeNode,
    Error,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    Node,
    ReadLog,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    Status,
    StopWorkload,
    Transition,
    WorkloadList,
)
from kakuri_rpc._server import LateReply, serve
from kakuri_rpc._version import __version__
from kakuri_rpc._words import (
    MAX_GRACE_SECONDS,
    MAX_LOG_DATA,
    MAX_LOG_WAIT,
    MAX_MESSAGE_LENGTH,
    MAX_PAGE,
    MAX_REASON_LENGTH,
    MAX_TAIL,
    MAX_TRANSITIONS,
    ErrorCode,
    LabelSelector,
    LogCursor,
    State,
)

__all__ = [
    "DEFAULT_TIMEOUT",
    "LIMITS",
    "MAX_GRACE_SECONDS",
    "MAX_LOG_DATA",
    "MAX_LOG_WAIT",
    "MAX_MESSAGE_LENGTH",
    "MAX_OPEN_LOGS",
    "MAX_PAGE",
    "MAX_REASON_LENGTH",
    "MAX_TAIL",
    "MAX_TRANSITIONS",
    "AgentClient",
    "AgentError",
    "AgentLog",
    "AgentTimeout",
    "AgentUnreachable",
    "DescribeNode",
    "DocumentTooLarge",
    "Error",
    "ErrorCode",
    "GetHistory",
    "GetStatus",
    "History",
    "LabelSelector",
    "LateReply",
    "ListWorkloads",
    "Log",
    "LogCursor",
    "Node",
    "RPCError",
    "ReadLog",
    "RemoveWorkload",
    "Reply",
    "Request",
    "StartWorkload",
    "State",
    "Status",
    "StopWorkload",
    "TooManyLogs",
    "Transition",
    "UnexpectedReply",
    "WorkloadList",
    "__version__",
    "check_document",
    "check_received",
    "serve",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

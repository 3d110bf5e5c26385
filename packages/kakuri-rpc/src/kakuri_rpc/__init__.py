"""The messages between Kakuri's control plane and its agents, and both ends of the conversation."""

from kakuri_rpc._client import DEFAULT_TIMEOUT, AgentClient
from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    RPCError,
    UnexpectedReply,
)
from kakuri_rpc._messages import (
    MAX_MESSAGE_LENGTH,
    MAX_PAGE,
    MAX_REASON_LENGTH,
    DescribeNode,
    Error,
    ErrorCode,
    GetStatus,
    ListWorkloads,
    Node,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WorkloadList,
)
from kakuri_rpc._server import serve
from kakuri_rpc._version import __version__

__all__ = [
    "DEFAULT_TIMEOUT",
    "MAX_MESSAGE_LENGTH",
    "MAX_PAGE",
    "MAX_REASON_LENGTH",
    "AgentClient",
    "AgentError",
    "AgentTimeout",
    "AgentUnreachable",
    "DescribeNode",
    "Error",
    "ErrorCode",
    "GetStatus",
    "ListWorkloads",
    "Node",
    "RPCError",
    "RemoveWorkload",
    "Reply",
    "Request",
    "StartWorkload",
    "State",
    "Status",
    "StopWorkload",
    "UnexpectedReply",
    "WorkloadList",
    "__version__",
    "serve",
]

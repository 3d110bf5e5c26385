"""Errors as problem details (RFC 9457)."""

from kakuri_http import Response
from kakuri_rpc import AgentError, AgentTimeout, AgentUnreachable, ErrorCode, RPCError

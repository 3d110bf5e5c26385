"""The errors of this package, grouped by what a caller can do about them.

RPCError
├── AgentError        the agent answered with an error: see its code
├── AgentUnreachable  not sent, or no reply after all retries: try again later
├── AgentTimeout      no reply in time; it is unknown whether the agent acted
├── UnexpectedReply   the reply does not match the request: the agent is at fault
├── ClientClosed      not sent, because the caller had closed the client
├── TooManyLogs       not sent: the client has reached its limit of open logs
└── DocumentTooLarge  a workload exceeds the size limit (also a ValueError)
"""

from kakuri_json import JSONError, ValidationError
from kakuri_workload import CopyableError, printable

from kakuri_rpc._fields import MAX_ERROR_LENGTH, ErrorCode
from kakuri_rpc._messages import ErrorReply


class RPCError(CopyableError):
    """The base of all errors of this package."""


class AgentError(RPCError):
    """The agent refused a request or failed to carry it out.

    Attributes:
        code: The kind of error.
        message: The agent's message.
        workload_id: The workload that the request was about, if the agent named it.
        differences: For a conflict of specifications, the paths of the differences.
        version: For a version mismatch, the workload's current version.
        oldest: For events that are no longer kept, the smallest index to continue from.
        newest: The current index.
    """

    def __init__(self, error: ErrorReply) -> None:
        super().__init__(error.message)
        self.code: ErrorCode = error.code
        self.message: str = error.message
        self.workload_id: str | None = error.id
        self.differences: list[str] = error.differences
        self.version: int | None = error.version
        self.oldest: int | None = error.oldest
        self.newest: int | None = error.newest


class AgentUnreachable(RPCError, ConnectionError):
    """There is no connection to the agent at the moment."""


class AgentTimeout(RPCError, TimeoutError):
    """The agent did not answer in time."""


class UnexpectedReply(RPCError):
    """The agent's reply does not match the request."""


class ClientClosed(RPCError):
    """The client, log or watch was closed, so the request was not sent."""


class DocumentTooLarge(RPCError, ValueError):
    """A workload exceeds the size limit.

    Attributes:
        size: Size of its compact encoding in bytes, or a lower bound.
        limit: Maximum size in bytes.
    """

    def __init__(self, size: int, limit: int, *, is_exact: bool = True) -> None:
        super().__init__(
            f"expected a workload of at most {limit} bytes in its compact encoding, "
            f"got {'' if is_exact else 'at least '}{size} bytes"
        )
        self.size = size
        self.limit = limit


class TooManyLogs(RPCError):
    """A client has reached its limit of open logs.

    Attributes:
        limit: The maximum number of open logs.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} logs are open already, which is the limit")
        self.limit = limit


def one_line(error: JSONError) -> str:
    """Format the faults of a document as one line, for a message or a log.

    Each fault has its path; a syntax error comes without its excerpt. Faults quote the document, so
    the line is made printable and truncated to MAX_ERROR_LENGTH.
    """
    if isinstance(error, ValidationError):
        text = "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults)
    else:
        text = str(error).partition("\n")[0]
    return printable(text, MAX_ERROR_LENGTH)

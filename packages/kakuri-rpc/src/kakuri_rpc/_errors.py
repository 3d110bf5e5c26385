"""What a caller of an agent has to reckon with, by what the caller would do about it.

RPCError
├── AgentError        the agent answered with an error of its own: see its code
├── AgentUnreachable  it was not asked, or never answered although asked twice: try again later
├── AgentTimeout      it did not answer in time; whether it acted is unknown
├── UnexpectedReply   it answered with something that is no reply to that request
├── TooManyLogs       nothing was asked: this client reads as many logs as it may
└── DocumentTooLarge  a workload is larger than it may be (also a ValueError)
"""

import copyreg
from typing import Any

from kakuri_rpc._messages import Error
from kakuri_rpc._words import ErrorCode


class RPCError(Exception):
    """The base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class AgentError(RPCError):
    """The agent refused a request or failed to carry it out."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.code: ErrorCode = error.code
        self.message: str = error.message
        self.workload_id: str | None = error.id


class AgentUnreachable(RPCError, ConnectionError):
    """The agent can't be talked to at the moment."""


class AgentTimeout(RPCError, TimeoutError):
    """The agent did not answer in time."""


class UnexpectedReply(RPCError):
    """The agent answered with something that is no reply to the request."""


class DocumentTooLarge(RPCError, ValueError):
    """A workload is larger than it may be.

    Attributes:
        size: bytes of its compact encoding, or the fewest that it can have.
        limit: bytes that it may have.

    """

    def __init__(self, size: int, limit: int, *, is_exact: bool = True) -> None:
        super().__init__(
            f"expected a workload of at most {limit} bytes in its compact encoding, "
            f"got {'' if is_exact else 'at least '}{size} bytes"
        )
        self.size = size
        self.limit = limit


class TooManyLogs(RPCError):
    """A client reads as many logs at a time as it may.

    Attributes:
        limit: the number of logs that may be open.

    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected at most {limit} logs to be read at a time, got one more")
        self.limit = limit

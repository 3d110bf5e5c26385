"""A sidecar's answers, and the errors that callers get when there is none."""

from dataclasses import dataclass
from typing import ClassVar

from kakuri_http import ConnectFailed, ConnectionBroken, HttpError, RequestTimeout, Response
from kakuri_json import JSONError, decode


@dataclass(frozen=True, slots=True)
class Problem:
    """What the sidecar says went wrong (RFC 9457)."""

    __json__: ClassVar = {"unknown": "ignore"}

    detail: str = "the sidecar does not say why"
    code: str = "StartError"


def content(response: Response) -> bytes:
    """Return the body of a response that was received."""
    assert isinstance(response.body, bytes)
    return response.body


def problem_of(response: Response) -> Problem:
    """Return the problem in a response, or one that says that there is none."""
    try:
        return decode(content(response), type=Problem)
    except JSONError:
        return Problem(f"expected an answer of a sidecar, got status {response.status}")


def fault_of(error: HttpError) -> str:
    """Return what a failed request says to callers.

    Not the text of the error: it names the sidecar's socket, which callers must not learn.
    """
    match error:
        case ConnectFailed():
            return "the sidecar can't be reached"
        case RequestTimeout(phase="pool"):
            return "the agent has too many requests to the sidecar in progress"
        case RequestTimeout():
            return "the sidecar does not answer in time"
        case ConnectionBroken():
            return "the connection to the sidecar broke"
    return "the sidecar's answer is not valid HTTP"

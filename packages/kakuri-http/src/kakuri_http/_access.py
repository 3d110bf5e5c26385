"""What a server tells about each exchange."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from kakuri_http._request import Request


@dataclass(frozen=True, slots=True)
class Access:
    """One exchange, for an access log.

    `method` and `target` are empty where the request could not be read; they come from the peer:
    escape them in logs. `sent` counts bytes of content; `seconds` runs from the head's arrival to
    the handing over of the last byte. `complete` is False where the response was cut off.
    """

    peer: str
    method: str
    target: str
    status: int
    sent: int
    seconds: float
    complete: bool


def access_of(
    request: Request | None,
    started: float,
    peer: str,
    status: int,
    sent: int,
    complete: bool,  # noqa: FBT001 (fields in their order)
) -> Access:
    """Describe an exchange that has ended; `started` is its begin by the monotonic clock."""
    if request is None:
        return Access(peer, "", "", status, sent, 0.0, complete)
    seconds = time.monotonic() - started
    return Access(peer, request.method, request.target, status, sent, seconds, complete)


AccessLog = Callable[[Access], None]


def tell(access_log: AccessLog, entry: Access) -> None:
    """Call an access log; its failure harms no exchange."""
    try:
        access_log(entry)
    except Exception:
        logging.getLogger("kakuri_http").exception("expected %r to be logged, got an error", entry)

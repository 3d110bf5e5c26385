"""What a server tells about each exchange."""

import logging
from collections.abc import Callable
from dataclasses import dataclass


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


AccessLog = Callable[[Access], None]


def tell(access_log: AccessLog, entry: Access) -> None:
    """Call an access log; its failure harms no exchange."""
    try:
        access_log(entry)
    except Exception:
        logging.getLogger("kakuri_http").exception("expected %r to be logged, got an error", entry)

"""What a server tells about each exchange."""

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

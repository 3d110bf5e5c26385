"""The receipt of a removal: what a runtime had of a workload, and how its absence was checked."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed of a workload, and which check showed that nothing of it remains.

    A field that is not known is None.

    Attributes:
        zone: The runtime's id of the sandbox that was removed.
        container: The runtime's id of the container that was removed.
        log_bytes: Bytes of its log that the check still found; 0 if the log is gone.
        verified_by: The check: `list` if the runtime's lists of sandboxes and containers, read
            after the removal, have nothing of the workload; `simulated` if nothing ever ran.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    zone: str | None = None
    container: str | None = None
    log_bytes: int | None = None
    verified_by: str | None = None

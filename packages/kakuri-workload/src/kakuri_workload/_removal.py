"""The receipt of a removal: what was removed from a runtime, and how that was verified."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed of a workload, and how it was verified that nothing of it remains.

    An unknown field is None.

    Attributes:
        zone: The runtime's id of the removed sandbox.
        container: The runtime's id of the removed container.
        log_bytes: Size of its log that the check still found, in bytes; 0 if the log is gone.
        verified_by: The check: `list` if the runtime listed no sandbox or container of the workload
            after the removal; `simulated` if nothing ever ran.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    zone: str | None = None
    container: str | None = None
    log_bytes: int | None = None
    verified_by: str | None = None

"""The evidence of how a run is isolated from its host."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """Observations about a run's isolation; an unknown field is None.

    Attributes:
        handler: The handler that runs the sandbox, as reported by the runtime.
        kernel: The release of the zone's kernel, as printed by `uname -r` in the zone. The image
            provides that program, so it can forge the result.
        host_kernel: The release of the host's kernel. If it equals the zone's, the zone probably
            shares the host's kernel.
        profile: The SHA-256 of the security profile that the container was created with, as
            `sha256:HEX`. It is the same for all zones created by one release of Kakuri.
        checked_at: When it was observed, in seconds since the epoch.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    handler: str | None = None
    kernel: str | None = None
    host_kernel: str | None = None
    profile: str | None = None
    checked_at: float

"""The evidence of how a run is isolated from its host."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What was observed of a run's isolation; a field that is not known is None.

    Attributes:
        handler: The handler that runs the sandbox, as the runtime reports it.
        kernel: The release of the zone's kernel, as `uname -r` printed it in the zone. The program
            is the image's own, so an image can forge it.
        host_kernel: The release of the host's kernel. With the same release as the zone's, the
            zone probably shares it.
        profile: The SHA-256 of the security profile that the container was created with, as
            `sha256:HEX`. All zones of a release have the same.
        checked_at: When it was observed, in seconds since the epoch.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    handler: str | None = None
    kernel: str | None = None
    host_kernel: str | None = None
    profile: str | None = None
    checked_at: float

"""Whether the image of a workload is on a node."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar

from kakuri_workload._grammar import DIGEST, Text


class ImageState(Enum):
    """What starting the workload would mean for its image."""

    PRESENT = "present"
    """The image is on the node and would be used."""

    PULL = "pull"
    """The image would be pulled: it is not on the node, or the pull policy is `always`."""

    MISSING = "missing"
    """The image is not on the node and the pull policy is `never`, so a start would fail."""

    SIMULATED = "simulated"
    """The runtime is simulated, so there is no image."""


ImageDigest = Annotated[
    str,
    Text(
        DIGEST,
        max_length=135,
        description="a digest such as sha256:HEX",
    ),
]


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The state of a workload's image on a node, before a start.

    Attributes:
        state: Whether it is on the node or has to be pulled.
        digest: The digest of the image on the node with that name, if known.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    state: ImageState
    digest: ImageDigest | None = None

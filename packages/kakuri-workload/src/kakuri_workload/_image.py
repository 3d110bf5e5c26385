"""Whether the image of a workload is on a node."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar

from kakuri_workload._grammar import DIGEST, Text


class ImageState(Enum):
    """What a start would do for its image."""

    PRESENT = "present"
    """It is on the node, and is used."""

    PULL = "pull"
    """It is pulled: it is not on the node, or the pull policy asks for the newest one."""

    MISSING = "missing"
    """It is not on the node, and the pull policy is `never`: a start fails."""

    SIMULATED = "simulated"
    """Nothing really runs, so there is no image."""


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
    """The image of a workload, as a start would find it.

    Attributes:
        state: Whether it is on the node or has to be pulled.
        digest: The digest of the image that is on the node under that name, if it is known.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    state: ImageState
    digest: ImageDigest | None = None

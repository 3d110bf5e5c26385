"""Limits on the cost of decoding one message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for one message.

    Attributes:
        size: Bytes of the encoded message. Default 64 MiB, the default limit of other libraries.
        depth: Levels of nested messages and groups, known or unknown. Default 100, as in the
            official libraries, so that every message they write can be read. Each level takes a
            frame of the interpreter's stack.
        elements: Elements of repeated fields and entries of maps in the whole message; up to
            sixteen numbers that are packed together count as one. An empty message takes 2 bytes on
            the wire and a hundred times that in memory, so a limit on bytes alone does not bound
            memory.
    """

    size: int = 64 << 20
    depth: int = 100
    elements: int = 1_000_000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
            if value < 1:
                raise ValueError(f"expected at least 1 as {name}, got {value!r:.80}")


DEFAULT_LIMITS = Limits()


def checked_limits(limits: Limits) -> Limits:
    """Return the caller's limits; raise TypeError for another type."""
    if not isinstance(limits, Limits):
        raise TypeError(f"expected Limits as limits, got {limits!r:.80}")
    return limits

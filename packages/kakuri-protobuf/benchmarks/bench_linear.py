"""Measures that hostile messages take time in proportion to their size: n, then 2n.

A ratio far above 2 would mean that a peer can cause far more work than it sends bytes.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import kakuri_protobuf as kp
from rich.console import Console
from rich.table import Table

ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    elements: Annotated[tuple[Empty, ...], 1] = ()
    numbers: Annotated[tuple[kp.Int64, ...], 2] = ()
    content: Annotated[bytes, 3] = b""
    nested: Annotated["Shapes | None", 4] = None
    unknown: Annotated[bytes, kp.Unknown] = b""


CASES: dict[str, Callable[[int], bytes]] = {
    "empty elements": lambda n: b"\x0a\x00" * n,
    "varints of ten bytes": lambda n: (
        b"\x10" + b"\xff" * 9 + b"\x01") * n,
    "unknown groups": lambda n: b"\x2b\x2c" * n,
    "open groups, refused": lambda n: b"\x2b" * n,
    "one message merged again and again": lambda n: b"\x22\x02\x1a\x00" * n,
    "unknown fields out of order": lambda n: b"\x28\x00\x08\x00" * n,
    "large content": lambda n: b"\x1a" + kp._wire.write_varint(n * 100) + bytes(n * 100),
}  # fmt: skip


def seconds(data: bytes) -> float:
    """Return the CPU time for one message, at best."""
    limits = kp.Limits(elements=10_000_000)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        with contextlib.suppress(kp.DecodeError):
            kp.decode(data, type=Shapes, limits=limits)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    table = Table(title=f"CPython {sys.version.split()[0]}, best of {ROUNDS}")
    for heading in ("message", "bytes", "ms", "ms for twice as many", "ratio"):
        table.add_column(heading, justify="left" if heading == "message" else "right")
    for name, make in CASES.items():
        data, double = make(100_000), make(200_000)
        one, two = seconds(data), seconds(double)
        table.add_row(name, f"{len(data):,}", f"{one * 1e3:.2f}", f"{two * 1e3:.2f}",
                      f"{two / one:.2f}")  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()

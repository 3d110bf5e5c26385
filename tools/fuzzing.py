"""Seeds for tests that feed a parser with mutated or random input.

A test runs the same seeds each time, so that a run fails because of a change. Where
`KAKURI_FUZZ_SECONDS` is set, as in `nox -s fuzz`, each such test tries new seeds for that long.
"""

import os
import time
from collections.abc import Iterator

SECONDS = "KAKURI_FUZZ_SECONDS"


def seeds(count: int) -> Iterator[int]:
    """Yield the seeds of one test.

    Args:
        count: How many; ignored while `KAKURI_FUZZ_SECONDS` is set.
    """
    seconds = float(os.environ.get(SECONDS, "0"))
    if not seconds:
        yield from range(count)
        return
    seed, end = time.time_ns(), time.monotonic() + seconds
    while time.monotonic() < end:
        seed += 1
        yield seed

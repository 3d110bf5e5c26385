"""How fast a process grows, from samples of its memory."""

import statistics
from collections.abc import Sequence


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much values grow in each unit of time: the median over all pairs of samples.

    A few samples that are far off change nothing (the estimator of Theil and Sen), so garbage that
    comes and goes does not count as growth, while a leak does, even if it is small beside that garbage.

    Args:
        samples: times and values.

    """
    slopes = [
        (value - earlier) / (at - before)
        for number, (at, value) in enumerate(samples)
        for before, earlier in samples[:number]
    ]
    return statistics.median(slopes) if slopes else 0.0

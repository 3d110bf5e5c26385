"""Metrics of a process: counters for the hot path, and families to report.

Counting is cheap enough for the hot path, because it only adds to an item of a dict or a list:

    REQUESTS = Counts("kakuri_requests", "Requests answered.", ("method",))
    REQUESTS["GET",] += 1

    DURATION = Histograms("kakuri_request_duration_seconds", "Time of a request.", ("method",))
    DURATION["GET",].observe(0.003)

    families = [REQUESTS.family(), DURATION.family()]

Nothing here takes a lock, so count and read in the same event loop. Families are independent of the
format in which a service exposes them.

An unknown value has no sample; 0 is a measurement.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TypeVar

from kakuri_workload._metric_families import (
    MAX_BOUNDS,
    MAX_HELP_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    Labels,
    MetricFamily,
    MetricKind,
    MetricSample,
    merged,
    pages,
)

__all__ = [
    "LONG_SECONDS",
    "MAX_BOUNDS",
    "MAX_HELP_LENGTH",
    "MAX_LABELS",
    "MAX_LABEL_LENGTH",
    "METRICS_ZONES",
    "SECONDS",
    "Counts",
    "Histogram",
    "Histograms",
    "Labels",
    "MetricFamily",
    "MetricKind",
    "MetricSample",
    "counter",
    "gauge",
    "histogram",
    "merged",
    "pages",
]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for durations in milliseconds: requests, writes, turns of the event loop."""

LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds for durations of seconds to minutes: pulls and starts."""

METRICS_ZONES = 5000
"""Default number of zones with their own series: about eight each, of 100 bytes."""

K = TypeVar("K", bound=tuple[str, ...])


class Counts(dict[Labels, float]):
    """A counter with one number, which only grows, for each combination of label values.

    Use labels with few values, because a counter never forgets one. A key is a tuple with a value
    for each label; any other key raises ValueError when it is first counted.
    """

    def __init__(self, name: str, help: str, labels: Labels = ()) -> None:  # noqa: A002 (its name in Prometheus)
        """Create a counter without series; the first count of each creates it.

        Args:
            name: The name, without `_total`.
            help: One sentence for people.
            labels: The names of the labels.
        """
        super().__init__()
        self.name: str = name
        self.help: str = help
        self.labels: Labels = labels

    def __missing__(self, key: Labels) -> int:
        _check_labels(key, self.labels, self.name)
        return 0

    def family(self) -> MetricFamily:
        """Return the current counts."""
        return counter(self.name, self.help, self, self.labels)


class Histogram:
    """The distribution of one series: the number of observations in each bucket, and their sum."""

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        """Create an empty histogram.

        Args:
            bounds: The upper bound of each bucket except the last, in ascending order.
        """
        self.bounds: tuple[float, ...] = bounds
        self.buckets: list[int] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0

    def observe(self, value: float) -> None:
        """Record an observation, such as a duration in seconds."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: "Histogram") -> None:
        """Add the observations of another histogram with the same bounds."""
        self.buckets = [
            ours + theirs for ours, theirs in zip(self.buckets, other.buckets, strict=True)
        ]
        self.sum += other.sum

    def sample(self, labels: Labels = ()) -> MetricSample:
        """Return the observations so far as a series."""
        return MetricSample(labels, self.sum, tuple(self.buckets))

    @property
    def count(self) -> int:
        """The number of observations."""
        return sum(self.buckets)


class Histograms(dict[Labels, Histogram]):
    """A histogram for each combination of label values; keys are those of `Counts`."""

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 (its name in Prometheus)
        labels: Labels = (),
        bounds: tuple[float, ...] = SECONDS,
    ) -> None:
        """Create a family without series; the first access creates each.

        Args:
            name: The name with its unit.
            help: One sentence for people.
            labels: The names of the labels.
            bounds: The upper bound of each bucket except the last, in ascending order.
        """
        super().__init__()
        self.name: str = name
        self.help: str = help
        self.labels: Labels = labels
        self.bounds: tuple[float, ...] = bounds

    def __missing__(self, key: Labels) -> Histogram:
        _check_labels(key, self.labels, self.name)
        histogram = self[key] = Histogram(self.bounds)
        return histogram

    def family(self) -> MetricFamily:
        """Return the observations so far."""
        samples = [histogram.sample(key) for key, histogram in self.items()]
        return MetricFamily.of(self.name, "histogram", self.help, self.labels, samples, self.bounds)


def _check_labels(key: object, labels: Labels, name: str) -> None:
    """Raise ValueError unless the key of a new series has a value for each label."""
    if not isinstance(key, tuple) or len(key) != len(labels):
        raise ValueError(
            f"expected a tuple with a value for each of the labels {labels} of {name}, got {key!r}"
        )


def histogram(
    name: str,
    help: str,  # noqa: A002 (its name in Prometheus)
    values: Mapping[K, Histogram] | Histogram | None,
    labels: Labels = (),
) -> MetricFamily:
    """Return a family of histograms.

    The arguments are those of `gauge`; all histograms have the same bounds.
    """
    if values is None:
        values = {}
    elif isinstance(values, Histogram):
        values = {(): values}  # type: ignore[dict-item]  # mypy does not know that () is a K
    bounds = next((each.bounds for each in values.values()), SECONDS)
    samples = [each.sample(key) for key, each in values.items()]
    return MetricFamily.of(name, "histogram", help, labels, samples, bounds)


def gauge(
    name: str,
    help: str,  # noqa: A002 (its name in Prometheus)
    values: Mapping[K, float] | float | None,
    labels: Labels = (),
) -> MetricFamily:
    """Return a family of values that go up and down.

    Args:
        name: The name with its unit.
        help: One sentence for people.
        values: The value of each series, or the only value. None if it is unknown, which is not the
            same as 0: the family then has no series.
        labels: The names of the labels.
    """
    return MetricFamily.of(name, "gauge", help, labels, _samples(values))


def counter(
    name: str,
    help: str,  # noqa: A002 (its name in Prometheus)
    values: Mapping[K, float] | float | None,
    labels: Labels = (),
) -> MetricFamily:
    """Return a family of counts that are kept elsewhere, such as in the kernel.

    The arguments are those of `gauge`; the name is without `_total`.
    """
    return MetricFamily.of(name, "counter", help, labels, _samples(values))


def _samples(values: Mapping[K, float] | float | None) -> Iterator[MetricSample]:
    if values is None:
        return
    if not isinstance(values, Mapping):
        values = {(): values}  # type: ignore[dict-item]  # mypy does not know that () is a K
    for labels, value in values.items():
        if isfinite(value):
            yield MetricSample(labels, value)


for _value in (MetricFamily, MetricSample, merged, pages):  # tracebacks show the public name
    _value.__module__ = __name__

"""Metric families, as processes exchange them, and pages of families."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from kakuri_workload._grammar import MaxLength, Range, Text

MAX_LABELS = 16
"""Maximum number of labels of a family."""

MAX_LABEL_LENGTH = 512
"""Maximum length of a label's value: the longest, an image reference, has 255 characters."""

MAX_HELP_LENGTH = 512
"""Maximum length of a family's help text."""

MAX_BOUNDS = 64
"""Maximum number of buckets of a histogram, not counting the last one."""

MetricKind: TypeAlias = Literal["counter", "gauge", "histogram"]

MetricName = Annotated[
    str,
    Text(
        pattern="[a-z][a-z0-9_]*",
        max_length=128,
        description="the name of a metric or a label: a letter, then letters, digits and '_'",
    ),
]
"""The name of a family or a label: a valid name of Prometheus in lower case."""

HelpText = Annotated[str, MaxLength(MAX_HELP_LENGTH)]

LabelText = Annotated[str, MaxLength(MAX_LABEL_LENGTH)]
"""The value of a label."""

Observations = Annotated[int, Range(ge=0, le=2**53)]
"""The number of observations in a bucket, exact in every JSON parser (RFC 8259 section 6)."""

_NUMBER_SIZE = 25
"""Size of the longest number in bytes: `-1.2345678901234567e-308` and a comma."""

Labels: TypeAlias = tuple[str, ...]
"""The values of a series' labels, in the order of the family's label names."""


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One series of a family.

    Attributes:
        labels: The values of the family's labels.
        value: The value; for a histogram, the sum of the observations.
        buckets: For a histogram, the number of observations in each bucket; not cumulative.
    """

    labels: Labels
    value: float
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """All series of one name, in columns: a node with 5,000 zones has 50,000 series.

    A column of strings or numbers is encoded and decoded ten times as fast as the same number of
    objects.

    Attributes:
        name: The name with its unit, without `_total` and other suffixes of exposition formats.
        kind: The type of the metric.
        help: One sentence for people.
        labels: The names of the labels.
        columns: For each label, its value in each series.
        values: The value of each series; for a histogram, the sum of the observations.
        bounds: For a histogram, the upper bound of each bucket except the last, in ascending order.
        buckets: For a histogram, the number of observations in each bucket of each series; not
            cumulative.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    name: MetricName
    kind: MetricKind
    help: HelpText
    labels: Annotated[tuple[MetricName, ...], MaxLength(MAX_LABELS)]
    columns: Annotated[tuple[list[LabelText], ...], MaxLength(MAX_LABELS)]
    values: list[float]
    bounds: Annotated[tuple[float, ...], MaxLength(MAX_BOUNDS)] = ()
    buckets: list[Annotated[tuple[Observations, ...], MaxLength(MAX_BOUNDS + 1)]] = field(
        default_factory=list
    )

    @classmethod
    def of(
        cls,
        name: str,
        kind: MetricKind,
        help: str,  # noqa: A002 (its name in Prometheus)
        labels: Labels,
        samples: Iterable[MetricSample],
        bounds: tuple[float, ...] = (),
    ) -> "MetricFamily":
        """Create a family from samples.

        Args:
            name: The name with its unit, without `_total`.
            kind: The type of the metric.
            help: One sentence for people.
            labels: The names of the labels.
            samples: The series, each with a value for each label.
            bounds: For a histogram, the upper bound of each bucket except the last.
        """
        samples = tuple(samples)
        columns = tuple([each.labels[place] for each in samples] for place in range(len(labels)))
        values = [each.value for each in samples]
        buckets = [each.buckets for each in samples] if kind == "histogram" else []
        return cls(name, kind, help, labels, columns, values, bounds, buckets)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def samples(self) -> tuple[MetricSample, ...]:
        """The series one by one."""
        return tuple(
            MetricSample(
                tuple(column[place] for column in self.columns),
                value,
                self.buckets[place] if self.buckets else (),
            )
            for place, value in enumerate(self.values)
        )

    def is_compatible(self, other: "MetricFamily") -> bool:
        """Return whether a family with the same name can be merged into this one."""
        return self.kind == other.kind and self.bounds == other.bounds

    def part(self, begin: int, end: int) -> "MetricFamily":
        """Return the family with the series from `begin` up to, but not including, `end`."""
        return replace(
            self,
            columns=tuple(column[begin:end] for column in self.columns),
            values=self.values[begin:end],
            buckets=self.buckets[begin:end],
        )

    def with_labels(self, labels: Mapping[str, str]) -> "MetricFamily":
        """Return the family with additional labels, which have the same value in every series.

        A label that the family already has keeps its values.
        """
        added = {name: value for name, value in labels.items() if name not in self.labels}
        columns = tuple([value] * len(self) for value in added.values())
        return replace(self, labels=(*self.labels, *added), columns=(*self.columns, *columns))

    def faults(self) -> Iterator[str]:
        """Yield the inconsistencies in a family that another process sent."""
        if len(set(self.labels)) != len(self.labels):
            yield f"{self.name}: expected different labels, got {', '.join(self.labels)}"
        if len(self.columns) != len(self.labels):
            yield f"{self.name}: expected {len(self.labels)} columns, got {len(self.columns)}"
        if any(len(column) != len(self) for column in self.columns):
            yield f"{self.name}: expected columns of {len(self)} values"
        if any(later <= bound for bound, later in pairwise(self.bounds)):
            yield f"{self.name}: expected ascending bounds, got {self.bounds}"
        histograms = len(self) if self.kind == "histogram" else 0
        if len(self.buckets) != histograms:
            yield f"{self.name}: expected buckets of {histograms} series, got {len(self.buckets)}"
        if any(len(each) != len(self.bounds) + 1 for each in self.buckets):
            yield f"{self.name}: expected {len(self.bounds) + 1} buckets in each series"


def merged(families: Iterable[MetricFamily]) -> list[MetricFamily]:
    """Merge families with the same name, so that all names are different.

    If only one of two families has a label, the label is empty in the series of the other, which
    means the same as no label. A family is left out if its kind differs from that of the first one
    with the same name.
    """
    found: dict[str, MetricFamily] = {}
    for family in families:
        first = found.get(family.name)
        if first is None:
            found[family.name] = family
        elif first.is_compatible(family):
            first = first.with_labels(dict.fromkeys(family.labels, ""))
            second = family.with_labels(dict.fromkeys(first.labels, ""))
            places = [second.labels.index(label) for label in first.labels]
            found[family.name] = replace(
                first,
                columns=tuple(
                    [*column, *second.columns[place]]
                    for column, place in zip(first.columns, places, strict=True)
                ),
                values=[*first.values, *second.values],
                buckets=[*first.buckets, *second.buckets],
            )
    return list(found.values())


def pages(
    families: Iterable[MetricFamily], *, max_samples: int, max_bytes: int
) -> Iterator[list[MetricFamily]]:
    """Split families into pages; a family may continue on the next page.

    Args:
        families: The families.
        max_samples: Maximum number of series on a page.
        max_bytes: Maximum size of an encoded page; more than the 100 kB that a single series can
            take.
    """
    page: list[MetricFamily] = []
    samples_left, bytes_left = max_samples, max_bytes
    for family in families:
        begin = 0
        while True:  # at least once, so that a family without series is on a page, too
            part = family.part(begin, begin + samples_left)
            while (size := _largest_size(part)) > bytes_left and len(part) > 1:
                part = part.part(0, len(part) // 2)
            if page and (size > bytes_left or samples_left == 0):
                yield page
                page, samples_left, bytes_left = [], max_samples, max_bytes
                continue
            page.append(part)
            samples_left -= len(part)
            bytes_left -= size
            begin += len(part)
            if begin >= len(family):
                break
    if page:
        yield page


def _largest_size(family: MetricFamily) -> int:
    """Return an upper bound for the size of an encoded family in bytes."""
    size = 1000 + MAX_HELP_LENGTH + sum(map(len, family.labels))
    size += (len(family.bounds) + len(family)) * _NUMBER_SIZE
    size += len(family.buckets) * (len(family.bounds) + 1) * _NUMBER_SIZE
    for column in family.columns:
        # A character takes at most four bytes in UTF-8, and six as an escape.
        size += 6 * sum(map(len, column)) + 3 * len(column)
    return size

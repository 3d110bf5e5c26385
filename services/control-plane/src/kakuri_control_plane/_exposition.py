"""Metrics as text for Prometheus, written by prometheus_client.

prometheus_client takes 3 MiB and a tenth of a second to import, so it is imported by the first
exposition. Writing a series takes about ten microseconds, so callers write in a thread.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import structlog
from kakuri_http import Request
from kakuri_workload.metrics import MetricFamily

from kakuri_control_plane._headers import quality

if TYPE_CHECKING:
    from prometheus_client import Metric

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"

CONTENT_TYPES = {
    TEXT: f"{TEXT}; version=0.0.4; charset=utf-8",
    OPENMETRICS: f"{OPENMETRICS}; version=1.0.0; charset=utf-8",
}

END = b"# EOF\n"
"""The end of OpenMetrics, which prometheus_client writes after each piece."""

log = structlog.get_logger()


def media_type_of(request: Request) -> str:
    """Return the format that a client prefers: OpenMetrics, or the older text format."""
    prefers_newer = quality(request, OPENMETRICS) > quality(request, TEXT)
    return OPENMETRICS if prefers_newer else TEXT


class Exposition:
    """One exposition, in pieces: so neither all series nor all text are in memory at a time."""

    def __init__(self, media_type: str) -> None:
        """Begin an exposition.

        Args:
            media_type: TEXT or OPENMETRICS.
        """
        self._is_openmetrics = media_type == OPENMETRICS
        self._begun: dict[str, MetricFamily] = {}
        self._last = ""
        self.content_type = CONTENT_TYPES[media_type]

    def write(self, families: Iterable[MetricFamily]) -> bytes:
        """Return the text of some families; a family may continue the last one.

        A family that continues an earlier one, or another kind of the same name, is left out: the
        text would not be valid.
        """
        return b"".join(map(self._write_family, families))

    def end(self) -> bytes:
        """Return the end of the text."""
        return END if self._is_openmetrics else b""

    def _write_family(self, family: MetricFamily) -> bytes:
        first = self._begun.setdefault(family.name, family)
        is_first = first is family
        if not is_first and (family.name != self._last or not first.is_compatible(family)):
            log.warning("metrics left out", name=family.name, kind=family.kind)
            return b""
        self._last = family.name
        text = self._text(family)
        while not is_first and text.startswith(b"# "):  # HELP and TYPE, once for each name
            text = text.partition(b"\n")[2]
        return text

    def _text(self, family: MetricFamily) -> bytes:
        from prometheus_client import exposition  # noqa: PLC0415
        from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415

        writer: Any = openmetrics if self._is_openmetrics else exposition
        text: bytes = writer.generate_latest(_Collector(family))
        return text.removesuffix(END)


class _Collector:
    """A family as prometheus_client collects it."""

    def __init__(self, family: MetricFamily) -> None:
        self._family = family

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client import Metric  # noqa: PLC0415

        family, name = self._family, self._family.name
        metric = Metric(name, family.help, family.kind)
        if family.kind == "histogram":
            _add_histograms(metric.add_sample, family)
        else:
            sample_name = f"{name}_total" if family.kind == "counter" else name
            for labels, value in zip(_labels(family), family.values, strict=True):
                metric.add_sample(sample_name, labels, value)
        yield metric


def _labels(family: MetricFamily) -> Iterable[dict[str, str]]:
    """Return the labels of each series."""
    if not family.columns:
        return ({} for _ in family.values)
    return (
        dict(zip(family.labels, each, strict=True)) for each in zip(*family.columns, strict=True)
    )


def _add_histograms(
    add: Callable[[str, dict[str, str], float], None], family: MetricFamily
) -> None:
    bounds = [*map(str, family.bounds), "+Inf"]
    name = family.name
    for labels, total, buckets in zip(_labels(family), family.values, family.buckets, strict=True):
        for bound, count in zip(bounds, accumulate(buckets), strict=True):
            add(f"{name}_bucket", {**labels, "le": bound}, count)
        add(f"{name}_count", labels, sum(buckets))
        add(f"{name}_sum", labels, total)

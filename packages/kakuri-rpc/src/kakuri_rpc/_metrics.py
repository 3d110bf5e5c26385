"""Metrics of a node: the request for them, and its reply."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from kakuri_workload import MaxLength
from kakuri_workload.metrics import MetricFamily

from kakuri_rpc._base import REPLY, REQUEST
from kakuri_rpc._fields import LogCursor

MAX_METRIC_FAMILIES = 500
"""Families in one reply; all parts of Kakuri together have fewer than 100."""

MAX_METRIC_SAMPLES = 5000
"""Series in one reply."""

MAX_METRICS_BYTES = 524_288
"""Bytes of the families in a reply, below what a line may have."""


@dataclass(frozen=True, slots=True)
class ReadMetrics:
    """Ask for a page of the metrics of the node and of all its zones.

    Attributes:
        after: `next` of the page before; None for the first page, which has the present values.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    after: LogCursor | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """A page of metrics; `next` is the `after` of the following page, if there is one.

    All pages have the values of one moment. A family may continue on the next page.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

    families: Annotated[list[MetricFamily], MaxLength(MAX_METRIC_FAMILIES)]
    next: LogCursor | None = None

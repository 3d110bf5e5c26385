"""Metrics of a node: the request for them, and its reply."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from kakuri_workload import MaxLength
from kakuri_workload.metrics import MetricFamily

from kakuri_rpc._base import REPLY, REQUEST
from kakuri_rpc._fields import LogCursor

MAX_METRIC_FAMILIES = 500
"""Maximum number of families in one reply; all parts of Kakuri together have fewer than 100."""

MAX_METRIC_SAMPLES = 5000
"""Maximum number of series in one reply."""

MAX_METRICS_BYTES = 524_288
"""Maximum size of the families in a reply in bytes, below the limit of a line."""


@dataclass(frozen=True, slots=True)
class ReadMetrics:
    """Request a page of the metrics of the node and of all its zones.

    Attributes:
        after: `next` of the previous page; None for the first page, with the current values.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    after: LogCursor | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """A page of metrics; `next` is the `after` of the next page, if there is one.

    All pages have values from the same moment. A family may continue on the next page.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

    families: Annotated[list[MetricFamily], MaxLength(MAX_METRIC_FAMILIES)]
    next: LogCursor | None = None

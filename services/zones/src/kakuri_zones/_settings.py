"""The settings of a zone node and of its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from kakuri_cri import Timeouts
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import METRICS_ZONES

DEFAULT_HANDLERS = MappingProxyType({"edera-zone": "edera"})
DEFAULT_LOG_DIR = Path("/var/log/kakuri")

HEARTBEAT_SECONDS = 5.0
"""The longest silence of a stream of events."""

MIB = 1_048_576

ENDED_LOGS_MB = 2048
"""The budget in units of 2^20 bytes: twenty workloads that wrote until their logs were rotated
away (100 MiB each), or thousands of ordinary ones, on a disk that images share."""

ROTATE_INTERVAL = 1.0
"""Seconds between checks. In that time, a log can exceed its limit by tens of megabytes if a
container only writes. A check costs two calls of lstat(2) for each running zone, and a listing of
the log's directory if the log has changed."""

ISOLATION_INTERVAL = 2.0
"""Seconds between two scans for runs whose isolation was not checked; shorter runs are not checked,
since each check starts a process in the zone."""

END_DELAY = 0.3
"""Seconds for which a provisional end, whose reason may still change, is not reported."""

ORPHAN_GRACE = 5.0
"""Seconds for which partially created objects are kept for a start that adopts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionLimits:
    """When images are removed; times in seconds, thresholds in percent of their file system.

    Attributes:
        high, low: use at which removal begins and ends; with 100, nothing is removed for space.
        min_age: Time for which an image is kept after it was first seen.
        max_age: Time since its last use after which an image is removed in any case; 0 for never.
        keep: References of images that are never removed.
        interval: Time between two collections.
    """

    high: int = 85
    low: int = 80
    min_age: float = 120.0
    max_age: float = 0.0
    keep: Sequence[str] = ()
    interval: float = 300.0


DEFAULT_COLLECTION = CollectionLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLimits:
    """Limits of a pull, in seconds.

    Attributes:
        timeout: Limit of the whole pull, with all of its attempts.
        stall_timeout: Limit of the time without progress; 0 for no limit. It does not apply if the
            runtime does not report the use of its file systems.
        retry_window: Time after the first transient failure in which the pull is retried; 0 to
            fail at once.
        first_retry: Pause after the first failure; doubled after each further one.
        check_stall_timeout: `stall_timeout` of a pull that checks for a newer image, while the
            image on the node can be used instead.
        progress_interval: Time between two checks of the progress.
    """

    timeout: float = 1800.0
    stall_timeout: float = 120.0
    retry_window: float = 30.0
    first_retry: float = 1.0
    check_stall_timeout: float = 10.0
    progress_interval: float = 1.0


DEFAULT_PULL_LIMITS = PullLimits()


GAP_FACTOR = 4
"""The shortest pause after a listing, as a multiple of its duration; at most half of the interval.
When thousands of zones are removed one after the other, each removal is a reason to
list all others; without such a pause, the runtime and this process would do little else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorTimes:
    """Seconds between listings of the runtime."""

    interval: float = 1.0
    """The longest time between two listings."""
    without_events: float = 0.5
    """The same for a runtime without events, so that a change is seen within a second."""
    gap: float = 0.05
    """The shortest time between two listings, however many events arrive; see `gap_after`."""
    provisional: float = 0.1
    """Until the next listing while a provisional end is held back."""
    resubscribe: float = 1.0
    """Until the stream of events is opened again after it broke."""
    retry_events: float = 60.0
    """Until events are requested again from a runtime without them: it may have been upgraded."""

    def gap_after(self, seconds: float) -> float:
        """Return the shortest time until the next listing after one that took some seconds."""
        return max(self.gap, min(GAP_FACTOR * seconds, self.interval / 2))


DEFAULT_TIMES = MonitorTimes()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTimes:
    """Seconds between attempts to remove an object: the first is doubled up to the longest."""

    first: float = 1.0
    longest: float = 60.0


DEFAULT_RETRIES = RetryTimes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a node runs zones; times are in seconds.

    Attributes:
        cri: The runtime's socket, for the caller that creates the Runtime.
        handlers: The runtime's handler for each runtime class. An empty handler would select the
            runtime's default one, so it is not allowed.
        cgroup_parent: The cgroup below which zones are created; None for the default of the
            runtime's cgroup driver.
        log_dir: The directory in which the runtime writes logs, with a directory for each zone.
        ended_log_bytes: Budget for the logs of all ended zones together.
        has_hosts: Whether each zone gets its own hosts file, which is mounted from that directory.
        dns_servers, dns_searches: the resolvers and search domains of zones; without them, those
            of the host that a zone can reach.
        collection: When images are removed.
        pulls: Limits of pulls.
        timeouts: Limits of calls to the runtime, for the caller that creates the Runtime.
        monitor: Intervals between listings of the runtime.
        retries: Pauses between attempts to remove an object, or to check whether it exists.
        read_timeout: Limit of calls that list or inspect.
        orphan_grace: How long partially created objects are kept for a start that adopts them.
        end_delay: How long a provisional end is held back, because the runtime may still report
            another reason.
        cancel_timeout: How long a creating call may continue after its start was cancelled.
        heartbeat: The longest silence of a stream of events.
        rotate_interval: Time between two checks of the size of logs.
        metrics_zones: How many zones have series of their own in the metrics.
        isolation_interval: Time between two scans for runs whose isolation was not checked.
        health_interval: Time between two checks whether the runtime can run zones; RuntimeHealth
            reports the result. None for no checks.
    """

    cri: Endpoint
    handlers: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_HANDLERS))
    cgroup_parent: str | None = None
    log_dir: Path = DEFAULT_LOG_DIR
    ended_log_bytes: int = ENDED_LOGS_MB * MIB
    has_hosts: bool = True
    dns_servers: Sequence[str] = ()
    dns_searches: Sequence[str] = ()
    collection: CollectionLimits = DEFAULT_COLLECTION
    pulls: PullLimits = DEFAULT_PULL_LIMITS
    timeouts: Timeouts = field(default_factory=Timeouts)
    monitor: MonitorTimes = DEFAULT_TIMES
    retries: RetryTimes = DEFAULT_RETRIES
    read_timeout: float = 10.0
    orphan_grace: float = ORPHAN_GRACE
    end_delay: float = END_DELAY
    cancel_timeout: float = 10.0
    heartbeat: float = HEARTBEAT_SECONDS
    rotate_interval: float = ROTATE_INTERVAL
    isolation_interval: float = ISOLATION_INTERVAL
    health_interval: float | None = 10.0
    metrics_zones: int = METRICS_ZONES

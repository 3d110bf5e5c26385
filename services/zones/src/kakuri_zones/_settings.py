"""The settings of a zone node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from kakuri_cri import Timeouts
from kakuri_tcp import Endpoint

from kakuri_zones._image_collection import DEFAULT_COLLECTION, CollectionLimits
from kakuri_zones._monitor import DEFAULT_TIMES, MonitorTimes
from kakuri_zones._pulling import DEFAULT_PULL_LIMITS, PullLimits
from kakuri_zones._removal import DEFAULT_RETRIES, RetryTimes
from kakuri_zones._rotation import ROTATE_INTERVAL
from kakuri_zones._table import END_DELAY
from kakuri_zones._zones import ORPHAN_GRACE
from kakuri_zones.logs._ended import ENDED_LOGS_MB, MIB

DEFAULT_HANDLERS = MappingProxyType({"edera-zone": "edera"})
DEFAULT_LOG_DIR = Path("/var/log/kakuri")

HEARTBEAT_SECONDS = 5.0
"""The longest silence of a stream of events."""


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
        retries: Pauses between attempts to remove an object.
        read_timeout: Limit of calls that list or inspect.
        orphan_grace: How long partially created objects are kept for a start that adopts them.
        end_delay: How long a provisional end is held back, because the runtime may still report
            another reason.
        cancel_timeout: How long a creating call may continue after its start was cancelled.
        heartbeat: The longest silence of a stream of events.
        rotate_interval: Time between two checks of the size of logs.
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

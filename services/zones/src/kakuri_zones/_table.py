"""The status of every zone: its observed state, or the progress of an operation on it.

The observed state arrives for all zones with each listing, and for one zone when an operation ends.
What arrives for a zone during a listing is newer than the listing and replaces it. Each change is
published to all watchers once. The reported end of a container never changes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from kakuri_workload import Isolation, RuntimeHealth, WorkloadState, ZoneStatus

from kakuri_zones._observed import ObservedZone
from kakuri_zones._settings import END_DELAY
from kakuri_zones._watchers import Watcher


class ZoneTable:
    """The zones of this node, by id."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        end_delay: float = END_DELAY,
    ) -> None:
        self._clock = clock
        self._end_delay = end_delay
        self._observed: dict[str, ObservedZone] = {}
        self._progress: dict[str, ZoneStatus] = {}
        self._reported: dict[str, ZoneStatus] = {}
        self._provisional: dict[str, float] = {}  # when the end was first observed
        self._isolation: dict[str, tuple[str, Isolation]] = {}  # with the container's id
        self._change_count = 0  # by operations, which number their changes
        self._last_changes: dict[str, int] = {}  # number of each zone's last change
        self._health = RuntimeHealth(available=False, message="not listed yet")
        self._watchers: dict[Watcher, None] = {}  # in the order in which they began
        self.has_listing = False
        """Whether the runtime was listed: before that, an unknown zone may exist."""

    def __repr__(self) -> str:
        return f"<ZoneTable of {len(self._reported)} zones, {len(self._watchers)} watchers>"

    @property
    def health(self) -> RuntimeHealth:
        """Whether the runtime answers."""
        return self._health

    @property
    def has_provisional(self) -> bool:
        """Whether a provisional end is held back, so that the runtime has to be listed soon."""
        return bool(self._provisional)

    def get(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone; None if there is no such zone."""
        return self._reported.get(zone_id)

    def all(self) -> list[ZoneStatus]:
        """Return the status of every zone, sorted by id."""
        return [self._reported[zone_id] for zone_id in sorted(self._reported)]

    def running(self) -> list[ZoneStatus]:
        """Return the status of every zone that runs, sorted by id."""
        return [each for each in self.all() if each.state is WorkloadState.RUNNING]

    def begin_listing(self) -> int:
        """Return the token to pass to `end_listing` after the runtime was listed."""
        return self._change_count

    def has_changed(self, zone_id: str, begun: int) -> bool:
        """Return whether an operation has changed a zone since a listing began."""
        return self._last_changes.get(zone_id, 0) > begun

    def end_listing(
        self, observed: Mapping[str, ObservedZone], begun: int
    ) -> dict[str, ObservedZone]:
        """Store the result of a listing; return the part that is not outdated already."""
        current: dict[str, ObservedZone] = {}
        for zone_id in dict.fromkeys([*self._observed, *observed, *self._reported]):
            if not self.has_changed(zone_id, begun):
                found = observed.get(zone_id)
                if found != self._observed.get(zone_id) or zone_id in self._provisional:
                    self._set_observed(zone_id, found)
                    self._refresh(zone_id)
                if found is not None:
                    current[zone_id] = found
        self._last_changes = {
            key: number for key, number in self._last_changes.items() if number > begun
        }
        self.has_listing = True
        for watcher in self._watchers:
            if not watcher.has_listing:
                watcher.listed()
        return current

    def observe(self, zone_id: str, observed: ObservedZone | None) -> None:
        """Store and report the observed state of one zone; None if it has no objects."""
        self._mark_changed(zone_id)
        self._set_observed(zone_id, observed)
        self._refresh(zone_id, is_final=True)

    def show_progress(self, status: ZoneStatus) -> None:
        """Report this status of a zone until `end_progress`, whatever is observed."""
        self._mark_changed(status.id)
        self._progress[status.id] = status
        self._refresh(status.id)

    def set_isolation(self, zone_id: str, container_id: str, isolation: Isolation) -> None:
        """Report how a run is isolated, as long as its container is the zone's latest."""
        self._isolation[zone_id] = container_id, isolation
        self._refresh(zone_id)

    def end_progress(self, zone_id: str) -> None:
        """Report the observed state of a zone again."""
        self._mark_changed(zone_id)
        self._progress.pop(zone_id, None)
        self._refresh(zone_id)

    def set_health(self, health: RuntimeHealth) -> None:
        """Store and report whether the runtime answers."""
        if health != self._health:
            self._health = health
            for watcher in self._watchers:
                watcher.health(health)

    def watch(self) -> Watcher:
        """Return a watcher of every zone and of every change from now on."""
        watcher = Watcher(self._health, self.all())
        self._watchers[watcher] = None
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Close a watcher and publish nothing more to it."""
        watcher.close()
        self._watchers.pop(watcher, None)

    def close(self) -> None:
        """Close every watcher."""
        for watcher in list(self._watchers):
            self.unwatch(watcher)

    def _mark_changed(self, zone_id: str) -> None:
        self._change_count += 1
        self._last_changes[zone_id] = self._change_count

    def _set_observed(self, zone_id: str, observed: ObservedZone | None) -> None:
        if observed is None:
            self._observed.pop(zone_id, None)
        else:
            self._observed[zone_id] = observed

    def _refresh(self, zone_id: str, *, is_final: bool = False) -> None:
        reported = self._reported.get(zone_id)
        status = self._with_isolation(self._status(zone_id, reported, is_final=is_final), zone_id)
        if status == reported:
            return
        if status is None:
            del self._reported[zone_id]
        else:
            self._reported[zone_id] = status
        for watcher in self._watchers:
            if status is None:
                watcher.gone(zone_id)
            else:
                watcher.changed(status)

    def _with_isolation(self, status: ZoneStatus | None, zone_id: str) -> ZoneStatus | None:
        known = self._isolation.get(zone_id)
        if known is None:
            return status
        container_id, isolation = known
        if status is None or status.container_id not in {None, container_id}:
            del self._isolation[zone_id]
            return status
        is_reported = status.isolation is isolation or status.container_id is None
        return status if is_reported else replace(status, isolation=isolation)

    def _status(
        self, zone_id: str, reported: ZoneStatus | None, *, is_final: bool
    ) -> ZoneStatus | None:
        """Return the status to report, which never replaces a reported end."""
        since = self._provisional.pop(zone_id, None)  # put back if the end is still held back
        progress, observed = self._progress.get(zone_id), self._observed.get(zone_id)
        if progress is not None:
            return progress
        if observed is None:
            return None
        status = observed.status()
        is_same = reported is not None and reported.container_id == status.container_id is not None
        # Containers are removed first: a sandbox that remains is not a zone that is starting.
        is_leftover = (
            reported is not None
            and status.container_id is None
            and reported.pod_sandbox_id == status.pod_sandbox_id
        )
        if reported is not None and (is_same or is_leftover) and reported.state.is_terminal:
            return reported
        had_begun = reported is not None and reported.state is not WorkloadState.PENDING
        if had_begun and is_same and not is_final and observed.is_provisional:
            now = self._clock()
            since = now if since is None else since
            if now - since < self._end_delay:
                self._provisional[zone_id] = since
                return reported
        return status

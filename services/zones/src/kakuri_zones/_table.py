"""What is true of every zone, put together from what the runtime has and what is under way.

The runtime's facts come in whole listings and, when an operation ends, for a single zone. A
listing takes a while; what was learned of a zone meanwhile is newer and stays. Whatever changes is
told to all watchers, once. Nothing ever goes back: an end that was told of a container stays.
"""

import time
from collections.abc import Callable, Mapping

from kakuri_registry import RuntimeHealth, WorkloadState, ZoneStatus

from kakuri_zones._facts import ZoneFacts
from kakuri_zones._watchers import Watcher

SETTLE_SECONDS = 0.3
"""How long an end that the runtime may have more to say about is not told yet."""


class ZoneTable:
    """The zones of this node, by id."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._facts: dict[str, ZoneFacts] = {}
        self._progress: dict[str, ZoneStatus] = {}
        self._told: dict[str, ZoneStatus] = {}
        self._unsettled: dict[str, tuple[str | None, float]] = {}
        self._touched: dict[str, int] = {}
        self._steps = 0
        self._health = RuntimeHealth(available=False, message="not asked yet")
        self._watchers: set[Watcher] = set()
        self.has_listing = False
        """Whether the runtime was ever listed, so that what is not here is not there."""

    def __repr__(self) -> str:
        return f"<ZoneTable of {len(self._told)} zones, {len(self._watchers)} watchers>"

    @property
    def health(self) -> RuntimeHealth:
        """Whether the runtime answers."""
        return self._health

    @property
    def has_unsettled(self) -> bool:
        """Whether there is an end that is not told yet, for which to look again soon."""
        return bool(self._unsettled)

    def get(self, zone_id: str) -> ZoneStatus | None:
        """Give what is true of a zone, if there is one."""
        return self._told.get(zone_id)

    def all(self) -> list[ZoneStatus]:
        """Give what is true of every zone, in the order of their ids."""
        return [self._told[zone_id] for zone_id in sorted(self._told)]

    def begin_listing(self) -> int:
        """Say that the runtime is about to be listed; gives what `end_listing` has to be told."""
        return self._steps

    def end_listing(self, facts: Mapping[str, ZoneFacts], begun: int) -> dict[str, ZoneFacts]:
        """Take everything that the runtime has; gives what of it is not outdated already."""
        current: dict[str, ZoneFacts] = {}
        for zone_id in self._facts.keys() | facts.keys() | self._told.keys():
            if self._touched.get(zone_id, 0) <= begun:
                found = facts.get(zone_id)
                self._set_facts(zone_id, found)
                self._refresh(zone_id)
                if found is not None:
                    current[zone_id] = found
        self._touched = {key: step for key, step in self._touched.items() if step > begun}
        self.has_listing = True
        for watcher in self._watchers:
            if not watcher.has_listing:
                watcher.listed()
        return current

    def learn(self, zone_id: str, facts: ZoneFacts | None) -> None:
        """Take what the runtime has of one zone now, for good; None for nothing."""
        self._touch(zone_id)
        self._set_facts(zone_id, facts)
        self._refresh(zone_id, is_settled=True)

    def show_progress(self, status: ZoneStatus) -> None:
        """Let an operation say what is true of a zone until it has ended."""
        self._touch(status.id)
        self._progress[status.id] = status
        self._refresh(status.id)

    def end_progress(self, zone_id: str) -> None:
        """Let the facts speak for a zone again."""
        self._touch(zone_id)
        self._progress.pop(zone_id, None)
        self._refresh(zone_id)

    def set_health(self, health: RuntimeHealth) -> None:
        """Take whether the runtime answers."""
        if health != self._health:
            self._health = health
            for watcher in self._watchers:
                watcher.health(health)

    def watch(self) -> Watcher:
        """Give a reader of everything there is and of every change from now on."""
        watcher = Watcher(self._health, self.all())
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Tell a reader no more."""
        watcher.close()
        self._watchers.discard(watcher)

    def close(self) -> None:
        """End every reader's stream."""
        for watcher in list(self._watchers):
            self.unwatch(watcher)

    def _touch(self, zone_id: str) -> None:
        self._steps += 1
        self._touched[zone_id] = self._steps

    def _set_facts(self, zone_id: str, facts: ZoneFacts | None) -> None:
        if facts is None:
            self._facts.pop(zone_id, None)
        else:
            self._facts[zone_id] = facts

    def _refresh(self, zone_id: str, *, is_settled: bool = False) -> None:
        told = self._told.get(zone_id)
        status = self._status(zone_id, told, is_settled=is_settled)
        if status == told:
            return
        if status is None:
            del self._told[zone_id]
        else:
            self._told[zone_id] = status
        for watcher in self._watchers:
            if status is None:
                watcher.gone(zone_id)
            else:
                watcher.changed(status)

    def _status(
        self, zone_id: str, told: ZoneStatus | None, *, is_settled: bool
    ) -> ZoneStatus | None:
        """Give what is true of a zone, not going back behind what was told."""
        progress, facts = self._progress.get(zone_id), self._facts.get(zone_id)
        if progress is not None:
            self._unsettled.pop(zone_id, None)
            return progress
        if facts is None:
            self._unsettled.pop(zone_id, None)
            return None
        status = facts.status()
        is_same = told is not None and told.container_id == status.container_id is not None
        # A container is removed before its sandbox: what is left is no zone that begins.
        is_rest = (
            told is not None
            and status.container_id is None
            and told.pod_sandbox_id == status.pod_sandbox_id
        )
        if told is not None and (is_same or is_rest) and told.state.is_terminal:
            self._unsettled.pop(zone_id, None)
            return told
        was_begun = told is not None and told.state is not WorkloadState.PENDING
        if was_begun and is_same and not is_settled and self._waits(zone_id, facts):
            return told
        self._unsettled.pop(zone_id, None)
        return status

    def _waits(self, zone_id: str, facts: ZoneFacts) -> bool:
        """Whether an end is not to be told yet."""
        if not facts.is_unsettled or facts.container is None:
            return False
        container_id, since = self._unsettled.setdefault(
            zone_id, (facts.container.id, self._clock())
        )
        if container_id != facts.container.id:
            since = self._clock()
            self._unsettled[zone_id] = (facts.container.id, since)
        return self._clock() - since < self._settle_seconds

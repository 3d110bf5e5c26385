"""A runtime for tests: it does nothing by itself and remembers what it was told."""

from kakuri_agent import NoLog
from kakuri_workload import LogChunk, ZoneSpec, ZoneStatus
from kakuri_workload.testing import workload


class RecordingRuntime:
    """Its view is what the test says."""

    name = "recording"
    is_simulated = False
    endpoint = None

    def __init__(self):
        self.handlers = {}
        self.told = []
        self.zones = {}
        self.logs = {}
        self.reads = 0
        self.has_gap = False
        self.is_listed = True
        self.fault = None

    def attach(self, observer):
        self.observer = observer
        observer.zones_listed()

    def start(self, spec):
        self.told.append(("start", spec.id, spec.attempt))

    def stop(self, zone_id, grace_seconds):
        self.told.append(("stop", zone_id, grace_seconds))

    def remove(self, zone_id, grace_seconds):
        self.told.append(("remove", zone_id, grace_seconds))

    def status(self, zone_id):
        return self.zones.get(zone_id)

    def list(self):
        return list(self.zones.values())

    def spec(self, zone_id):
        zone = self.zones.get(zone_id)
        return None if zone is None else zone.spec

    async def read_log(self, zone_id, request):
        self.reads += 1
        if zone_id not in self.logs:
            raise NoLog(f"no log of {zone_id!r}")
        if isinstance(self.logs[zone_id], Exception):
            raise self.logs[zone_id]
        return LogChunk(self.logs[zone_id], "1", has_ended=True, has_gap=self.has_gap)

    async def close(self):
        self.told.append(("close",))

    def change(self, state, zone_id="wl-1", **more):
        """Let the view have a zone in this state, and tell the observer."""
        self.zones[zone_id] = ZoneStatus(zone_id, state, **more)
        self.observer.zone_changed(zone_id)

    def lose(self, zone_id="wl-1"):
        """Let a zone be gone without anybody having asked for it."""
        del self.zones[zone_id]
        self.observer.zone_changed(zone_id)


def spec(workload_id="wl-1", **changes):
    return ZoneSpec(workload(workload_id, **changes))

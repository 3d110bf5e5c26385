"""A runtime for tests, which does nothing and records the commands it gets."""

from kakuri_agent import NoLog
from kakuri_workload import LogChunk, ZoneSpec, ZoneStatus
from kakuri_workload.testing import workload


class RecordingRuntime:
    """A runtime whose view a test sets; `commands` has what it was asked to do."""

    name = "recording"
    is_simulated = False
    endpoint = None

    def __init__(self):
        self.handlers = {}
        self.end_failures = {}
        self.commands = []
        self.zones = {}
        self.logs = {}
        self.reads = 0
        self.has_gap = False
        self.log_ended = True
        self.examined = 0
        self.log_request = None
        self.is_listed = True
        self.fault = None
        self.image = None
        self.families = []

    def attach(self, observer):
        self.observer = observer
        observer.zones_listed()

    def start(self, spec):
        self.commands.append(("start", spec.id, spec.attempt))

    def stop(self, zone_id, grace_seconds):
        self.commands.append(("stop", zone_id, grace_seconds))

    def remove(self, zone_id, grace_seconds):
        self.commands.append(("remove", zone_id, grace_seconds))

    def status(self, zone_id):
        return self.zones.get(zone_id)

    def list(self):
        return list(self.zones.values())

    def spec(self, zone_id):
        zone = self.zones.get(zone_id)
        return None if zone is None else zone.spec

    async def read_log(self, zone_id, request):
        self.reads += 1
        self.log_request = request
        if zone_id not in self.logs:
            raise NoLog(f"no log of {zone_id!r}")
        if isinstance(self.logs[zone_id], Exception):
            raise self.logs[zone_id]
        data = self.logs[zone_id]
        return LogChunk(data, "1", self.log_ended, self.has_gap, self.examined)

    async def check_image(self, image, policy):
        self.checked = image, policy
        return self.image

    async def metrics(self):
        return self.families

    async def close(self):
        self.commands.append(("close",))

    def change(self, state, zone_id="wl-1", **more):
        """Set a zone of the view to a state, and notify the observer."""
        self.zones[zone_id] = ZoneStatus(zone_id, state, **more)
        self.observer.zone_changed(zone_id)

    def lose(self, zone_id="wl-1"):
        """Remove a zone from the view without a request, and notify the observer."""
        del self.zones[zone_id]
        self.observer.zone_changed(zone_id)


def spec(workload_id="wl-1", **changes):
    return ZoneSpec(workload(workload_id, **changes))

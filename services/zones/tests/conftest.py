import asyncio
import gc
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest
from kakuri_cri import CriError, Runtime, RuntimeUnavailable
from kakuri_cri.testing import FakeCri
from kakuri_workload.testing import zone_spec
from kakuri_zones import ZoneError, error_code, zone_node
from kakuri_zones.testing import ZoneWaiter, quick_settings


@dataclass
class Failure:
    """What an operation raised."""

    code: str
    message: str


class Node(ZoneWaiter):
    """The zones under test; what an operation raises is returned as a Failure."""

    def __init__(self, zones, settings):
        self.zones = zones
        self.settings = settings

    @staticmethod
    def spec(zone="z", image="app:1", **fields):
        return zone_spec(zone, **{"image": image, "memory_mb": 64, **fields})

    async def start(self, zone="z", image="app:1", **fields):
        """Start a zone; return whether it is new, and its status."""
        answer = await self._outcome(self.zones.start(self.spec(zone, image, **fields)))
        if isinstance(answer, Failure):
            return answer
        status, existed = answer
        return not existed, status

    async def stop(self, zone="z", grace=1):
        return await self._outcome(self.zones.stop(zone, grace))

    async def remove(self, zone="z", grace=0):
        """Remove a zone; return None, or the failure."""
        outcome = await self._outcome(self.zones.remove(zone, grace))
        return outcome if isinstance(outcome, Failure) else None

    async def zone(self, zone="z"):
        """Return a zone's status from the list, without a call to the runtime."""
        try:
            return next((each for each in self.zones.zones() if each.id == zone), None)
        except RuntimeUnavailable:  # not listed yet, but a start may be in progress
            found = await self._outcome(self.zones.zone(zone))
            return None if isinstance(found, Failure) else found

    async def spec_of(self, zone="z"):
        """Return the spec of a zone, which only its own status has."""
        return (await self.zones.zone(zone)).spec

    async def log(self, zone="z", **options):
        """Return a zone's log, read as a stream."""
        return b"".join([each async for each in await self.zones.stream_log(zone, **options)])

    def events(self):
        return self.zones.events()

    @staticmethod
    async def _outcome(operation):
        try:
            return await operation
        except (ZoneError, CriError) as error:
            return Failure(error_code(error), str(error))


@pytest.fixture
async def runtime():
    async with FakeCri() as fake:
        yield fake


@pytest.fixture
def run(runtime, tmp_path):
    """Return a context manager that runs zones on the runtime; its intervals are milliseconds."""

    @asynccontextmanager
    async def start(*, is_seen=True, **changes):
        settings = quick_settings(
            **{"cri": runtime.endpoint, "log_dir": tmp_path / "logs", **changes}
        )
        async with (
            Runtime(settings.cri, timeouts=settings.timeouts) as client,
            zone_node(client, settings) as zones,
        ):
            node = Node(zones, settings)
            if is_seen:
                await node.until_listed()
            yield node

    return start


@pytest.fixture
async def node(run):
    async with run() as started:
        yield started


@pytest.fixture
def uncollected():
    """Return a context manager that turns the garbage collector off.

    It yields a function that returns the objects that only the collector would free.
    """

    @contextmanager
    def without_collector():
        gc.collect()
        gc.disable()

        def garbage():
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            return list(gc.garbage)

        try:
            yield garbage
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    return without_collector


@pytest.fixture
def start_tasks_eagerly():
    """Return a function that makes tasks start eagerly. Python 3.11 can't, and does not change."""

    def start_eagerly():
        factory = getattr(asyncio, "eager_task_factory", None)
        asyncio.get_running_loop().set_task_factory(factory)

    return start_eagerly

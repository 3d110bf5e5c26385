"""Specs of zones that were found in the runtime, fetched once each."""

import asyncio
from dataclasses import replace

import pytest
from kakuri_agent import RuntimeUnavailable, ZoneRuntime
from kakuri_agent.runtimes._zone_specs import MAX_FETCHING, ZoneSpecs
from kakuri_tcp.testing import until
from kakuri_workload import (
    WorkloadState,
    ZoneChanged,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.testing import workload
from structlog.testing import capture_logs

SPEC = ZoneSpec(workload("a"))
LISTED = ZoneStatus("a", WorkloadState.RUNNING, spec_hash="h")
KNOWN = ZoneStatus("a", WorkloadState.RUNNING, spec_hash="h", spec=SPEC)


class Runtime:
    """Returns what is fetched next; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def fetch(self, zone_id):
        self.asked.append(zone_id)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def found():
    return asyncio.Queue()


def specs_of(runtime, found):
    return ZoneSpecs(runtime.fetch, found.put_nowait, retry=(0, 0))


async def test_spec_of_a_listed_zone_is_not_fetched(found):
    assert specs_of(Runtime(), found).take(KNOWN) is SPEC


async def test_spec_is_fetched_once_and_forgotten_when_it_is_taken(found):
    runtime = Runtime(KNOWN, None)
    specs = specs_of(runtime, found)
    assert specs.take(LISTED) is None
    assert specs.take(LISTED) is None
    assert await found.get() == "a"
    assert specs.take(LISTED) is SPEC
    assert runtime.asked == ["a"]
    assert specs.take(LISTED) is None
    await specs.close()


async def test_spec_of_another_zone_of_the_same_id_is_fetched_again(found):
    other = ZoneStatus("a", WorkloadState.RUNNING, spec_hash="other", spec=SPEC)
    runtime = Runtime(other, KNOWN)
    specs = specs_of(runtime, found)
    specs.take(LISTED)
    await found.get()
    assert specs.take(LISTED) is None
    await found.get()
    assert specs.take(LISTED) is SPEC


async def test_zone_without_a_readable_spec_is_fetched_again(found):
    runtime = Runtime(LISTED, LISTED, RuntimeUnavailable("away"), KNOWN)
    specs = specs_of(runtime, found)
    with capture_logs() as logged:
        specs.take(LISTED)
        await found.get()
    assert [(entry["event"], entry["error"]) for entry in logged] == [
        (
            "the spec of a zone can't be fetched",
            "the runtime returned the zone without a valid spec",
        ),
        ("the spec of a zone can't be fetched", "away"),
    ]
    assert specs.take(LISTED) is SPEC


async def test_zone_that_was_removed_or_cannot_be_fetched_has_no_spec(found):
    runtime = Runtime(None, ValueError("broken"))
    specs = specs_of(runtime, found)
    with capture_logs() as logged:
        for _ in range(2):
            assert specs.take(LISTED) is None
            await asyncio.gather(*specs._fetching.values(), return_exceptions=True)
            await asyncio.sleep(0)
    assert found.empty()
    assert [entry["event"] for entry in logged] == ["could not fetch the spec of a zone"]


async def test_closed_specs_have_no_fetch_in_progress(found):
    started = asyncio.Event()

    async def fetch(zone_id):
        started.set()
        await asyncio.Event().wait()

    specs = ZoneSpecs(fetch, found.put_nowait)
    specs.take(LISTED)
    await started.wait()
    await specs.close()
    await asyncio.sleep(0)
    assert specs._fetching == {}


async def test_forget_cancels_a_fetch_in_progress(found):
    started, fetched = asyncio.Queue(), []

    async def fetch(zone_id):
        fetched.append(asyncio.current_task())
        started.put_nowait(zone_id)
        await asyncio.Event().wait()

    specs = ZoneSpecs(fetch, found.put_nowait)
    specs.take(LISTED)
    await started.get()
    specs.forget("a")
    specs.take(LISTED)  # of a new zone with the same id
    await started.get()
    assert [task.cancelled() for task in fetched] == [True, False]
    await specs.close()
    assert specs._fetching == {}


async def test_spec_is_fetched_once_the_runtime_answers_again(found):
    runtime = Runtime(RuntimeUnavailable("away"), RuntimeUnavailable("away"), KNOWN)
    specs = specs_of(runtime, found)
    with capture_logs() as logged:
        specs.take(LISTED)
        await found.get()
    assert specs.take(LISTED) is SPEC
    assert len(logged) == 1


class ListedZones:
    """Zones that report events of a queue, and return the spec of each zone."""

    name, endpoint, handlers, fault, logs_outages = "cri", "unix", None, None, True

    def __init__(self):
        self.queue = asyncio.Queue()

    async def events(self):
        while True:
            yield await self.queue.get()

    async def zone(self, zone_id):
        if zone_id != "a":
            raise RuntimeUnavailable(f"the answer about {zone_id} can't be read")
        return KNOWN

    async def close(self):
        pass


class Observer:
    """An observer that does nothing."""

    def zone_changed(self, zone_id):
        pass

    def zones_listed(self):
        pass


async def test_spec_of_a_zone_removed_before_it_is_taken_is_forgotten():
    zones = ListedZones()
    runtime = ZoneRuntime(zones)
    runtime.attach(Observer())
    for event in (ZoneChanged(LISTED), ZonesListed()):
        zones.queue.put_nowait(event)
    await until(lambda: runtime.is_listed)
    assert runtime.spec("a") is None
    await until(lambda: runtime._specs._found)
    zones.queue.put_nowait(ZoneGone("a"))
    await until(lambda: runtime.status("a") is None)
    assert runtime._specs._found == {}
    await runtime.close()


async def test_failing_spec_fetches_do_not_block_others():
    zones = ListedZones()
    runtime = ZoneRuntime(zones)
    runtime.attach(Observer())
    unreadable = [replace(LISTED, id=f"b{number}") for number in range(MAX_FETCHING)]
    for event in (*map(ZoneChanged, [*unreadable, LISTED]), ZonesListed()):
        zones.queue.put_nowait(event)
    await until(lambda: runtime.is_listed)
    with capture_logs() as logged:
        for each in [*unreadable, LISTED]:
            assert runtime.spec(each.id) is None
        await until(lambda: runtime._specs._found)
        assert runtime.spec("a") is SPEC
    assert [entry["event"] for entry in logged] == ["the spec of a zone can't be fetched"] * 4
    await runtime.close()

import asyncio

from kakuri_workload import RuntimeHealth, ZoneChanged, ZoneGone, ZonesListed, ZoneStatus
from kakuri_workload import WorkloadState as State
from kakuri_zones._watchers import Watcher

HEALTHY = RuntimeHealth(available=True)
PENDING = ZoneStatus("z", State.PENDING)
RUNNING = ZoneStatus("z", State.RUNNING)
FAILED = ZoneStatus("z", State.FAILED, "Error")


async def taken(watcher):
    watcher.close()
    found = []
    while (event := await watcher.next()) is not None:
        found.append(event)
    return found


async def test_unread_change_of_a_zone_is_replaced_by_a_later_one():
    watcher = Watcher(HEALTHY, [PENDING])
    for _ in range(1000):
        watcher.changed(PENDING)
        watcher.changed(RUNNING)
    assert await taken(watcher) == [HEALTHY, ZoneChanged(RUNNING)]


async def test_end_is_reported_before_zone_gone():
    watcher = Watcher(HEALTHY, [])
    watcher.changed(FAILED)
    watcher.gone("z")
    assert await taken(watcher) == [HEALTHY, ZoneChanged(FAILED), ZoneGone("z")]


async def test_running_zone_that_disappears_is_reported_only_as_gone():
    watcher = Watcher(HEALTHY, [RUNNING])
    watcher.gone("z")
    assert await taken(watcher) == [HEALTHY, ZoneGone("z")]


async def test_zone_started_again_after_its_removal_is_reported():
    watcher = Watcher(HEALTHY, [FAILED])
    watcher.gone("z")
    watcher.changed(PENDING)
    assert await taken(watcher) == [HEALTHY, ZoneChanged(PENDING)]


async def test_zones_listed_follows_the_listed_zones():
    watcher = Watcher(HEALTHY, [])
    watcher.changed(RUNNING)
    watcher.listed()
    later = ZoneStatus("later", State.PENDING)
    watcher.changed(later)
    watcher.changed(FAILED)
    reported = [HEALTHY, ZoneChanged(FAILED), ZonesListed(), ZoneChanged(later)]
    assert await taken(watcher) == reported


async def test_watcher_waits_for_the_next_event():
    watcher = Watcher(HEALTHY, [])
    assert await watcher.next() == HEALTHY
    reading = asyncio.create_task(watcher.next())
    await asyncio.sleep(0)
    watcher.changed(RUNNING)
    assert await reading == ZoneChanged(RUNNING)


async def test_watcher_with_too_many_unread_events_is_closed(monkeypatch):
    monkeypatch.setattr("kakuri_zones._watchers.MAX_WAITING", 2)
    watcher = Watcher(HEALTHY, [])
    for name in "abc":
        watcher.gone(name)
    assert watcher.is_closed
    assert await taken(watcher) == [HEALTHY]


async def test_initial_zones_do_not_count_as_unread_events(monkeypatch):
    monkeypatch.setattr("kakuri_zones._watchers.MAX_WAITING", 2)
    zones = [ZoneStatus(name, State.RUNNING) for name in "abcd"]
    watcher = Watcher(HEALTHY, zones)
    watcher.gone("e")
    assert await taken(watcher) == [HEALTHY, *map(ZoneChanged, zones), ZoneGone("e")]

import pytest
from kakuri_cri import api
from kakuri_workload import RuntimeHealth, ZoneChanged, ZoneGone, ZonesListed, ZoneStatus
from kakuri_workload import WorkloadState as State
from kakuri_zones._observed import Container, ObservedZone, Sandbox
from kakuri_zones._table import ZoneTable


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(clock):
    return ZoneTable(clock, end_delay=1.0)


def observed(state=api.ContainerState.CONTAINER_RUNNING, *, name="c", ready=True, **fields):
    sandbox = Sandbox("s", "z", 0, ready, 1, "edera", "hash", 0)
    containers = (
        () if name is None else (Container(name, "z", "s", 0, state, 1, "hash", 0, **fields),)
    )
    return ObservedZone("z", (sandbox,), containers)


def listing(table, *zones):
    table.end_listing({each.id: each for each in zones}, table.begin_listing())


def state(table):
    zone = table.get("z")
    return None if zone is None else (zone.state, zone.reason)


PENDING = ZoneStatus("z", State.PENDING, "Pulling")


def test_end_listing_returns_the_zones_that_are_not_outdated(table):
    begun = table.begin_listing()
    table.observe("z", observed())
    assert table.end_listing({"z": observed(api.ContainerState.CONTAINER_CREATED)}, begun) == {}
    begun = table.begin_listing()
    assert table.end_listing({"z": observed()}, begun) == {"z": observed()}


def test_listing_replaces_everything_observed_before(table):
    assert not table.has_listing
    listing(table, observed())
    assert table.has_listing
    assert state(table) == (State.RUNNING, None)
    assert [each.id for each in table.all()] == ["z"]
    listing(table)
    assert state(table) is None


def test_loss_of_a_zone_is_reported_once_its_container_answers_again(table, clock):
    listing(table, observed(ready=False, is_stale=True))
    assert state(table) == (State.RUNNING, None)
    listing(table, observed(ready=False))
    clock.now = 1.0
    listing(table, observed(ready=False))
    assert state(table) == (State.FAILED, "ZoneLost")


def test_progress_is_reported_instead_of_the_observed_state_until_it_ends(table):
    table.show_progress(PENDING)
    listing(table, observed(api.ContainerState.CONTAINER_CREATED))
    assert state(table) == (State.PENDING, "Pulling")
    listing(table)
    assert state(table) == (State.PENDING, "Pulling")
    table.observe("z", observed())
    table.end_progress("z")
    assert state(table) == (State.RUNNING, None)


def test_listing_that_began_earlier_does_not_replace_a_newer_observation(table):
    begun = table.begin_listing()
    table.observe("z", observed())
    table.end_listing({}, begun)
    assert state(table) == (State.RUNNING, None)
    begun = table.begin_listing()
    table.observe("z", None)
    table.end_listing({"z": observed()}, begun)
    assert state(table) is None
    listing(table, observed())
    assert state(table) == (State.RUNNING, None)


def test_reported_end_never_changes(table):
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=1, reason="Error"))
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=1, reason="OOMKilled"))
    listing(table, observed(api.ContainerState.CONTAINER_RUNNING))
    listing(table, observed(name=None))
    assert state(table) == (State.FAILED, "Error")
    listing(table, observed(name="later"))
    assert state(table) == (State.RUNNING, None)


def test_provisional_end_is_held_back(table, clock):
    listing(table, observed())
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=137, reason="Error"))
    assert state(table) == (State.RUNNING, None)
    assert table.has_provisional
    clock.now += 0.9
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=137, reason="OOMKilled"))
    assert state(table) == (State.FAILED, "OOMKilled")
    assert not table.has_provisional


def test_provisional_end_is_reported_after_the_delay(table, clock):
    listing(table, observed())
    for now in (0.0, 0.9, 1.0):
        clock.now = now
        listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=137, reason="Error"))
    assert state(table) == (State.FAILED, "Error")


def test_provisional_end_of_another_container_is_held_back_anew(table, clock):
    """A restart within the delay replaces the container; the delay of its end begins then."""
    for name, now in (("c", 0.0), ("c", 0.9), ("d", 0.95), ("d", 1.9)):
        clock.now = now
        if now in (0.0, 0.95):
            listing(table, observed(name=name))
        ended = observed(
            api.ContainerState.CONTAINER_EXITED, name=name, exit_code=137, reason="Error"
        )
        listing(table, ended)
        assert state(table) == (State.RUNNING, None)
    clock.now = 1.95
    listing(table, ended)
    assert state(table) == (State.FAILED, "Error")


def test_sandbox_listed_as_ended_before_its_container_does_not_fail_the_zone(table, clock):
    listing(table, observed())
    listing(table, observed(ready=False))
    assert state(table) == (State.RUNNING, None)
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, ready=False))
    assert state(table) == (State.SUCCEEDED, None)


def test_lost_zone_stays_lost_when_its_container_is_stopped(table, clock):
    listing(table, observed())
    listing(table, observed(ready=False))
    clock.now += 1.0
    listing(table, observed(ready=False))
    assert state(table) == (State.FAILED, "ZoneLost")
    listing(table, observed(api.ContainerState.CONTAINER_EXITED, exit_code=137, ready=False))
    assert state(table) == (State.FAILED, "ZoneLost")


def test_end_observed_by_an_operation_is_reported_at_once(table):
    listing(table, observed())
    table.observe("z", observed(api.ContainerState.CONTAINER_EXITED, exit_code=137, reason="Error"))
    assert state(table) == (State.FAILED, "Error")


async def taken(watcher):
    watcher.close()
    found = []
    while (event := await watcher.next()) is not None:
        found.append(event)
    return found


async def test_watchers_receive_every_zone_and_each_change_once(table):
    listing(table, observed())
    watcher = table.watch()
    listing(table, observed())
    listing(table, observed())
    zone = table.get("z")
    assert await taken(watcher) == [
        RuntimeHealth(available=False, message="not listed yet"),
        ZoneChanged(zone),
        ZonesListed(),
    ]
    watcher = table.watch()
    table.set_health(RuntimeHealth(available=True))
    table.set_health(RuntimeHealth(available=True))
    listing(table)
    assert await taken(watcher) == [
        RuntimeHealth(available=True),
        ZoneGone("z"),
        ZonesListed(),
    ]


async def test_closed_table_ends_its_watchers(table):
    watcher = table.watch()
    table.close()
    assert await taken(watcher) == [RuntimeHealth(available=False, message="not listed yet")]
    assert repr(table) == "<ZoneTable of 0 zones, 0 watchers>"


async def test_changes_of_one_listing_are_reported_in_the_order_of_the_zones(table):
    names = [f"z{number}" for number in range(20)]

    def zones(*chosen):
        return {
            name: ObservedZone(name, (Sandbox(name, name, 0, True, 1, "edera", "hash", 0),), ())
            for name in chosen
        }

    table.end_listing(zones(*names[:10]), table.begin_listing())
    watcher = table.watch()
    await taken(watcher)
    table.end_listing(zones(*names[5:]), table.begin_listing())
    assert await taken(watcher) == [
        *(ZoneGone(name) for name in names[:5]),
        *(ZoneChanged(table.get(name)) for name in names[10:]),
        ZonesListed(),
    ]

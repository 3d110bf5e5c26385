import pytest
from kakuri_workload import LogGrown, LogsWatched, WorkloadState, ZoneStatus
from kakuri_zones._log_watch import STABLE_POLLS, LogWatch
from kakuri_zones._table import ZoneTable


class Zones(ZoneTable):
    """A table with a running zone and an ended one."""

    def all(self):
        return [
            ZoneStatus("a", WorkloadState.RUNNING),
            ZoneStatus("b", WorkloadState.SUCCEEDED),
        ]


class Logs:
    """A stand-in for the store that returns the next signature of zone `a` at each poll."""

    def __init__(self, *signatures):
        self.signatures_left = list(signatures)
        self.asked = []

    async def signatures(self, attempts):
        self.asked.append(dict(attempts))
        if len(self.signatures_left) > 1:
            return {"a": self.signatures_left.pop(0)}
        return {"a": self.signatures_left[0]}


async def events_of(logs, count, *, heartbeat=1000.0):
    watch = LogWatch(logs, Zones(), poll=0.001, heartbeat=heartbeat)
    events = watch.events()
    found = [await anext(events) for _ in range(count)]
    await events.aclose()
    return found


async def test_log_that_grows_is_reported_at_once_and_again_when_it_is_stable():
    logs = Logs(1, 1, 2)
    assert await events_of(logs, 3) == [LogsWatched(), LogGrown("a"), LogGrown("a")]
    assert len(logs.asked) == 3 + STABLE_POLLS


async def test_log_that_grows_all_the_time_is_reported_at_each_poll():
    assert await events_of(Logs(1, 2, 3, 4), 4) == [LogsWatched(), *[LogGrown("a")] * 3]


async def test_only_logs_of_running_zones_are_watched():
    logs = Logs(1, 2)
    await events_of(logs, 2)
    assert logs.asked == [{"a": 0}] * 2


async def test_logs_watched_is_repeated_as_a_heartbeat():
    assert await events_of(Logs(1), 3, heartbeat=0.002) == [LogsWatched()] * 3


async def test_closed_watch_ends_its_readers():
    watch = LogWatch(Logs(1), Zones(), poll=100)
    events = watch.events()
    assert await anext(events) == LogsWatched()
    watch.close()
    assert [event async for event in events] == []


class Later(Zones):
    """A table whose zone has ended by a number of checks."""

    def __init__(self, checks):
        super().__init__()
        self.checks = checks

    def all(self):
        self.checks -= 1
        return super().all() if self.checks >= 0 else []


class LogsOf(Logs):
    """A store without the logs of zones that have ended."""

    async def signatures(self, attempts):
        found = await super().signatures(attempts)
        return found if attempts else {}


@pytest.mark.parametrize(
    ("signatures", "checks", "reports"),
    [
        ((1,), 1000, []),
        ((1, 2), 1000, [1, 1 + STABLE_POLLS]),
        ((1, 2, 2, 2, 3), 1000, [1, 4, 4 + STABLE_POLLS]),
        ((1, *[2] * STABLE_POLLS, 3), 1000, [1, STABLE_POLLS + 1, 2 * STABLE_POLLS + 1]),
        ((1, 2), 4, [1]),  # the zone ended after three checks, and its log is final
    ],
)
async def test_log_is_reported_at_each_change_and_once_when_it_is_stable(
    monkeypatch, signatures, checks, reports
):
    watch = LogWatch(LogsOf(*signatures), Later(checks), poll=0.001, heartbeat=1000.0)
    polls = 0

    async def pause():
        nonlocal polls
        polls += 1
        return polls > 40

    monkeypatch.setattr(watch, "_pause", pause)
    found = [(polls, event) async for event in watch.events()]
    assert found == [(0, LogsWatched()), *[(at, LogGrown("a")) for at in reports]]


@pytest.mark.parametrize(
    ("heartbeat", "beats"), [(0.4, [4, 8]), (0.25, [2, 4, 6, 8, 10]), (0.01, [*range(1, 11)])]
)
async def test_heartbeat_comes_after_a_number_of_polls(monkeypatch, heartbeat, beats):
    watch = LogWatch(Logs(1), Zones(), poll=0.1, heartbeat=heartbeat)
    polls = 0

    async def pause():
        nonlocal polls
        polls += 1
        return polls > 10

    monkeypatch.setattr(watch, "_pause", pause)
    assert [polls async for _ in watch.events()] == [0, *beats]

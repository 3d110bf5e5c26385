"""How often an agent is asked for a log, how long it may be away, and where a log ends; by a clock
that only waiting moves."""

import pytest
from kakuri_control_plane import _logs
from kakuri_control_plane._log_queries import LogQuery
from kakuri_control_plane._logs import MAX_SHORT_PIECES, Logs
from kakuri_rpc import MAX_LOG_DATA, AgentUnreachable, Log


class Clock:
    """Seconds that pass while something waits."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += max(seconds, 0)


class OpenLog:
    """The log of an agent: pieces, or an error, each after its seconds."""

    workload_id = "wl-1"
    has_ended = has_yielded = False

    def __init__(self, clock, *, seconds=0.0, pieces=()):
        self.clock, self.seconds, self.pieces = clock, seconds, iter(pieces)
        self.asked = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.close()

    async def close(self):
        self.has_ended = True

    async def read(self, wait_seconds=0.0):
        self.asked.append(self.clock.now)
        self.clock.now += self.seconds
        piece = next(self.pieces)
        if isinstance(piece, Exception):
            raise piece
        return Log(piece, "x", ended=False)


class OneLogAgent:
    def __init__(self, log):
        self.log = log

    def open_log(self, workload_id, **options):
        return self.log


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_logs, "time", clock)
    monkeypatch.setattr(_logs, "asyncio", clock)
    return clock


async def read_all(log, *, follow):
    _, pieces = await Logs(OneLogAgent(log)).open("wl-1", LogQuery(follow=follow))
    return [piece async for piece in pieces]


@pytest.mark.parametrize(("seconds", "apart"), [(0.0625, 0.25), (0.25, 0.25), (1.0, 1.0)])
async def test_follow_asks_an_agent_without_data_at_most_four_times_a_second(clock, seconds, apart):
    log = OpenLog(clock, seconds=seconds, pieces=[b"one", b"", b"", b"", ValueError("the end")])
    with pytest.raises(ValueError, match="the end"):
        await read_all(log, follow=True)
    first, second, *others = log.asked
    assert second == first + seconds  # after data, at once
    assert [later - second for later in others] == [apart, 2 * apart, 3 * apart]


@pytest.mark.parametrize("returns", [True, False])
async def test_follow_waits_twenty_seconds_for_an_unreachable_agent(clock, returns):
    def away():
        yield b"one"
        began = clock.now
        while clock.now < began + (19.75 if returns else 1000.0):
            yield AgentUnreachable("away")
        yield ValueError("returned")

    log = OpenLog(clock, pieces=away())
    with pytest.raises(ValueError if returns else AgentUnreachable):
        await read_all(log, follow=True)
    assert log.asked[-1] - log.asked[1] == (19.75 if returns else 20.0)


@pytest.mark.parametrize(
    ("size", "number"), [(MAX_LOG_DATA // 2, 300), (MAX_LOG_DATA // 2 - 1, MAX_SHORT_PIECES)]
)
async def test_log_that_grows_while_it_is_read_ends_after_256_short_pieces(clock, size, number):
    log = OpenLog(clock, pieces=[*[bytes(size)] * 300, b""])
    assert len(await read_all(log, follow=False)) == number

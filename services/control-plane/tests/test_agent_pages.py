"""Streams read kept events and states in turn, one page at a time for all of them."""

import asyncio
import json
from collections import Counter

import pytest
from kakuri_control_plane import _agent_turns
from kakuri_control_plane._agent_pages import AgentPages
from kakuri_control_plane._agent_turns import AgentTurns
from kakuri_control_plane._event_hub import TooManyStreams
from kakuri_control_plane._event_streams import EventStreams
from kakuri_control_plane._event_tail import latest_events
from kakuri_control_plane._event_views import EventFilter
from kakuri_control_plane._problems import PROBLEMS
from kakuri_control_plane._queries import EventQuery
from kakuri_control_plane._slots import Slot
from kakuri_http import Headers, Request, ResponseAborted
from kakuri_rpc import AgentError, AgentTimeout, Changes, ErrorCode, ErrorReply, State, WorkloadList
from kakuri_workload import Event, EventType

NONE = EventFilter(workload_id="none")
NEWEST, PAGE = 40, 4
PAGES = 5  # of states


class Agent:
    """An agent with events from 1 on that answers in a later turn of the event loop, if allowed."""

    timeout = 1.0

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.in_flight = self.most_in_flight = self.answers_sent = 0
        self.asked: list[int] = []
        self.sent: Counter[int] = Counter()
        self.error: Exception | None = None

    async def get_changes(self, after: int) -> Changes:
        self.asked.append(after)
        await self.answered()
        indexes = range(after + 1, min(after + PAGE, NEWEST) + 1)
        self.sent.update(indexes)
        events = [Event(index, 1.5, EventType.WORKLOAD, "a", State.RUNNING) for index in indexes]
        return Changes(events, indexes[-1] if indexes else NEWEST)

    async def list_workloads(self, *, after: str, label: str | None, detail: bool) -> WorkloadList:
        await self.answered()
        number = int(after or 0) + 1
        return WorkloadList([], str(number) if number < PAGES else None)

    async def answered(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            await self.answers.wait()
        finally:
            self.in_flight -= 1
            self.answers_sent += 1
        if self.error is not None:
            raise self.error


class Hub:
    """A hub that has none of the events."""

    index = NEWEST
    store_id = None
    end = 0

    def position(self, index):
        return 0 if index >= NEWEST else None

    async def start(self):
        pass

    def check_slot(self, user):
        pass

    async def take_slot(self, user):
        self.slot = Slot(user, 0)
        return self.slot

    async def batches(self, _number, _slot):
        return
        yield


@pytest.fixture
def agent():
    return Agent()


@pytest.fixture
def streams(agent):
    return EventStreams(agent, Hub())


def pages_of(agent):
    return AgentPages(agent, AgentTurns(agent, 1, "streams of events", TooManyStreams), "loopback")


async def text_of(streams, **query):
    request = Request("GET", "/events", Headers())
    response = await streams.get_events(request, EventQuery(**query))
    return b"".join([piece async for piece in response.body])


async def until_asked(agent):
    async with asyncio.timeout(10):
        while not agent.in_flight:  # noqa: ASYNC110 (a few turns of the event loop)
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "query",
    [
        {"after": "now", "tail": 1, "workload": "none"},
        {"after": "now", "tail": 1, "label": "no=one"},
        {"after": 0, "workload": "none"},
        {"after": 0},
    ],
)
async def test_streams_that_read_every_kept_event_read_one_page_at_a_time(agent, streams, query):
    texts = await asyncio.gather(*(text_of(streams, **query) for _ in range(20)))
    assert agent.most_in_flight == 1
    assert set(agent.sent) == set(range(1, NEWEST + 1))
    assert len(set(texts)) == 1


async def test_streams_that_begin_with_states_read_one_page_at_a_time(agent, streams):
    texts = await asyncio.gather(*(text_of(streams) for _ in range(20)))
    assert agent.most_in_flight == 1
    assert set(texts) == {b'{"type":"synced","index":40}\n'}


@pytest.mark.parametrize("query", [{}, {"after": 0}])
async def test_displaced_stream_reads_no_further_page(agent, query):
    hub = Hub()
    request = Request("GET", "/events", Headers())
    response = await EventStreams(agent, hub).get_events(request, EventQuery(**query))
    hub.slot.is_displaced = True
    assert [piece async for piece in response.body] == []
    assert agent.answers_sent == 1


async def test_stream_has_its_turn_after_one_page_of_another(agent):
    pages = pages_of(agent)

    async def read_all(begin):
        while begin < NEWEST:
            begin = (await pages.events_after(begin)).next

    await asyncio.gather(read_all(0), read_all(1), read_all(2))
    assert agent.asked[:6] == [0, 1, 2, PAGE, 1 + PAGE, 2 + PAGE]


async def test_crowd_of_opening_streams_does_not_delay_another_user(agent):
    turns = AgentTurns(agent, 1, "streams of events", TooManyStreams)
    agent.answers.clear()
    crowd = AgentPages(agent, turns, "uid=1")
    reading = [asyncio.create_task(crowd.events_after(0)) for _ in range(50)]
    await until_asked(agent)
    other = asyncio.create_task(AgentPages(agent, turns, "uid=2").events_after(1))
    await asyncio.sleep(0)
    agent.answers.set()
    await asyncio.gather(other, *reading)
    assert agent.asked.index(1) <= 2


async def test_search_without_enough_events_reads_each_of_them_once(agent):
    assert await latest_events(agent.get_changes, NEWEST, 3, NONE) == []
    assert set(agent.sent) == set(range(1, NEWEST + 1))
    assert sum(agent.sent.values()) <= NEWEST + 3 * PAGE  # the rest of a page for each distance


async def test_stream_without_a_turn_in_time_is_503_before_its_first_byte(
    agent, streams, monkeypatch
):
    agent.answers.clear()
    first = asyncio.create_task(text_of(streams, after="now", tail=1, workload="none"))
    await until_asked(agent)
    monkeypatch.setattr(_agent_turns, "TURN_SECONDS", -agent.timeout)
    for query in ({"after": "now", "tail": 1}, {"after": 0}):
        with pytest.raises(TooManyStreams) as caught:
            await text_of(streams, **query)
        response = PROBLEMS[TooManyStreams](caught.value)
        assert (response.status, response.headers.get("retry-after")) == (503, "1")
        assert json.loads(response.body)["code"] == "too_many_streams"
    agent.answers.set()
    assert await first == b'{"index":40,"type":"heartbeat"}\n'


async def test_stream_without_a_turn_in_time_for_a_later_page_is_cut_off(
    agent, streams, monkeypatch
):
    request = Request("GET", "/events", Headers())
    response = await streams.get_events(request, EventQuery(after=0))
    pieces = aiter(response.body)
    assert (await anext(pieces)).count(b"\n") == PAGE
    agent.answers.clear()
    other = asyncio.create_task(text_of(streams, after=0))
    await until_asked(agent)
    monkeypatch.setattr(_agent_turns, "TURN_SECONDS", -agent.timeout)
    with pytest.raises(ResponseAborted, match="no more events from the agent"):
        await anext(pieces)
    agent.answers.set()
    await other


@pytest.mark.parametrize(
    "error",
    [AgentTimeout("late"), AgentError(ErrorReply(ErrorCode.COMPACTED, "compacted", oldest=9))],
)
async def test_turn_passes_on_after_a_page_that_failed_and_a_request_that_was_cancelled(
    agent, error
):
    pages = pages_of(agent)
    agent.error = error
    with pytest.raises(type(error)):
        await pages.events_after(0)
    agent.error = None
    agent.answers.clear()
    reading, waiting = (asyncio.create_task(pages.events_after(0)) for _ in range(2))
    last = asyncio.create_task(pages.events_after(0))
    await until_asked(agent)
    waiting.cancel()
    reading.cancel()
    await asyncio.wait([reading, waiting])
    agent.answers.set()
    assert (await last).next == PAGE


async def test_streams_that_waited_while_the_agent_did_not_answer_get_its_error(agent):
    pages = pages_of(agent)
    agent.answers.clear()
    agent.error = AgentTimeout("late")
    reading = [asyncio.create_task(pages.events_after(0)) for _ in range(3)]
    await until_asked(agent)
    agent.answers.set()
    errors = await asyncio.gather(*reading, return_exceptions=True)
    assert [(type(error), str(error)) for error in errors] == [(AgentTimeout, "late")] * 3
    assert len(agent.asked) == 1


async def test_stream_that_begins_to_wait_after_a_failure_asks_the_agent(agent):
    pages = pages_of(agent)
    later: list[asyncio.Task[Changes]] = []

    def read_later(_):
        agent.error = None
        later.append(asyncio.create_task(pages.events_after(0)))

    agent.answers.clear()
    agent.error = AgentTimeout("late")
    failing = [asyncio.create_task(pages.events_after(0)) for _ in range(4)]
    failing[0].add_done_callback(read_later)
    await until_asked(agent)
    agent.answers.set()
    await asyncio.wait(failing)
    assert (await later[0]).next == PAGE

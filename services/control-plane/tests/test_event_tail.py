"""The latest events before an index, found by asking for what follows an index."""

import pytest
from kakuri_control_plane._event_tail import MAX_COMPACTIONS, latest_events
from kakuri_control_plane._event_views import EventFilter
from kakuri_rpc import AgentError, Changes, ErrorCode, ErrorReply, State
from kakuri_workload import Event, EventType

ALL = EventFilter()


class Journal:
    """Events with some indexes up to 100, of which those after `oldest` are kept."""

    def __init__(self, *indexes, oldest=0, page=1000) -> None:
        self.indexes = indexes
        self.oldest = oldest
        self.page = page
        self.asked = []

    async def __call__(self, after):
        self.asked.append(after)
        if after < self.oldest:
            raise AgentError(ErrorReply(ErrorCode.COMPACTED, "compacted", oldest=self.oldest))
        found = [index for index in self.indexes if index > after][: self.page]
        events = [
            Event(index, 1.5, EventType.WORKLOAD, "odd" if index % 2 else "even", State.RUNNING)
            for index in found
        ]
        return Changes(events, found[-1] if len(found) == self.page else 100)


async def indexes(journal, index, count, admitted=ALL):
    return [each.index for each in await latest_events(journal, index, count, admitted)]


async def test_latest_events_with_dense_indexes_takes_one_request():
    journal = Journal(*range(1, 101))
    assert await indexes(journal, 100, 3) == [98, 99, 100]
    assert journal.asked == [97]


async def test_latest_events_after_the_index_are_left_out():
    assert await indexes(Journal(*range(1, 101)), 50, 3) == [48, 49, 50]


async def test_latest_events_with_sparse_indexes_searches_further_back():
    assert await indexes(Journal(3, 50, 90), 100, 2) == [50, 90]


async def test_latest_events_that_are_fewer_than_asked_are_all_returned():
    journal = Journal(3, 50, 90)
    assert await indexes(journal, 100, 10) == [3, 50, 90]
    assert journal.asked == [90, 60, 0]


@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_latest_events_on_several_pages_are_the_last_of_all(page):
    assert await indexes(Journal(1, 2, 3, 4, 5, page=page), 5, 4) == [2, 3, 4, 5]


async def test_latest_events_with_a_filter_counts_what_it_admits():
    journal = Journal(1, 2, 3, 4, 6, 8, 10)
    assert await indexes(journal, 10, 2, EventFilter(workload_id="odd")) == [1, 3]


async def test_latest_events_begin_with_the_oldest_that_is_kept():
    assert await indexes(Journal(*range(1, 101), oldest=95), 100, 50) == [96, 97, 98, 99, 100]


async def test_latest_events_with_a_count_of_zero_sends_no_request():
    journal = Journal(1, 2, 3)
    assert await indexes(journal, 3, 0) == []
    assert await indexes(journal, 0, 5) == []
    assert journal.asked == []


async def test_latest_events_dropped_faster_than_they_are_read_are_compacted():
    journal = Journal(*range(1, 101), oldest=20)

    async def drop_first(after):
        journal.oldest += 1
        return await journal(after)

    with pytest.raises(AgentError, match="compacted"):
        await latest_events(drop_first, 100, 99, ALL)
    assert len(journal.asked) == MAX_COMPACTIONS


@pytest.mark.parametrize("step", [0, 1])
async def test_latest_events_end_at_a_page_without_events(step):
    asked = []

    async def nothing(after):
        asked.append(after)
        return Changes([], after + step)

    assert await latest_events(nothing, 100, 5, ALL) == []
    assert asked == [95, 80, 20, 0]

import asyncio

import pytest
from kakuri_daemon import KeyedEvents, wait_until_set


async def test_set_wakes_the_tasks_of_its_key_only():
    events = KeyedEvents()
    with events.watch("a") as first, events.watch("a") as second, events.watch("b") as other:
        events.set("a")
        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
        events.set_all()
        assert other.is_set()


async def test_events_without_watchers_hold_nothing():
    events = KeyedEvents()
    events.set("a")
    events.set_all()
    with events.watch("a"):
        with pytest.raises(ZeroDivisionError), events.watch("a"):
            raise ZeroDivisionError
        assert events
    assert not events


async def test_wait_until_set_clears_the_event_and_reports_a_timeout():
    event = asyncio.Event()
    event.set()
    assert await wait_until_set(event, -1.0)
    assert not event.is_set()
    assert not await wait_until_set(event, 0.0)

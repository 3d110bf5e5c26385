"""An outage of the control plane, with a clock that only waiting moves."""

import time
from itertools import count, islice
from types import SimpleNamespace

import pytest
from kakuri import _outage
from kakuri._exits import NotFound, Unreachable
from kakuri._log_stream import follow_text
from kakuri._outage import OutageTracker
from kakuri._schemas import BAD_RESPONSE
from kakuri._watch import changes

LOST = Unreachable("refused", code="unreachable")


class Invocation:
    """Keeps what is printed."""

    def __init__(self):
        self.notes = []
        self.lost_count, self.lost_since = 0, 0.0

    def note(self, text, color):
        assert color == "yellow"
        self.notes.append(text)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_outage, "now_clock", lambda: "12:00:00")
    return now


@pytest.fixture
def tracker(clock):
    """Return a tracker of outages, what it prints, and its waits, which move the clock."""
    invocation, waits = Invocation(), []

    def sleep(seconds):
        waits.append(seconds)
        clock[0] += seconds

    return OutageTracker(invocation, "here", sleep), invocation.notes, waits


def test_waits_between_attempts_double_up_to_two_seconds_and_begin_anew_after_the_outage(
    tracker, clock
):
    tracker, notes, waits = tracker
    for _ in range(7):
        tracker.attempt_failed(LOST)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert notes == ["12:00:00 lost here, trying again: refused"]
    tracker.response_began()
    assert notes[1:] == ["12:00:00 here is back after 7.1 s"]
    tracker.response_began()
    clock[0] += 10
    tracker.attempt_failed(LOST)
    assert waits[7:] == [0.1]
    assert notes[2:] == ["12:00:00 lost here, trying again: refused"]


def test_outage_of_more_than_five_minutes_ends_with_the_last_error(tracker, clock):
    tracker, notes, waits = tracker
    tracker.attempt_failed(LOST)
    clock[0] = 400.0
    tracker.attempt_failed(LOST)
    clock[0] = 400.1
    last = Unreachable("still refused", code="unreachable")
    with pytest.raises(Unreachable) as caught:
        tracker.attempt_failed(last)
    assert caught.value is last
    assert (len(notes), len(waits)) == (1, 2)


def test_responses_that_break_off_at_once_are_one_outage(tracker, clock):
    tracker, notes, waits = tracker
    for _ in range(7):
        tracker.attempt_failed(LOST)
        tracker.response_began()
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert notes[-2:] == ["12:00:00 lost here, trying again: refused",
                          "12:00:00 here is back after 7.1 s"]  # fmt: skip
    clock[0] += 9.9
    tracker.attempt_failed(LOST)
    assert waits[7:] == [2.0]
    tracker.response_began()
    clock[0] = 400.1
    tracker.attempt_failed(LOST)
    assert waits[8:] == [0.1]


def test_responses_that_break_off_for_five_minutes_end_with_the_last_error(tracker, clock):
    tracker, _, _ = tracker

    def flap():
        for _ in range(1000):
            tracker.attempt_failed(LOST)
            tracker.response_began()

    with pytest.raises(Unreachable):
        flap()
    assert 400 < clock[0] < 403


def test_response_that_breaks_off_after_a_long_outage_does_not_end_the_command(tracker, clock):
    tracker, _, waits = tracker
    tracker.attempt_failed(LOST)
    clock[0] = 399.0
    tracker.response_began()
    clock[0] = 404.0
    tracker.attempt_failed(LOST)
    clock[0] = 699.0
    tracker.attempt_failed(LOST)
    assert len(waits) == 3
    with pytest.raises(Unreachable):
        tracker.attempt_failed(LOST)


def test_failure_after_a_complete_response_is_a_new_outage(tracker, clock):
    tracker, notes, waits = tracker
    tracker.attempt_failed(LOST)
    clock[0] = 399.0
    tracker.response_completed()
    clock[0] = 401.0
    tracker.attempt_failed(LOST)
    assert waits == [0.1, 0.1]
    assert len(notes) == 3


def test_response_without_an_outage_prints_nothing(tracker):
    tracker, notes, waits = tracker
    tracker.response_began()
    assert (notes, waits) == ([], [])


def test_polling_continues_if_every_other_poll_fails_for_ten_minutes(clock, monkeypatch):
    answers = count()

    class API:
        name = "here"

        def get(self, *_, wait):
            clock[0] += 3
            number = next(answers)
            if number % 2:
                raise LOST
            return SimpleNamespace(document={"version": number, "state": "pending"})

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(OutageTracker.__init__, "__defaults__", (lambda seconds: None,))
    found = list(islice(changes(Invocation(), API(), "a"), 100))
    assert clock[0] > 600
    assert [each["version"] for each in found] == list(range(0, 200, 2))


def test_outage_of_several_requests_is_reported_once(clock):
    invocation = Invocation()
    trackers = [OutageTracker(invocation, "here", lambda _: None) for _ in range(3)]
    for _ in range(2):
        for each in trackers:
            each.attempt_failed(LOST)
        clock[0] += 2
        for each in trackers:
            each.response_completed()
    report = ["12:00:00 lost here, trying again: refused", "12:00:00 here is back after 2 s"]
    assert invocation.notes == report * 2


def test_outage_lasts_until_every_request_succeeds(clock):
    invocation = Invocation()
    first, second, third = (OutageTracker(invocation, "here", lambda _: None) for _ in range(3))
    for each in (first, second, third):
        each.attempt_failed(LOST)
        clock[0] += 1
    first.response_completed()
    second.response_began()
    third.attempt_failed(LOST)
    second.attempt_failed(LOST)
    third.response_completed()
    assert invocation.notes == ["12:00:00 lost here, trying again: refused"]
    second.response_began()
    assert invocation.notes[1:] == ["12:00:00 here is back after 3 s"]
    assert invocation.lost_count == 0


@pytest.mark.parametrize("code", ["unreachable", BAD_RESPONSE])
def test_request_that_is_given_up_does_not_prolong_an_outage(clock, code):
    invocation = Invocation()
    trackers = [OutageTracker(invocation, "here", lambda _: None) for _ in range(2)]
    for each in trackers:
        each.attempt_failed(LOST)
    clock[0] += 301
    with pytest.raises(Unreachable):
        trackers[0].attempt_failed(Unreachable("no", code=code))
    assert invocation.lost_count == 1
    trackers[1].response_completed()
    assert invocation.notes[1:] == ["12:00:00 here is back after 301 s"]


@pytest.mark.parametrize("follow", [changes, follow_text])
def test_refusal_after_an_outage_ends_it(clock, follow):
    answers = iter([LOST, NotFound("no such workload")])

    class API:
        name = "here"

        def get(self, *_, **_2):
            raise next(answers)

        stream = get

    invocation = Invocation()
    rest = [[]] if follow is follow_text else []
    with pytest.raises(NotFound):
        next(follow(invocation, API(), "a", *rest, is_known=True))
    assert invocation.notes == [
        "12:00:00 lost here, trying again: refused", "12:00:00 here is back after 0.00 s",
    ]  # fmt: skip


def test_poll_after_an_outage_waits_one_second(clock, monkeypatch):
    waits = []

    class API:
        name = "here"

        def get(self, _path, params, wait):
            waits.append((dict(params).get("wait"), wait))
            if len(waits) == 2:
                raise LOST
            return SimpleNamespace(document={"id": "a", "state": "running", "version": len(waits)})

    monkeypatch.setattr(time, "sleep", lambda _: None)
    list(islice(changes(Invocation(), API(), "a"), 3))
    assert waits == [(None, 30), ("30", 30), ("1", 1), ("30", 30)]

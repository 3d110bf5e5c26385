"""The deadlines of a server's connection at their edges, by a clock that the test sets."""

from types import SimpleNamespace

import pytest
from kakuri_http import LimitExceeded, Limits
from kakuri_http.core._states import State
from kakuri_http.server._deadlines import Deadlines, HalfClosedTooLong

LIMITS = Limits(head_timeout=10, body_timeout=20, body_rate=1024, half_closed_timeout=3)


class Clocked:
    """Deadlines of a connection that began at 100 s, and the connection's core."""

    def __init__(self, **core):
        self.core = SimpleNamespace(
            **{"exchanges": 0, "request_state": State.IDLE, "head_has_begun": False}
            | {"content_received": 0}
            | core
        )
        self.deadlines = Deadlines(LIMITS, 100.0)

    def at(self, seconds, *, is_reading=True, is_half_closed=False, is_busy=False):
        """Return what is overdue: the name of a limit, "half closed", or None."""
        overdue = self.deadlines.check(
            100.0 + seconds,
            self.core,
            is_reading=is_reading,
            is_half_closed=is_half_closed,
            is_busy=is_busy,
        )
        if isinstance(overdue, LimitExceeded):
            assert (overdue.status, overdue.code) == (408, "request_timeout")
            return overdue.limit
        return "half closed" if isinstance(overdue, HalfClosedTooLong) else overdue


def test_head_is_overdue_ten_seconds_after_the_check_that_found_it_begun():
    connection = Clocked(head_has_begun=True)
    assert [connection.at(second) for second in (5, 14.9, 15)] == [None, None, "head_timeout"]


def test_head_that_has_not_begun_is_not_overdue():
    connection = Clocked()
    assert connection.at(1000) is None
    connection.core.head_has_begun = True
    assert [connection.at(second) for second in (1001, 1010.9)] == [None, None]


@pytest.mark.parametrize("state", [State.DONE, State.CLOSED, State.BODY])
def test_head_is_not_overdue_in_another_state(state):
    connection = Clocked(request_state=state, head_has_begun=True)
    assert [connection.at(second) for second in (0, 15)] == [None, None]


def test_head_of_the_next_exchange_has_its_own_time():
    connection = Clocked(head_has_begun=True)
    assert connection.at(0) is None
    connection.core.exchanges = 1
    assert [connection.at(second) for second in (9, 18.9, 19)] == [None, None, "head_timeout"]


@pytest.mark.parametrize(("received", "seconds"), [(0, 20), (1024, 21), (10_240, 30)])
def test_content_is_overdue_after_its_timeout_and_the_time_that_its_rate_allows(received, seconds):
    connection = Clocked(request_state=State.BODY, content_received=received)
    expected = [None, None, "body_timeout"]
    assert [connection.at(second) for second in (1, seconds - 0.1, seconds)] == expected


def test_content_has_no_time_while_the_server_does_not_read():
    connection = Clocked(request_state=State.BODY)
    assert connection.at(15) is None
    assert connection.at(1000, is_reading=False) is None
    assert [connection.at(second) for second in (1004.9, 1005)] == [None, "body_timeout"]


def test_content_of_the_next_exchange_has_its_own_time():
    connection = Clocked(request_state=State.BODY)
    assert connection.at(15) is None
    connection.core.exchanges = 1
    assert [connection.at(second) for second in (16, 34.9, 35)] == [None, None, "body_timeout"]


def test_handler_of_a_half_closed_connection_has_three_seconds():
    connection = Clocked(request_state=State.DONE)
    for second, expected in ((5, None), (7.9, None), (8, "half closed")):
        assert connection.at(second, is_half_closed=True, is_busy=True) == expected
    for second in (5, 100):
        assert Clocked().at(second, is_half_closed=True) is None
        assert Clocked().at(second, is_busy=True) is None


NAMES = [
    "idle_timeout", "write_timeout", "linger_timeout", "head_timeout", "body_timeout",
    "half_closed_timeout",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shortest", "interval"), [(0.08, 0.01), (0.01, 0.01), (0.16, 0.02), (4, 0.5), (8, 1), (80, 1)]
)
def test_sweep_interval_is_an_eighth_of_the_shortest_timeout(name, shortest, interval):
    limits = Limits(**dict.fromkeys(NAMES, 100.0) | {name: shortest})
    assert limits.sweep_interval == pytest.approx(interval)

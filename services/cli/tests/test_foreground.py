"""A workload in the foreground, driven step by step without threads and signals."""

import errno
import io
import queue
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from kakuri import _foreground as foreground
from kakuri._exits import CommandError, Exit, NotFound, Unreachable
from kakuri._foreground import Foreground

JOB = {"id": "job", "image": "busybox\x1b"}
START, END = "2026-11-26T14:01:05Z", "2026-11-26T14:01:09.5Z"
LOST = Unreachable("lost", code="no_answer")


class Progress:
    """Keeps what is printed."""

    def __init__(self, _invocation, _name):
        self.shown = []

    def __getattr__(self, kind):
        return lambda *text: self.shown.append((kind, *text))


class API:
    """Raises an error or returns a document; a context manager of itself."""

    def __init__(self, result=None):
        self.result = result

    def clone(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def request(self, *_arguments, **_options):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def follower(monkeypatch, clock):
    """Return a function that makes one, which records the threads it would start."""
    monkeypatch.setattr(foreground, "Progress", Progress)

    def make(api=None, *, grace=10.0, timeout=None, remove_at_end=False):
        invocation = SimpleNamespace(lost_count=0)
        made = Foreground(invocation, api or API(), JOB, grace=grace, timeout=timeout,
                          remove_at_end=remove_at_end)  # fmt: skip
        made.started = []
        monkeypatch.setattr(made, "_start", lambda target, *rest: made.started.append(
            (target.__name__, *rest)))  # fmt: skip
        return made

    return make


def lines(made):
    return [rest[0] for kind, *rest in made._progress.shown if kind == "line"]


def queued(made):
    return made._queue.get_nowait()


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"state": "pending"}, [("change", "pending")]),
        ({"state": "pending", "reason": "Starting"}, [("change", "pending  Starting")]),
        ({"state": "pending", "reason": "BackOff\x1b", "message": "m\x1b"},
         [("change", "pending  BackOff\\x1b: m\\x1b")]),
        ({"state": "pending", "message": "m"}, [("change", "pending: m")]),
        ({"state": "pending", "reason": "Pulling"},
         [("change", "pulling busybox\\x1b"), ("detail", "")]),
        ({"state": "pending", "reason": "Pulling", "pulled_bytes": 2_149_999},
         [("change", "pulling busybox\\x1b"), ("detail", "about 2.1 MB")]),
        ({"state": "running"}, [("change", "running")]),
        ({"state": "running", "reason": "StopFailed", "message": "m"},
         [("change", "running  StopFailed: m")]),
        ({"state": "running", "address": "10.0.0.2"}, [("change", "running at 10.0.0.2")]),
    ],
)  # fmt: skip
def test_state_is_shown_in_one_step(follower, document, shown):
    made = follower()
    assert made._show_state(document) is False
    assert made._progress.shown == shown


@pytest.mark.parametrize(
    ("document", "is_read"),
    [
        ({"state": "running"}, True), ({"state": "pending"}, False),
        ({"state": "pending", "started_at": START}, True), ({"state": "failed"}, False),
        ({"state": "failed", "started_at": START}, True),
    ],
)  # fmt: skip
def test_output_is_read_once_there_may_be_some(follower, document, is_read):
    made = follower()
    for _ in range(2):
        made._show_state(document)
    streams = [("_read_output", "stdout"), ("_read_output", "stderr")]
    assert made.started == (streams if is_read else [])


@pytest.mark.parametrize("restart_at", [None, END])
def test_workload_that_restarts_has_not_ended(follower, restart_at):
    document = {"state": "failed", "restart_at": restart_at}
    assert follower()._show_state(document) is (restart_at is None)


def test_interrupts_stop_then_kill_then_leave_the_workload(follower):
    made = follower(grace=7.0)
    made._handle("signal", signal.SIGINT)
    assert (made.started, made._grace_of_stop) == ([("_stop",)], 7.0)
    made._handle("signal", signal.SIGTERM)
    assert (made.started, made._grace_of_stop) == ([("_stop",)] * 2, 0.0)
    with pytest.raises(KeyboardInterrupt):
        made._handle("signal", signal.SIGINT)
    assert lines(made) == [
        "stopping, with 7 s to end by itself; Ctrl-C again kills it",
        "killing it; Ctrl-C again leaves it as it is",
        "left as it is; to follow it: kakuri logs -f job; to remove it: kakuri rm job",
    ]


class Outage(API):
    """Raises errors or returns documents, one after the other; keeps the stops."""

    def __init__(self, *documents, posts=()):
        super().__init__()
        self.documents, self.posts, self.stops = list(documents), list(posts), []

    def get(self, _path):
        document = self.documents.pop(0)
        if isinstance(document, BaseException):
            raise document
        return SimpleNamespace(document=document)

    def request(self, _method, path, *, body, **_options):
        self.stops.append((path, body))
        if self.posts and (error := self.posts.pop(0)):
            raise error


STOP = ("/workloads/job/stop", b'{"grace_seconds":10}')
STOPPING = ("note", "has not ended after 2 s: stopping it")
RETRYING = ("note", "it could not be stopped, trying again: lost")


@pytest.mark.parametrize("end", [None, {"state": "failed"}, NotFound("no")])
def test_timeout_stops_the_workload_unless_it_has_ended(follower, clock, monkeypatch, end):
    def changes(*_, is_known):
        if isinstance(end, NotFound):
            raise end
        yield end or {"state": "running"}

    waits = []
    monkeypatch.setattr(foreground, "changes", changes)
    api = Outage({"state": "running"})
    made = follower(api, timeout=2.0)
    made._read_changes()  # what it reads is not printed, as if a reader of the output were slow
    queued(made)
    wait = made._has_ended.wait
    made._has_ended.wait = lambda seconds: waits.append(seconds) or wait(0)
    clock[0] += 0.5
    made._stop_after(2.0)
    assert waits == [1.5]
    if end is None:
        assert (api.stops, made._has_timed_out) == ([STOP], True)
        assert queued(made) == STOPPING
    else:
        assert (api.stops, made._has_timed_out, made._queue.empty()) == ([], False, True)


@pytest.mark.parametrize(
    ("documents", "posts", "stops", "has_timed_out", "notes"),
    [
        ([LOST, LOST, {"state": "running"}], [], 1, True, [RETRYING, STOPPING]),
        ([{"state": "running"}], [LOST, LOST], 3, True, [STOPPING, RETRYING]),
        ([LOST, {"state": "failed"}], [], 0, False, [RETRYING]),
        ([LOST, NotFound("no")], [], 0, False, [RETRYING]),
    ],
)
def test_timeout_in_an_outage_stops_the_workload_after_it_unless_it_has_ended(
    follower, documents, posts, stops, has_timed_out, notes
):
    api = Outage(*documents, posts=posts)
    made = follower(api, timeout=2.0)
    made._has_ended.wait = lambda _seconds: False
    made._stop_after(2.0)
    assert (api.stops, made._has_timed_out) == ([STOP] * stops, has_timed_out)
    assert [queued(made) for _ in notes] == notes
    assert made._queue.empty()


def test_interrupt_in_an_outage_stops_the_workload_after_it(follower):
    def wait(_seconds):
        if len(api.stops) == 2:
            made._handle("signal", signal.SIGINT)
            made._handle("signal", signal.SIGINT)  # kills it
        return False

    api = Outage(posts=[LOST, LOST])
    made = follower(api)
    made._has_ended.wait = wait
    made._stop()
    assert api.stops == [STOP, STOP, ("/workloads/job/stop", b'{"grace_seconds":0}')]
    assert (queued(made), made._queue.empty()) == (RETRYING, True)


def test_timeout_whose_stop_has_an_invalid_response_reports_it_once(follower):
    invalid = Unreachable("not the API", code="bad_answer")
    api = Outage({"state": "running"}, posts=[invalid])
    made = follower(api, timeout=2.0)
    made._has_ended.wait = lambda _seconds: False
    made._stop_after(2.0)
    notes = [STOPPING, ("note", "it could not be stopped: not the API")]
    assert [queued(made) for _ in notes] == notes
    assert (len(api.stops), made._queue.empty()) == (1, True)


def test_timeout_in_an_outage_that_lasts_too_long_is_given_up(follower):
    api = Outage(LOST)
    made = follower(api, timeout=2.0)
    waits = iter([False, True])

    def wait(_seconds):
        if is_over := next(waits):
            made._has_ended.set()
        return is_over

    made._has_ended.wait = wait
    made._stop_after(2.0)
    assert (api.documents, api.stops) == ([], [])


def test_timeout_after_the_end_of_following_is_ignored(follower, monkeypatch):
    monkeypatch.setattr(foreground, "first_node", lambda _: {})
    made = follower(timeout=2.0)
    made._queue.put(("state", {"state": "failed", "exit_code": 3}))
    assert made.follow() == 3
    assert made.started == [("_read_changes",), ("_stop_after", 2.0)]
    made._stop_after(2.0)
    assert made._has_timed_out is False


def test_progress_is_redrawn_twice_a_second_while_nothing_happens(follower):
    class Empty:
        def get(self, *, timeout):
            waits.append(timeout)
            raise queue.Empty

    waits = []
    made = follower()
    made._queue = Empty()
    assert made._next() == ("tick", None)
    assert (made._progress.shown, waits) == ([("redraw",)], [0.5])


def test_output_that_cannot_be_read_and_notes_are_lines_and_errors_are_raised(follower):
    made = follower()
    made._open_streams = 2
    made._handle("end", None)
    made._handle("end", LOST)
    made._handle("note", "it could not be stopped: no")
    assert made._open_streams == 0
    assert lines(made) == ["output can't be read: lost", "it could not be stopped: no"]
    with pytest.raises(Unreachable):
        made._handle("error", LOST)
    left = "left as it is; to follow it: kakuri logs -f job; to remove it: kakuri rm job"
    assert lines(made)[2:] == [left]


def test_output_is_drained_until_nothing_arrives_for_ten_seconds(follower, clock, monkeypatch):
    made = follower()
    made._last = {"state": "failed", "started_at": START}
    moments = iter([103.0, 162.9, 222.0, 222.9])
    handled = []

    def take():
        clock[0] = moment = next(moments)
        return ("stdout" if moment < 200 else "tick", moment)

    def handle(kind, item):
        handled.append((kind, item))
        clock[0] += 50  # the reader of the output is slow

    monkeypatch.setattr(made, "_next", take)
    monkeypatch.setattr(made, "_handle", handle)
    message = (
        "the output is incomplete, nothing arrived for 10 s; to read the rest: kakuri logs job"
    )
    with pytest.raises(CommandError, match=message) as caught:
        made._drain()
    assert caught.value.exit_code == Exit.NOT_RUN
    assert handled == [("stdout", 103.0), ("stdout", 162.9)]
    assert made.started == [("_read_output", "stdout"), ("_read_output", "stderr")]


def test_outage_while_the_output_is_drained_does_not_count(follower, clock, monkeypatch):
    made = follower()
    made._last = {"state": "failed", "started_at": START}
    moments = iter([(105.0, 2), (399.0, 2), (400.0, 0), (408.9, 0)])

    def take():
        clock[0], made._invocation.lost_count = next(moments, (409.0, 0))
        return "tick", None

    monkeypatch.setattr(made, "_next", take)
    with pytest.raises(CommandError, match="nothing arrived for 10 s"):
        made._drain()
    assert next(moments, None) is None


def test_signal_while_the_output_of_an_ended_workload_is_drained_ends_the_command(follower):
    made = follower()
    made._last = {"state": "succeeded", "started_at": START}
    made._queue.put(("signal", signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        made._drain()
    assert lines(made)[0].startswith("left as it is; to follow it: kakuri logs -f job")


def test_draining_ends_with_both_streams_and_ignores_states(follower):
    made = follower()
    made._last = {"state": "failed", "started_at": START}
    for item in (("state", None), ("tick", None), ("end", None), ("end", None), ("note", "x")):
        made._queue.put(item)
    made._drain()
    assert queued(made) == ("note", "x")


def test_workload_that_never_ran_has_no_output_to_drain(follower):
    made = follower()
    made._last = {"state": "failed"}
    made._drain()
    assert made.started == []


@pytest.mark.parametrize(
    ("document", "line", "code"),
    [
        (None, "was removed by another client, and nothing is kept of it", 125),
        ({"state": "succeeded", "exit_code": 0}, "ended: exit code 0", 0),
        ({"state": "failed", "exit_code": 3, "started_at": START, "ended_at": END},
         "ended: exit code 3 after 4.5 s", 3),
        ({"state": "failed", "exit_code": 3, "started_at": END, "ended_at": START},
         "ended: exit code 3 after 0.00 s", 3),
        ({"state": "failed", "exit_code": 3, "started_at": START}, "ended: exit code 3", 3),
        ({"state": "failed", "reason": "ImagePullFailed", "message": "m\x1b"},
         "ended: failed (ImagePullFailed): m\\x1b", 125),
        ({"state": "failed", "reason": "StartError", "exit_code": 128},
         "ended: exit code 128 (StartError)", 125),
        ({"state": "failed", "reason": "RuntimeUnavailable", "exit_code": 1},
         "ended: exit code 1 (RuntimeUnavailable)", 125),
        ({"state": "failed", "reason": "Error", "exit_code": 1},
         "ended: exit code 1 (Error)", 1),
    ],
)  # fmt: skip
def test_end_is_one_line_and_decides_about_the_exit_code(follower, document, line, code):
    made = follower()
    made._last = document
    assert made._finish() == code
    assert lines(made) == [line]


def test_end_after_the_timeout_has_its_exit_code(follower):
    made = follower()
    made._last = {"state": "failed", "exit_code": 143}
    made._has_timed_out = True
    assert made._finish() == 124


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (SimpleNamespace(status=200, document={"removed": {"zone": "z"}}), "removed: zone z gone"),
        (NotFound("no"), "removed"),
        (CommandError("why", Exit.CONFLICT), "it could not be removed: why"),
    ],
)
def test_removal_at_the_end_is_part_of_its_line(follower, monkeypatch, result, text):
    asked = []

    def delete(_api, workload_id, *, grace):
        asked.append((workload_id, grace))
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(foreground, "delete", delete)
    made = follower(grace=7.0, remove_at_end=True)
    made._last = {"state": "failed", "exit_code": 3}
    assert made._finish() == 3
    assert lines(made) == [f"ended: exit code 3; {text}"]
    assert asked == [("job", 7.0)]
    made._last |= {"removed_at": END}
    made._finish()
    assert len(asked) == 1


def test_workload_that_is_removed_meanwhile_ends_with_what_is_kept(follower, monkeypatch):
    kept = {"state": "failed", "removed_at": END}
    monkeypatch.setattr(foreground, "removed_document", lambda _api, workload_id: kept)
    made = follower()
    made._queue.put(("state", None))
    made._follow_to_end()
    assert made._last is kept


# What the threads put into the queue


@pytest.mark.parametrize(
    ("error", "item"),
    [(NotFound("no"), ("state", None)), (LOST, ("error", LOST)),
     (KeyboardInterrupt(), None)],
)  # fmt: skip
def test_changes_that_end_with_an_error_are_reported(follower, monkeypatch, error, item):
    def changes(*_, is_known):
        yield {"state": "running"}
        raise error

    monkeypatch.setattr(foreground, "changes", changes)
    made = follower()
    made._read_changes()
    assert queued(made) == ("state", {"state": "running"})
    assert queued(made) == (item or ("error", error))


@pytest.mark.parametrize("last", [{"state": "failed"}, None])
def test_changes_are_read_until_the_end(follower, monkeypatch, last):
    documents = [{"state": "failed", "restart_at": END}, last, {"state": "running"}]
    monkeypatch.setattr(foreground, "changes", lambda *_, is_known: iter(documents))
    made = follower()
    made._read_changes()
    assert [queued(made), queued(made)] == [("state", each) for each in documents[:2]]
    assert made._queue.empty()


@pytest.mark.parametrize(
    ("error", "item"),
    [(None, ("end", None)), (LOST, ("end", LOST)), (ValueError("bug"), None)],
)
def test_output_that_ends_is_reported(follower, monkeypatch, error, item):
    def follow_text(_invocation, _api, workload_id, params, *, is_known):
        assert (workload_id, dict(params)) == ("job", {"stream": "stderr", "follow": "true"})
        yield b"one\n"
        if error is not None:
            raise error

    monkeypatch.setattr(foreground, "follow_text", follow_text)
    made = follower()
    made._read_output("stderr")
    assert queued(made) == ("stderr", b"one\n")
    assert queued(made) == (item or ("error", error))


def test_output_waits_while_a_thousand_lines_are_not_printed(follower):
    made = follower()
    assert sum(made._room.acquire(blocking=False) for _ in range(1001)) == 1000


@pytest.mark.parametrize(
    ("error", "item"),
    [
        (None, None), (NotFound("no"), None),
        (CommandError("no", Exit.USAGE, code="no"), ("note", "it could not be stopped: no")),
        (ValueError("bug"), "error"),
    ],
)  # fmt: skip
def test_stop_that_fails_is_reported(follower, monkeypatch, error, item):
    asked = []

    def post(_api, workload_id, action, *, grace):
        asked.append((workload_id, action, grace))
        if error is not None:
            raise error

    monkeypatch.setattr(foreground, "post", post)
    made = follower(grace=3.0)
    made._stop()
    assert asked == [("job", "stop", 3.0)]
    if item is None:
        assert made._queue.empty()
    else:
        assert queued(made) == (("error", error) if item == "error" else item)


def test_signals_are_handled_while_the_workload_is_followed_and_no_longer(follower):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    made = follower()
    with made._handled_signals():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        assert [queued(made), queued(made)] == [
            ("signal", signal.SIGINT), ("signal", signal.SIGTERM),
        ]  # fmt: skip
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_is_flushed_in_order_and_frees_its_slot(follower, monkeypatch, name):
    following = follower()
    stream = io.TextIOWrapper(io.BufferedWriter(raw := io.BytesIO()))
    stream.write("earlier ")
    monkeypatch.setattr(sys, name, stream)
    for _ in range(foreground.MAX_WAITING):
        following._room.acquire()
    following._handle(name, b"now")
    assert raw.getvalue() == b"earlier now"
    assert following._room.acquire(blocking=False)
    assert following._progress.shown == [("clear",)]


def failing(monkeypatch, error):
    class Raw(io.RawIOBase):
        def writable(self):
            return True

        def fileno(self):
            return 99

        def write(self, data):
            if errors:
                raise errors.pop()
            return len(data)

    errors = [error]  # once, because the stream is flushed again when it is released
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Raw())))


@pytest.mark.parametrize("has_ended", [False, True])
def test_reader_that_closes_the_output_stops_the_workload(follower, monkeypatch, has_ended):
    discarded = []
    monkeypatch.setattr(foreground, "discard_output", discarded.append)
    failing(monkeypatch, BrokenPipeError())
    following = follower()
    following._last = {"id": "job", "state": "succeeded" if has_ended else "running"}
    following._handle("stdout", b"first")
    following._handle("stderr", b"is not printed")
    assert discarded == [99]
    if has_ended:
        assert (following.started, lines(following)) == ([], [])
    else:
        assert following.started == [("_stop",)]
        assert lines(following)[0].startswith("stopping (SIGPIPE), with 10 s to end by itself")
    following._last = {"id": "job", "state": "succeeded", "exit_code": 0}
    assert following._finish() == Exit.CLOSED_PIPE


def test_thread_that_cannot_be_started_leaves_the_workload(follower, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(foreground.threading.Thread, "start", refuse)
    following = follower()
    with pytest.raises(
        CommandError, match="job can't be followed: can't start new thread"
    ) as caught:
        Foreground._start(following, following._read_changes)
    assert caught.value.exit_code == Exit.NOT_RUN
    assert lines(following)[0].startswith("left as it is; to follow it: kakuri logs -f job")


def test_output_that_cannot_be_written_leaves_the_workload(follower, monkeypatch):
    discarded = []
    monkeypatch.setattr(foreground, "discard_output", discarded.append)
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    following = follower()
    with pytest.raises(CommandError, match="can't be written: No space left") as caught:
        following._handle("stdout", b"first")
    assert caught.value.exit_code == Exit.NOT_RUN
    assert (discarded, following.started) == ([99], [])
    assert lines(following)[0].startswith("left as it is; to follow it: kakuri logs -f job")

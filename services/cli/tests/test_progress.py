"""Progress of one workload, on a terminal and elsewhere."""

import time

import pytest
from kakuri import _progress
from kakuri._progress import Progress


class Invocation:
    """Prints to a list, with or without a terminal."""

    def __init__(self, *, is_live):
        self._is_live = is_live
        self.notes = []

    def is_live(self, stream):
        return self._is_live

    def styled(self, text, style, stream):
        return text

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_progress, "now_clock", lambda: "12:00:00")
    monkeypatch.setattr(_progress, "width_of", lambda stream: 24)
    return now


def test_steps_are_lines_without_a_terminal(clock, capsys):
    invocation = Invocation(is_live=False)
    progress = Progress(invocation, "web")
    progress.change("Pulling")
    progress.change("Pulling")
    progress.redraw()
    progress.change("Running")
    progress.line("done")
    assert invocation.notes == [
        "12:00:00 web  Pulling", "12:00:00 web  Running", "12:00:00 web  done"
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_detail_of_a_step_is_shown_on_a_terminal_alone_until_the_next_step(clock, capsys):
    for is_live, expected in (
        (False, ""),
        (True, "\r\x1b[Kweb  Pull\r\x1b[Kweb  Pull   2 MB\r\x1b[Kweb  Run"),
    ):
        progress = Progress(Invocation(is_live=is_live), "web")
        progress.change("Pull")
        progress.detail("2 MB")
        progress.change("Run")
        assert capsys.readouterr().err == expected


def test_step_is_redrawn_with_its_time_on_a_terminal_and_removed(clock, capsys):
    invocation = Invocation(is_live=True)
    progress = Progress(invocation, "web")
    progress.redraw()
    progress.change("Pulling")
    clock[0] += 5
    progress.redraw()
    progress.change("a step that is longer than the terminal is wide")
    progress.line("done")
    progress.clear()
    assert capsys.readouterr().err == (
        "\r\x1b[Kweb  Pulling\r\x1b[Kweb  Pulling   5 s\r\x1b[Kweb  a step that is lo…\r\x1b[K"
    )
    assert invocation.notes == ["web  done"]


@pytest.mark.parametrize(("seconds", "time_text"), [(0.99, ""), (1.0, "   1 s")])
def test_time_of_a_step_is_shown_after_a_second(clock, capsys, seconds, time_text):
    progress = Progress(Invocation(is_live=True), "a")
    progress.change("b")
    capsys.readouterr()
    clock[0] += seconds
    progress.redraw()
    assert capsys.readouterr().err == f"\r\x1b[Ka  b{time_text}"


@pytest.mark.parametrize(("length", "is_cut"), [(20, False), (21, True)])
def test_step_leaves_the_last_column_free(clock, capsys, length, is_cut):
    Progress(Invocation(is_live=True), "a").change("b" * length)
    shown = "a  " + ("b" * 19 + "…" if is_cut else "b" * 20)
    assert capsys.readouterr().err == f"\r\x1b[K{shown}"


def test_step_on_a_terminal_of_unknown_width_has_80_columns(clock, capsys, monkeypatch):
    monkeypatch.setattr(_progress, "width_of", lambda stream: None)
    Progress(Invocation(is_live=True), "a").change("b" * 100)
    assert len(capsys.readouterr().err) == len("\r\x1b[K") + 79


def test_cleared_step_is_shown_again_when_it_is_repeated(clock, capsys):
    progress = Progress(Invocation(is_live=True), "a")
    progress.change("b")
    progress.clear()
    progress.redraw()
    progress.change("b")
    assert capsys.readouterr().err == "\r\x1b[Ka  b\r\x1b[K\r\x1b[Ka  b"


def test_step_begins_to_take_time_when_it_changes(clock, capsys):
    progress = Progress(Invocation(is_live=True), "a")
    clock[0] += 9
    progress.change("b")
    clock[0] += 2
    progress.redraw()
    assert capsys.readouterr().err.endswith("a  b   2 s")

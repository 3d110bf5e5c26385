import os
import signal
import sys
import time

from tools import side_by_side


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_output_of_each_command_is_printed_whole(capsys):
    chatty = "import sys\nfor n in range(500): print(n, flush=True); print('e', file=sys.stderr)"
    failed = side_by_side.Running({"first": python(chatty), "second": python(chatty)}).wait()
    assert not failed
    parts = capsys.readouterr().out.split("--- ")[1:]
    assert sorted(part.split(":")[0] for part in parts) == ["first", "second"]
    assert all(len(part.split()) > 1000 for part in parts)


def test_last_lines_of_commands_that_fail_are_returned_after_all_have_ended(capsys):
    bad = "for n in range(500): print(n)\nraise SystemExit(3)"
    commands = {"bad": python(bad), "good": python("print('fine')")}
    last = range(500 - side_by_side.LAST_LINES, 500)
    assert side_by_side.Running(commands, at_once=1).wait() == {"bad": "\n".join(map(str, last))}
    shown = capsys.readouterr().out
    assert "--- bad: failed with status 3 in" in shown
    assert "fine" in shown


def test_commands_run_before_they_are_waited_for(tmp_path, capsys):
    made = tmp_path / "made"
    running = side_by_side.Running({"first": python(f"open({str(made)!r}, 'w'); print('fine')")})
    deadline = time.monotonic() + 60
    while not made.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert capsys.readouterr().out == ""
    assert running.wait() == {}
    assert "fine" in capsys.readouterr().out


def test_command_that_does_not_end_is_ended_and_what_it_wrote_is_printed(capsys):
    hanging = python("import time; print('began', flush=True); time.sleep(600)")
    running = side_by_side.Running({"hanging": hanging, "good": python("")}, 2, max_seconds=1)
    assert running.wait() == {"hanging": "began"}
    shown = capsys.readouterr().out
    assert "--- hanging: did not end within 1 s\nbegan\n" in shown


def test_command_that_ignores_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(side_by_side, "TERM_GRACE_SECONDS", 0.1)
    ignoring = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    assert side_by_side.Running({"it": python(ignoring)}, max_seconds=1).wait() == {"it": ""}


def test_process_that_holds_the_output_of_an_ended_command_is_not_waited_for(capsys):
    leaving = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    assert side_by_side.Running({"leaving": python(leaving)}).wait() == {}
    os.kill(int(capsys.readouterr().out.split()[-1]), signal.SIGKILL)  # it still runs

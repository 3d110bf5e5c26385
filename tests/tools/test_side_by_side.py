import sys
import time

from tools import side_by_side


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_output_of_each_command_is_printed_whole(capsys):
    chatty = "import sys\nfor n in range(500): print(n, flush=True); print('e', file=sys.stderr)"
    failed = side_by_side.run({"first": python(chatty), "second": python(chatty)})
    assert failed == []
    parts = capsys.readouterr().out.split("--- ")[1:]
    assert sorted(part.split(":")[0] for part in parts) == ["first", "second"]
    assert all(len(part.split()) > 1000 for part in parts)


def test_commands_that_fail_are_named_after_all_have_ended(capsys):
    commands = {"bad": python("raise SystemExit(3)"), "good": python("print('fine')")}
    assert side_by_side.run(commands, at_once=1) == ["bad"]
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
    assert running.wait() == []
    assert "fine" in capsys.readouterr().out

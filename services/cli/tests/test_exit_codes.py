"""The table of exit codes, errors in JSON, closed pipes, and verbs without a server."""

import gc
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from contextlib import redirect_stderr, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from kakuri._command import kakuri as command
from kakuri._exits import ClosedPipe, Exit
from kakuri._invocation import Invocation, width_of
from kakuri._options import SECONDS
from kakuri._overview import VERBS, overview
from kakuri_http import Response, problem

BIN = Path(sys.executable).parent
NO_SERVER = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "bad_request", 2), (401, "unauthorized", 2), (403, "cross_site", 2),
        (403, "forbidden_user", 2), (404, "not_found", 3), (405, "method_not_allowed", 2), (409, "conflict", 4),
        (410, "compacted", 3), (412, "version_mismatch", 4), (413, "too_large", 2),
        (415, "unsupported_media_type", 2), (421, "misdirected_request", 2),
        (422, "never_fits", 5), (500, "internal", 6), (503, "capacity", 5), (503, "busy", 6),
        (503, "agent_unreachable", 6), (503, "runtime_unavailable", 6), (504, "agent_timeout", 6),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_exit_code_of_each_problem(kakuri, api, status, code, exit_code, options):
    api.overrides[("POST", "/workloads")] = problem(status, code=code, detail="why not")
    result = kakuri("run", "-d", "--name", "web", *options, "nginx")
    assert (result.code, result.out) == (exit_code, "")
    if options:
        document = json.loads(result.err.splitlines()[-1])
        assert (document["status"], document["code"]) == (status, code)
    else:
        assert "error: why not" in result.err


@pytest.mark.parametrize("code", ["agent_unreachable", "agent_timeout"])
def test_unknown_outcome_of_a_change_is_reported(kakuri, api, code):
    api.overrides[("POST", "/workloads/web/stop")] = problem(503, code=code, detail="lost")
    assert "it is not known whether the request was carried out" in kakuri("stop", "web").err
    api.overrides[("GET", "/workloads")] = problem(503, code=code, detail="lost")
    assert kakuri("ps").err == "error: lost\n"


def test_response_that_is_not_json_counts_as_no_response(kakuri, api):

    api.overrides[("GET", "/workloads")] = Response(200, b"<html>")
    result = kakuri("ps")
    assert result.code == 6
    assert result.err.startswith("error: the response is not valid JSON")


def test_error_of_the_server_has_its_trace_for_a_search_in_the_logs(kakuri, api):
    body = (
        b'{"title":"Internal Server Error","status":500,"detail":"the agent failed","trace":"4bf9"}'
    )
    failed = Response(500, body, content_type="application/problem+json")
    api.overrides[("GET", "/workloads")] = failed
    assert kakuri("ps").err == "error: the agent failed\n  trace 4bf9\n"
    assert kakuri("ps", "--json").err == body.decode() + "\n"


def test_error_without_a_problem_document_shows_the_status(kakuri, api):

    api.overrides[("GET", "/workloads")] = Response(502, b"<html>")
    result = kakuri("ps")
    assert (result.code, result.err) == (6, "error: HTTP 502 Bad Gateway\n")


ARGUMENTS = {
    "run": ["-d", "nginx"], "status": ["web"], "logs": ["web"], "wait": ["web"],
    "history": ["web"], "stop": ["web"], "start": ["web"], "restart": ["web"], "rm": ["-f", "web"],
    "apply": [], "diff": [], "plan": [], "node": ["node1"], "api": ["GET", "/nodes"], "ps": [],
    "events": [], "nodes": [], "version": [],
}  # fmt: skip


@pytest.mark.parametrize("verb", ARGUMENTS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_verb_without_a_server_exits_with_6(kakuri, environment, tmp_path, verb, options):
    environment.setenv("KAKURI_HOST", NO_SERVER)
    (tmp_path / "kakuri.toml").write_text("[workload.a]\nimage = 'x'\n")
    result = kakuri(verb, *options, *ARGUMENTS[verb])
    assert result.code == 6
    assert "connection refused" in result.err + result.out
    if options and verb != "version":
        assert json.loads(result.err)["code"] == "unreachable"


def test_every_verb_is_tested_without_a_server():
    local = {"verify", "doctor", "up", "context", "completion"}
    assert set(ARGUMENTS) | local == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_has_its_summary_and_the_shared_options(kakuri, verb):
    result = kakuri(verb, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: kakuri {verb}")
    assert "--host URL" in result.out


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_verb_with_its_summary(kakuri, arguments):
    out = kakuri(*arguments).out
    for verb, (_, summary) in VERBS.items():
        assert f"  {verb} " in out
        assert summary in out


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("statsu", "did you mean status?"), ("ls", "did you mean ps?"),
        ("kill", "did you mean stop --grace 0?"), ("xyzzy", "kakuri --help lists them"),
    ],
)  # fmt: skip
def test_unknown_verb_is_a_usage_error_with_a_suggestion(kakuri, name, hint):
    result = kakuri(name)
    assert result.code == 2
    assert hint in result.err


def test_usage_error_in_json_is_a_document(kakuri):
    result = kakuri("--json", "wait")
    assert result.code == 2
    assert json.loads(result.err)["code"] == "usage"


@pytest.mark.parametrize("position", ["before", "after"])
def test_shared_options_stand_before_or_after_the_verb(kakuri, api, environment, position):
    api.add("web")
    environment.delenv("KAKURI_HOST")
    options = ["--host", api.url, "-q"]
    arguments = [*options, "ps"] if position == "before" else ["ps", *options]
    assert kakuri(*arguments).out == "web\n"


def test_closed_pipe_ends_a_command_without_a_message(api, tmp_path):
    for number in range(3000):
        api.add(f"w{number:04}")
    reading, writing = os.pipe()
    os.close(reading)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": api.url}
    done = subprocess.run([BIN / "kakuri", "ps", "-q"], stdout=writing, stderr=subprocess.PIPE,
                          check=False, env=environment)  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("ends", [os.pipe, lambda: [one.detach() for one in socket.socketpair()]])
@pytest.mark.parametrize("verb", ["events -f", "logs -f web", "ps -w"])
def test_following_verb_exits_with_141_when_reader_closes_idle_output(api, tmp_path, verb, ends):
    api.add("web", "running")
    reading, writing = ends()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": api.url}
    process = subprocess.Popen([BIN / "kakuri", *verb.split()], stdout=writing,
                               stderr=subprocess.PIPE, env=environment)  # fmt: skip
    os.close(writing)
    assert api.is_asked.wait(60)
    os.close(reading)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, b"")


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">/dev/full", 2, "error: the output can't be written: No space left on device\n"),
        (">&-", 0, ""), ("2>&-", 0, ""), ("<&- >&- 2>&-", 0, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arguments", ["--help", "ps -q"])
def test_full_output_is_a_one_line_error_and_a_closed_stream_is_not_an_error(
    api, tmp_path, arguments, redirection, code, message
):
    api.add("web")
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path),
                   "KAKURI_HOST": api.url}  # fmt: skip
    done = subprocess.run(["sh", "-c", f"kakuri {arguments} {redirection}"], check=False,
                          capture_output=True, text=True, env=environment)  # fmt: skip
    assert (done.returncode, done.stderr) == (code, message)


@pytest.mark.parametrize("arguments", [["--help"], ["ps", "-q"]])
def test_standard_output_that_would_block_is_an_error_of_one_line(api, tmp_path, arguments):
    api.add("web")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": api.url}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    done = subprocess.run([BIN / "kakuri", *arguments], stdout=writing, stderr=subprocess.PIPE,
                          check=False, text=True, env=environment)  # fmt: skip
    os.close(reading)
    os.close(writing)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output can't be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_help_fits_the_width_of_the_terminal(kakuri, environment, columns):
    environment.setenv("COLUMNS", str(columns))
    lines = kakuri("--help").out.splitlines()
    assert max(map(len, lines)) <= min(98, max(50, columns - 2))
    assert " ".join(lines).count("http://127.0.0.1:8080.") == 1


@pytest.mark.parametrize("columns", ["0", "-1", "٣", "x", "9" * 5000])
def test_help_ignores_an_invalid_width(kakuri, environment, columns):
    environment.setenv("COLUMNS", columns)
    result = kakuri("--help")
    assert (result.code, result.err) == (0, "")


def test_every_verb_is_a_command_of_its_name():
    for verb in VERBS:
        found = command.get_command(None, verb)
        assert found is not None
        assert found.name == verb


def test_broken_pipe_of_a_verb_is_a_closed_pipe(monkeypatch):
    def broken(_self, _context):
        raise BrokenPipeError

    monkeypatch.setattr("click.Group.invoke", broken)
    with pytest.raises(ClosedPipe):
        command.invoke(None)


def test_closed_pipe_has_its_exit_code_and_standard_output_leads_nowhere(kakuri, environment):
    def fail(*_arguments, **_options):
        raise ClosedPipe

    def move(descriptor, number):
        moved.append((Path(f"/proc/self/fd/{descriptor}").resolve(), number))

    moved = []
    environment.setattr("kakuri._command.Verbs.main", fail)
    environment.setattr(os, "dup2", move)
    assert kakuri("ps").code == 141
    assert moved == [(Path("/dev/null"), 1)]


def test_module_runs_the_command_with_few_collections_of_garbage(environment, capsys):
    def end(code):
        called.append(("exit", code))

    called = []
    environment.setattr(gc, "set_threshold", lambda count: called.append(("threshold", count)))
    environment.setattr(os, "_exit", end)
    environment.setattr(sys, "argv", ["kakuri", "--version"])
    with redirect_stderr(io.TextIOWrapper(io.BytesIO())):  # `capsys` closes its own at the end
        runpy.run_module("kakuri.__main__", run_name="__main__")
    assert capsys.readouterr().out.startswith("kakuri, version ")
    assert called == [("threshold", 100_000), ("exit", 0)]


def test_fault_of_the_command_exits_with_70_its_output_and_a_traceback():
    program = (
        "import kakuri._main, runpy; kakuri._main._run = lambda _: print('output') or 1 // 0; "
        "runpy.run_module('kakuri', run_name='__main__')"
    )
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, env=buffered
    )
    assert done.stderr.endswith(b"ZeroDivisionError: integer division or modulo by zero\n")
    assert (done.returncode, done.stdout) == (Exit.FAULT, b"output\n")


def test_interrupted_command_exits_with_130_on_a_line_of_its_own(kakuri, environment):
    def interrupt(*_):
        raise KeyboardInterrupt

    environment.setattr("kakuri._client.API.get", interrupt)
    result = kakuri("ps")
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert (result.code, result.out, result.err) == (130, "", "\n")


@pytest.mark.parametrize(
    ("color", "environ", "is_colored"),
    [
        ("auto", {}, True), ("auto", {"NO_COLOR": ""}, True), ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False), ("never", {}, False), ("always", {"NO_COLOR": "1"}, True),
        ("always", {"TERM": "dumb"}, True),
    ],
)  # fmt: skip
def test_colour_is_decided_by_option_environment_and_terminal(color, environ, is_colored):
    invocation = Invocation(environ)
    invocation.color = color
    terminal = SimpleNamespace(closed=False, isatty=lambda: True)
    assert invocation.has_color(terminal) == is_colored
    assert invocation.styled("x", "dim", terminal) == ("\x1b[2mx\x1b[0m" if is_colored else "x")
    assert invocation.styled("x", "red", terminal) == ("\x1b[31mx\x1b[0m" if is_colored else "x")
    assert invocation.styled("x", None, terminal) == "x"
    if color == "auto":
        for other in (SimpleNamespace(closed=True), SimpleNamespace(closed=False, isatty=bool)):
            assert not invocation.has_color(other)


def test_width_is_that_of_a_terminal_or_80(monkeypatch):
    terminal = SimpleNamespace(closed=False, isatty=lambda: True, fileno=lambda: 1)
    for columns, width in ((0, 80), (1, 1), (120, 120)):
        size = SimpleNamespace(columns=columns)
        monkeypatch.setattr(os, "get_terminal_size", lambda _, size=size: size)
        assert width_of(terminal) == width

    def fail(_descriptor):
        raise OSError

    monkeypatch.setattr(os, "get_terminal_size", fail)
    assert width_of(terminal) == 80
    assert width_of(SimpleNamespace(closed=True)) is None
    assert width_of(SimpleNamespace(closed=False, isatty=bool)) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [("list", "ps"), ("log", "logs"), ("inspect", "status"), ("describe", "status"),
     ("delete", "rm"), ("create", "run -d"), ("get", "ps"), ("evnts", "events")],
)  # fmt: skip
def test_verb_of_another_program_is_suggested(kakuri, name, hint):
    result = kakuri(name)
    assert result.code == 2
    assert f"there is no verb {name!r}: did you mean {hint}?" in result.err


def test_option_that_does_not_exist_is_not_taken_for_a_verb(kakuri):
    result = kakuri("--bogus")
    assert result.code == 2
    assert "No such option" in result.err


def test_error_as_json_has_the_first_line_as_its_title(kakuri, tmp_path):
    (tmp_path / "kakuri.toml").write_text("[workload.a]\nb = 1\nc = 2\n")
    document = json.loads(kakuri("apply", "--json").err)
    assert document["detail"].startswith(document["title"] + "\n")
    assert document["code"] == "usage"


def test_value_that_was_read_is_not_read_again():
    assert SECONDS.convert(3.5, None, None) == 3.5


def test_note_comes_after_the_data_before_it_and_at_once(environment):
    shown = io.BytesIO()
    for name in ("stdout", "stderr"):
        environment.setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(shown)))
    invocation = Invocation({})
    invocation.out("data")
    invocation.note("note")
    assert shown.getvalue() == b"data\nnote\n"


def test_help_wraps_its_summary_to_the_width():
    head = ["Usage: kakuri [OPTIONS] COMMAND [ARGS]...", ""]
    assert overview(20).splitlines()[:4] == [
        *head, "  Run and watch container workloads in strong", "  isolation.",
    ]  # fmt: skip
    assert overview(100).splitlines()[:4] == [
        *head, "  Run and watch container workloads in strong isolation.", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["status", "a\udcff"], ["run", "-d", "--name", "\udcff", "x"], ["\udcff"]]
)
def test_argument_that_is_not_utf_8_is_a_usage_error(kakuri, api, arguments):
    result = kakuri(*arguments)
    assert (result.code, result.out, api.requests) == (2, "", [])
    assert result.err.startswith("error: expected arguments in UTF-8, got '")

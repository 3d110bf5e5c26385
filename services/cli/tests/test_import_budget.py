"""What help, completion and a request load and do: counted, since time depends on the machine."""

import os
import subprocess
import sys

import pytest

REPORT = """
import sys
sys.argv = ["kakuri", *sys.argv[1:]]
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
try:
    {program}
except SystemExit:
    pass
sys.setprofile(None)
sys.stdout.flush()
print("", calls, *sys.modules, file=sys.stderr)
"""
COMMAND = "from kakuri import main; main()"

EXPENSIVE = {
    "asyncio", "concurrent.futures", "dataclasses_json", "email", "http", "ipaddress", "json",
    "kakuri_registry", "kakuri_rpc", "kakuri_workload", "logging", "pathlib", "queue", "random",
    "rich", "shutil", "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "tomllib", "urllib",
}  # fmt: skip
MAX_MODULES = 70
"""Modules that a request loads besides those of Python itself and click."""

MAX_CALLS = 1.4 if sys.version_info < (3, 12) else 1.6
"""Calls of functions for a request, in relation to those for the import of click. From Python 3.12
on, a dataclass is made with more calls, and click has none."""


class Done:
    """A program that has ended: its output, what it loaded, and how many functions it called."""

    def __init__(self, environment, program, arguments):
        done = subprocess.run(
            [sys.executable, "-c", REPORT.format(program=program), *arguments],
            check=True, capture_output=True, text=True, env=environment,
        )  # fmt: skip
        calls, *modules = done.stderr.splitlines()[-1].split()
        self.output = done.stdout
        self.calls = int(calls)
        self.modules = set(modules)


@pytest.fixture
def run(api, tmp_path):
    """Run the command in a process of its own, without a file of contexts."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": api.url}
    return lambda *arguments, program=COMMAND: Done(environment, program, arguments)


@pytest.fixture
def click(run):
    return run(program="import click, click.shell_completion")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_imports_only_the_page_itself(run, arguments):
    done = run(*arguments)
    assert done.output.startswith("Usage: kakuri")
    assert done.modules - run(program="pass").modules == {
        "kakuri", "kakuri._main", "kakuri._overview", "kakuri._version",
    }  # fmt: skip


def test_process_loads_nothing_before_it_handles_interrupts(run):
    done = run(program="import kakuri.__main__")
    assert done.modules - run(program="import gc").modules == {
        "kakuri", "kakuri.__main__", "kakuri._main", "kakuri._overview", "kakuri._version",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["ps"], ["nodes"], ["status", "web"], ["history", "web"]])
def test_verb_with_a_request_imports_no_expensive_module(run, click, api, arguments):
    api.add("web")
    done = run(*arguments)
    assert done.output
    assert "kakuri_http.blocking" in done.modules
    assert done.modules & EXPENSIVE == set()
    assert len(done.modules - click.modules) < MAX_MODULES


@pytest.mark.parametrize("arguments", [["ps"], ["status", "web"]])
def test_request_calls_few_functions_besides_those_of_the_import_of_click(
    run, click, api, arguments
):
    api.add("web")
    assert run(*arguments).calls - click.calls < click.calls * MAX_CALLS


@pytest.mark.parametrize("verb", ["run", "logs", "ps", "up"])
def test_help_of_a_verb_imports_no_client(run, verb):
    modules = run(verb, "--help").modules
    assert not {name for name in modules if name.startswith("kakuri_")}


def test_completion_of_verbs_imports_none_of_them(run, monkeypatch, tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMP_WORDS": "kakuri r",
                   "COMP_CWORD": "1", "_KAKURI_COMPLETE": "bash_complete"}  # fmt: skip
    done = Done(environment, COMMAND, [])
    assert done.output.split() == ["plain,run", "plain,restart", "plain,rm"]
    assert done.modules & {"kakuri._run", "kakuri._lifecycle", "kakuri._remove"} == set()

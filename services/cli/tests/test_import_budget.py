"""What help, completion and a request import: modules, and not time, which depends on the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
EXPENSIVE = {
    "asyncio", "concurrent.futures", "dataclasses_json", "email", "http", "ipaddress", "json",
    "kakuri_registry", "kakuri_rpc", "kakuri_workload", "logging", "pathlib", "queue", "rich",
    "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading", "tomllib", "urllib",
}  # fmt: skip
BUDGET_OF_HELP, BUDGET_OF_PS = 80, 160
"""Modules that are loaded besides those of Python itself and click."""


@pytest.fixture
def loaded(api, tmp_path):
    """Return the modules that a command loads, besides those that Python and click load."""

    def run(program, *arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": api.url}
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *program, *arguments],
            check=False, capture_output=True, text=True, env=environment,
        )  # fmt: skip
        lines = done.stderr.splitlines()
        return {
            line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")
        }

    base = run(["-c", "import click, click.shell_completion"])
    return lambda *arguments: run([BIN / "kakuri"], *arguments) - base


def test_help_imports_neither_a_client_nor_a_verb(loaded):
    modules = loaded("--help")
    assert {name for name in modules if name.startswith("kakuri")} == {
        "kakuri", "kakuri.__main__", "kakuri._exits", "kakuri._group", "kakuri._invocation",
        "kakuri._main", "kakuri._version",
    }  # fmt: skip
    assert len(modules) < BUDGET_OF_HELP


@pytest.mark.parametrize("arguments", [["ps"], ["nodes"], ["status", "web"], ["history", "web"]])
def test_request_imports_nothing_expensive(loaded, api, arguments):
    api.add("web")
    modules = loaded(*arguments)
    assert "kakuri_http.blocking" in modules
    assert modules & EXPENSIVE == set()
    assert len(modules) < BUDGET_OF_PS


@pytest.mark.parametrize("arguments", [["run", "--help"], ["logs", "--help"], ["up", "--help"]])
def test_help_of_a_verb_imports_no_client(loaded, arguments):
    assert not {name for name in loaded(*arguments) if name.startswith("kakuri_")}

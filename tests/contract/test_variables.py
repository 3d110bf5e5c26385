"""Daemons that share an environment do not warn about each other's variables."""

import importlib
from importlib.metadata import entry_points

import pytest
from kakuri_daemon import DaemonCommand

# The entry point is a function that imports the command.
COMMANDS = {
    entry.name: importlib.import_module(entry.module.replace(".__main__", "._cli")).main
    for entry in entry_points(group="console_scripts")
    if entry.name.startswith("kakuri-")
}
DAEMONS = {
    name: command for name, command in COMMANDS.items() if isinstance(command, DaemonCommand)
}


def variables(command):
    return {name for option in command.params for name in option.envvar or ()}


def test_daemons_with_options_are_found():
    assert {"kakuri-agent", "kakuri-control-plane"} <= DAEMONS.keys()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_variables_of_other_daemons_cause_no_warning(monkeypatch, daemon):
    for other in DAEMONS.values():
        for name in variables(other):
            monkeypatch.setenv(name, "1")
    assert DAEMONS[daemon].unknown_variables() == []


@pytest.mark.parametrize("daemon", DAEMONS)
def test_own_variable_with_a_typing_error_is_still_reported(monkeypatch, daemon):
    prefix = daemon.upper().replace("-", "_")
    monkeypatch.setenv(f"{prefix}_LISTN", "1")
    (line,) = DAEMONS[daemon].unknown_variables()
    assert line == f"unknown variable {prefix}_LISTN; did you mean {prefix}_LISTEN?"

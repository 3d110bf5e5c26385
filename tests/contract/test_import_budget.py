"""A program that uses only a part of a library does not import the rest."""

import subprocess
import sys

import pytest

UNUSED = {"asyncio", "concurrent.futures", "ipaddress", "logging", "pathlib", "ssl"}


def loaded_by(program):
    """Return the modules that Python loads when it runs a program."""
    command = [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", ["kakuri_tcp.blocking", "kakuri_http.blocking"])
def test_blocking_client_is_imported_without_an_event_loop_and_tls(module):
    loaded = loaded_by(f"import {module}")
    assert module in loaded
    assert loaded & UNUSED == set()


@pytest.mark.parametrize(
    ("name", "without"),
    [("Router", "kakuri_http.client._client"), ("Client", "kakuri_http.server")],
)
def test_name_of_one_side_of_kakuri_http_does_not_import_the_other_side(name, without):
    loaded = loaded_by(f"from kakuri_http import {name}")
    assert "kakuri_http" in loaded
    assert without not in loaded

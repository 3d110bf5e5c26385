"""Completion in real shells, of a command that is installed."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent

PATIENT = f"""#!{sys.executable}
from kakuri import _complete, main
_complete._SECONDS = _complete._CONNECT_SECONDS = 60.0
main()
"""
"""The command, which gives a control plane time on a busy machine: after 300 ms it offers no ids."""

SHELLS = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}
"""Each shell, with the option by which it reads no settings of its user."""


@pytest.fixture
def offered(api, tmp_path):
    """Return what a shell offers for a line."""

    def offer(shell, line):
        script = Path(__file__).parent / "shells" / f"offer.{shell}"
        patient = tmp_path / "kakuri"
        patient.write_text(PATIENT)
        patient.chmod(0o700)
        environment = {"PATH": f"{tmp_path}:{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path),
                       "KAKURI_HOST": api.url}  # fmt: skip
        command = [shell, SHELLS[shell], script, line]
        done = subprocess.run(command, capture_output=True, text=True, check=True,
                              env=environment, timeout=100)  # fmt: skip
        offers = [one.partition("\t")[0] for one in done.stdout.splitlines()]
        return [one.removeprefix("plain,") for one in offers]

    return offer


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_verbs(offered, shell):
    assert offered(shell, "kakuri hist") == ["history"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_options_and_their_values(offered, shell):
    assert "--follow" in offered(shell, "kakuri logs --fo")
    assert offered(shell, "kakuri wait --for run") == ["running"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_ids_that_begin_with_what_was_typed(offered, api, shell):
    for workload_id in ("api", "web", "web-2", "wex"):
        api.add(workload_id)
    assert offered(shell, "kakuri logs web") == ["web", "web-2"]


def test_completion_of_ids_without_a_server_is_empty_and_quick(environment):
    from kakuri._complete import complete_ids  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    class Context:
        def find_object(self, _type):
            return Invocation({"KAKURI_HOST": "http://127.0.0.1:1"})

    assert complete_ids(Context(), None, "") == []


def test_completion_of_ids_of_a_server_that_does_not_answer_is_empty(api):
    from kakuri._complete import complete_ids  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    release = threading.Event()
    api.overrides = Blocking(release)

    class Context:
        def find_object(self, _type):
            return Invocation({"KAKURI_HOST": api.url})

    assert complete_ids(Context(), None, "") == []
    release.set()


class Blocking(dict):
    """Answers nothing until it is released."""

    def __init__(self, release):
        super().__init__()
        self._release = release

    def get(self, key, default=None):
        self._release.wait(60)
        return default


@pytest.mark.parametrize(
    ("name", "first"), [("bash", "# eval"), ("zsh", "#compdef"), ("fish", "# ")]
)
def test_completion_begins_with_how_it_is_used(kakuri, name, first):
    result = kakuri("completion", name)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith(first)
    assert any(line.startswith("# ") and "kakuri completion" in line for line in lines[:2])
    assert "_KAKURI_COMPLETE" in result.out


def test_completion_as_json_names_its_shell(kakuri):
    result = kakuri("completion", "fish", "--json")
    assert '"shell":"fish"' in result.out.replace(" ", "")

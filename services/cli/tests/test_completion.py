"""Completion in real shells, of a command that is installed."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from kakuri_http import ConnectFailed, Response, Timeouts

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


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_completes_ids_with_the_token_of_the_context(offered, api, tmp_path, shell):
    api.add("web")
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / ".config/kakuri").mkdir(parents=True)
    (tmp_path / ".config/kakuri/config.toml").write_text(
        f'[context.lab]\nhost = "{api.url}"\ntoken_file = "~/token"\n'
    )
    assert offered(shell, "kakuri --context lab logs w") == ["web"]
    assert api.received[-1].headers.get("authorization") == "Bearer secret"


def test_completion_of_ids_trusts_the_authorities_of_the_context(monkeypatch, tmp_path):
    from kakuri import _complete  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    config = tmp_path / "config.toml"
    config.write_text('current = "lab"\n[context.lab]\nhost = "https://a"\nca = "/ca.pem"\n')
    made = []

    class Client:
        def __init__(self, _endpoint, *, tls, limits, trusted_uids):
            made.append(tls)

        def request(self, *_, **_options):
            raise ConnectFailed("no")

        def close(self):
            pass

    monkeypatch.setattr("kakuri_tcp.ClientTLS", lambda *, ca: ca)
    monkeypatch.setattr("kakuri._client.BlockingClient", Client)
    context = SimpleNamespace(find_object=lambda _: Invocation({"KAKURI_CLI_CONFIG": str(config)}))
    assert _complete.complete_ids(context, None, "a") == []
    assert made == ["/ca.pem"]


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


@pytest.fixture
def complete(api, monkeypatch):
    """Return the completion of ids, which has time on a busy machine."""
    from kakuri import _complete  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    monkeypatch.setattr(_complete, "_SECONDS", 60.0)
    monkeypatch.setattr(_complete, "_CONNECT_SECONDS", 60.0)
    context = SimpleNamespace(find_object=lambda _: Invocation({"KAKURI_HOST": api.url}))
    return lambda incomplete: _complete.complete_ids(context, None, incomplete)


def test_ids_that_are_completed_are_found_after_a_hundred_others(complete, api):
    for number in range(101):
        api.add(f"a{number:03}")
    for name in ("we", "web", "web-2", "wea~", "wf"):
        api.add(name)
    assert complete("web") == ["web", "web-2"]
    assert complete("w") == ["we", "wea~", "web", "web-2", "wf"]
    assert len(complete("")) == 100
    assert [dict(one.query) for one in api.received] == [
        {"after": "wea~"}, {"after": "v~"}, {},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body"),
    [(201, b'{"workloads":[]}'), (503, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b"{}")],
)
def test_completion_of_ids_is_empty_after_any_other_response(complete, api, status, body):
    api.overrides[("GET", "/workloads")] = Response(status, body, content_type="text/plain")
    assert complete("") == []


def test_completion_waits_300_ms_and_100_ms_for_a_connection(monkeypatch):
    from kakuri import _complete  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    made = []

    class Client:
        def __init__(self, endpoint, **_):
            self.endpoint = endpoint

        def request(self, *_, timeouts, **_options):
            made.append((self.endpoint, timeouts))
            raise ConnectFailed("no")

        def close(self):
            pass

    monkeypatch.setattr("kakuri._client.BlockingClient", Client)
    for host, endpoint in (("unix:/run/x", "unix:/run/x"), ("http://a", None)):
        invocation = Invocation({"KAKURI_HOST": host})
        context = SimpleNamespace(find_object=lambda _, found=invocation: found)
        assert _complete.complete_ids(context, None, "a") == []
        assert made.pop() == (endpoint, Timeouts(connect=0.1, read=0.3, total=0.3))


def test_completion_without_a_valid_configuration_is_empty():
    from kakuri import _complete, _context  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    wrong = Invocation({"KAKURI_HOST": "ftp://a", "KAKURI_CLI_CONFIG": "/"})
    context = SimpleNamespace(find_object=lambda _: wrong)
    assert _complete.complete_ids(context, None, "a") == []
    assert _context._complete_names(context, None, "a") == []
    assert _context._complete_names(SimpleNamespace(find_object=lambda _: None), None, "") == []


def test_completion_of_each_shell_has_its_head(kakuri):
    heads = {
        "bash": ['# eval "$(kakuri completion bash)"   # add this to ~/.bashrc'],
        "zsh": ["#compdef kakuri",
                '# eval "$(kakuri completion zsh)"   # add this to ~/.zshrc, after compinit'],
        "fish": ["# kakuri completion fish > ~/.config/fish/completions/kakuri.fish"],
    }  # fmt: skip
    for shell, lines in heads.items():
        assert kakuri("completion", shell).out.splitlines()[: len(lines)] == lines


def test_verbs_are_listed_in_the_order_of_the_help(kakuri):
    from kakuri._command import kakuri as command  # noqa: PLC0415
    from kakuri._overview import VERBS  # noqa: PLC0415

    assert command.list_commands(None) == list(VERBS)

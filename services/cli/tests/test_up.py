"""The verb `up`, with programs that announce themselves in place of the daemons."""

import json
import os
import signal
import socket

import pytest
from kakuri import _up as up

DAEMON = """#!/bin/sh
echo "$0 $*" >> {log}
echo "listening on {address}"
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""


@pytest.fixture
def daemons(environment, monkeypatch, tmp_path, api):
    """Replace both daemons; return the file with their options."""
    log = tmp_path / "started"
    for name, address in (("kakuri-agent", "127.0.0.1:9999"),
                          ("kakuri-control-plane", str(api.endpoint))):  # fmt: skip
        program = tmp_path / name
        program.write_text(DAEMON.format(log=log, address=address))
        program.chmod(0o755)
    monkeypatch.setattr(up, "_program", lambda name: str(tmp_path / name))
    handlers = {number: signal.getsignal(number) for number in up.SIGNALS}
    yield log
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def interrupted(monkeypatch):
    """Interrupt the command as soon as it has reported that both daemons run."""
    report = up._System._report

    def report_and_interrupt(*arguments):
        report(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(up._System, "_report", report_and_interrupt)


def test_up_starts_both_daemons_and_ends_them(kakuri, daemons, interrupted):
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 0
    assert "SIMULATED: nothing really runs. --runtime simulated asks for it." in result.err
    assert "control plane  http://127.0.0.1:" in result.out
    agent, plane = daemons.read_text().splitlines()
    assert "--runtime simulated --store memory" in agent
    assert "--agent 127.0.0.1:9999" in plane


def test_up_with_containerd_removes_what_runs(
    kakuri, daemons, interrupted, api, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(up, "INSTALLED", ())
    api.add("web")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c.sock"))
        result = kakuri("up", "--containerd", str(tmp_path / "c.sock"), "--cgroup-parent", "/x")
    assert "REAL CONTAINERS" in result.err
    assert "removing web" in result.err
    assert api.workloads == {}
    assert "--handler edera-zone=runc --image-gc-high 100 --cgroup-parent /x" in daemons.read_text()


def test_up_as_json_has_both_addresses(kakuri, daemons, interrupted, api):
    document = json.loads(kakuri("up", "--runtime", "simulated", "--json").out)
    assert document == {"agent": "127.0.0.1:9999", "control_plane": api.url}


def test_daemon_that_ends_by_itself_ends_the_other(kakuri, daemons, tmp_path):
    (tmp_path / "kakuri-agent").write_text('#!/bin/sh\necho "listening on 127.0.0.1:9"\nexit 1\n')
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 6
    assert "a daemon ended by itself" in result.err


def test_daemon_that_does_not_start_is_an_error(kakuri, daemons, tmp_path):
    (tmp_path / "kakuri-agent").write_text("#!/bin/sh\nexit 2\n")
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 2
    assert "kakuri-agent did not start" in result.err


@pytest.mark.parametrize(
    ("user", "is_installed", "why"),
    [(1000, False, "need root"), (0, False, "need containerd"), (0, True, "an installed system")],
)
def test_containerd_that_cannot_be_used_is_refused_with_the_reason(
    kakuri, environment, tmp_path, user, is_installed, why
):
    environment.setattr(os, "geteuid", lambda: user)
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        if is_installed:
            listener.bind(str(path))
        environment.setattr(up, "INSTALLED", (path,))
        result = kakuri("up", "--runtime", "containerd", "--containerd", str(path))
    assert result.code == 2
    assert why in result.err


def test_daemon_that_is_not_installed_is_not_found(kakuri, environment):
    environment.setattr(up.shutil, "which", lambda name: None)
    environment.setattr(up.sys, "executable", "/nowhere/python")
    environment.setattr(up.sys, "argv", ["/nowhere/kakuri"])
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 3
    assert "kakuri-agent is not installed: pip install 'kakuri[node]'" in result.err

"""The verb `up`, with programs that announce themselves in place of the daemons."""

import json
import os
import signal
import socket
import threading
from types import SimpleNamespace

import pytest
from kakuri import _up as up
from kakuri._exits import NotFound
from kakuri._invocation import Invocation
from kakuri_http import problem

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
        signal.raise_signal(signal.SIGINT)  # not for the thread of the fake API

    monkeypatch.setattr(up._System, "_report", report_and_interrupt)


def test_up_starts_both_daemons_and_ends_them(kakuri, daemons, interrupted):
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 0
    assert "SIMULATED: nothing really runs. You asked for --runtime simulated." in result.err
    assert "control plane  http://127.0.0.1:" in result.out
    agent, plane = daemons.read_text().splitlines()
    assert "--runtime simulated --store memory" in agent
    assert "--agent 127.0.0.1:9999" in plane


def test_signals_that_arrive_together_end_both_daemons(kakuri, daemons, monkeypatch):
    def report(*_):
        signal.pthread_sigmask(signal.SIG_BLOCK, up.SIGNALS)
        for number in up.SIGNALS:
            signal.raise_signal(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, up.SIGNALS)

    monkeypatch.setattr(up._System, "_report", report)
    assert kakuri("up", "--runtime", "simulated").code == 0
    assert len(daemons.read_text().splitlines()) == 2


def test_signal_during_the_start_of_a_thread_is_handled_after_it(kakuri, daemons, monkeypatch):
    started = []

    class Thread(threading.Thread):
        def start(self):
            signal.raise_signal(signal.SIGTERM)
            super().start()
            started.append(self)

    monkeypatch.setattr("kakuri._threads.threading", SimpleNamespace(Thread=Thread))
    assert kakuri("up", "--runtime", "simulated").code == 0
    assert len(started) == 2


def test_up_passes_the_users_who_may_use_it_to_both_daemons(kakuri, daemons, interrupted):
    kakuri("up", "--runtime", "simulated", "--allow-user", "alice", "--allow-user", "1001")
    agent, plane = daemons.read_text().splitlines()
    assert "--allow-user alice --allow-user 1001" in agent
    assert "--allow-user alice --allow-user 1001" in plane


def test_up_passes_allow_user_only_to_daemons_on_ports(kakuri, daemons, interrupted):
    kakuri("up", "--runtime", "simulated", "--allow-user", "alice", "--agent", "unix:/a.sock")
    agent, plane = daemons.read_text().splitlines()
    assert "--allow-user" not in agent
    assert "--allow-user alice" in plane


def test_up_refuses_users_if_both_daemons_listen_on_sockets(kakuri, daemons):
    sockets = ("--agent", "unix:/a.sock", "--listen", "unix:/b.sock")
    result = kakuri("up", "--runtime", "simulated", "--allow-user", "alice", *sockets)
    assert result.code == 2
    assert "--allow-user is for ports on loopback" in result.err


@pytest.mark.parametrize(
    ("uid", "options", "is_noted"),
    [
        (0, [], True), (0, ["--allow-user", "bob"], False), (0, ["--listen", "unix:/x"], False),
        (1000, [], False),
    ],
)  # fmt: skip
def test_up_through_sudo_notes_how_its_caller_may_use_it(
    kakuri, daemons, interrupted, environment, uid, options, is_noted
):
    environment.setenv("SUDO_USER", "alice")
    environment.setattr("os.geteuid", lambda: uid)
    result = kakuri("up", "--runtime", "simulated", *options)
    note = "Only root can use this system; add --allow-user alice to use it as alice."
    assert (note in result.err) is is_noted


def test_up_with_containerd_removes_running_workloads_at_its_end(
    kakuri, daemons, interrupted, api, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(up, "INSTALLED_SOCKETS", ())
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
    assert "a daemon exited unexpectedly" in result.err


def test_daemon_that_does_not_start_is_an_error(kakuri, daemons, tmp_path):
    (tmp_path / "kakuri-agent").write_text("#!/bin/sh\nexit 2\n")
    result = kakuri("up", "--runtime", "simulated")
    assert result.code == 2
    assert "kakuri-agent did not start" in result.err


@pytest.mark.parametrize(
    ("user", "is_installed", "why"),
    [(1000, False, "need root"), (0, False, "need containerd"), (0, True, "an installed system")],
)
def test_containerd_that_cannot_be_used_is_a_usage_error_with_the_reason(
    kakuri, environment, tmp_path, user, is_installed, why
):
    environment.setattr(os, "geteuid", lambda: user)
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        if is_installed:
            listener.bind(str(path))
        environment.setattr(up, "INSTALLED_SOCKETS", (path,))
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


def test_up_ends_daemons_in_the_reverse_order_of_their_start(environment):
    ended = []

    class Process:
        stdout = None

        def __init__(self, name, code):
            self._name, self._code = name, code

        def terminate(self):
            ended.append(self._name)

        def wait(self):
            return self._code

    handlers = {number: signal.getsignal(number) for number in up.SIGNALS}
    try:
        for codes, has_failed in (
            ((0, 0), False), ((0, -signal.SIGTERM), False), ((-signal.SIGTERM, 1), True),
            ((-signal.SIGKILL, 0), True),
        ):  # fmt: skip
            system = up._System(Invocation({}), is_simulated=True)
            system._processes = [Process("agent", codes[0]), Process("plane", codes[1])]
            assert bool(system._end()) == has_failed
            assert {signal.getsignal(number) for number in up.SIGNALS} == {signal.SIG_IGN}
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended == ["plane", "agent"] * 4


@pytest.mark.parametrize(
    ("address", "is_simulated", "has_ended", "is_removed"),
    [("a:1", False, False, True), ("", False, False, False), ("a:1", True, False, False),
     ("a:1", False, True, False)],
)  # fmt: skip
def test_workloads_are_removed_while_both_run_for_real(
    environment, address, is_simulated, has_ended, is_removed
):
    removed = []
    environment.setattr(up.signal, "signal", lambda *_: None)
    environment.setattr(up._System, "_remove_workloads", lambda _: removed.append(True))
    system = up._System(Invocation({}), is_simulated=is_simulated)
    system._address = address
    if has_ended:
        system._ended.set()
    system._end()
    assert bool(removed) == is_removed


def test_workloads_that_cannot_be_listed_are_reported(api, environment, capsys):
    api.overrides[("GET", "/workloads")] = problem(503, code="busy", detail="no")
    system = up._System(Invocation({}), is_simulated=False)
    system._address = str(api.endpoint)
    assert system._remove_workloads() == 6
    assert (
        capsys.readouterr().err
        == "error: the workloads could not be listed, so they were not removed: no\n"
    )


def test_workload_that_cannot_be_removed_is_named_and_the_others_are_removed(
    api, environment, capsys
):
    environment.setattr(up.signal, "signal", lambda *_: None)
    for name in ("a", "refused", "z"):
        api.add(name)
    api.overrides[("DELETE", "/workloads/refused")] = problem(409, code="conflict", detail="busy")
    system = up._System(Invocation({}), is_simulated=False)
    system._address = str(api.endpoint)
    assert system._end() == 4
    assert "error: refused: busy\n" in capsys.readouterr().err
    assert list(api.workloads) == ["refused"]


def test_workload_that_is_removed_meanwhile_is_not_a_failure(api, environment):
    api.add("web")
    environment.setattr("kakuri._remove.delete", lambda *_, **_2: _removed(api))
    system = up._System(Invocation({}), is_simulated=False)
    system._address = str(api.endpoint)
    assert system._remove_workloads() == 0


def _removed(api):
    api.workloads.clear()
    raise NotFound("no workload 'web'")


def test_workloads_are_removed_without_a_grace_until_none_is_listed(api, environment):
    for number in range(150):
        api.add(f"w{number:03}", "succeeded")
    system = up._System(Invocation({}), is_simulated=False)
    system._address = str(api.endpoint)
    system._remove_workloads()
    assert api.workloads == {}
    assert {one.query["grace_seconds"] for one in api.received if one.method == "DELETE"} == {"0"}


@pytest.mark.parametrize(
    ("agent", "where"),
    [("127.0.0.1:9000", "nc -N 127.0.0.1 9000"), ("unix:/run/a.sock", "nc -N -U /run/a.sock")],
)
def test_report_has_commands_for_both_daemons(capsys, agent, where):
    up._System(Invocation({}), is_simulated=True)._report(agent, "127.0.0.1:8081", "beware")
    out, err = capsys.readouterr()
    assert where in out
    assert " --host http://127.0.0.1:8081 ps\n" in out
    assert "curl http://127.0.0.1:8081/workloads\n" in out
    assert err == "\nbeware\n"


def test_report_on_ipv6_has_commands_that_a_shell_and_nc_accept(capsys):
    up._System(Invocation({}), is_simulated=True)._report("[::1]:9000", "[::1]:8080", "")
    out = capsys.readouterr().out
    assert "nc -N ::1 9000\n" in out
    assert "curl 'http://[::1]:8080'/workloads\n" in out


@pytest.mark.parametrize(
    ("path", "quoted"), [("/run/api.sock", "/run/api.sock"), ("/a b/api.sock", "'/a b/api.sock'")]
)
def test_report_on_unix_sockets_has_commands_that_reach_them(capsys, path, quoted):
    system = up._System(Invocation({}), is_simulated=True)
    system._report(f"unix:{path}", f"unix:{path}", "")
    out = capsys.readouterr().out
    host = quoted.replace(path, f"unix:{path}")
    assert f"control plane  unix:{path}\n" in out
    assert f"nc -N -U {quoted}\n" in out
    assert f" --host {host} ps\n" in out
    assert f"curl --unix-socket {quoted} http://localhost/workloads\n" in out


def test_report_without_a_warning_prints_none(capsys):
    up._System(Invocation({}), is_simulated=False)._report("127.0.0.1:9000", "127.0.0.1:8080", "")
    out, err = capsys.readouterr()
    assert (err, "--host" in out) == ("", False)


@pytest.mark.parametrize("place", ["beside", "path", "python"])
def test_daemon_is_found_beside_the_command_in_path_and_beside_python(environment, tmp_path, place):
    beside, python = tmp_path / "bin/kakuri-agent", tmp_path / "python/kakuri-agent"
    for path in (beside, python):
        path.parent.mkdir()
        path.touch()
    environment.setattr(up.sys, "argv", [str(beside.with_name("kakuri"))])
    environment.setattr(up.sys, "executable", str(python.with_name("python3")))
    environment.setattr(up.shutil, "which", lambda name: f"/path/{name}")
    if place != "beside":
        beside.unlink()
    if place == "python":
        environment.setattr(up.shutil, "which", lambda name: None)
    expected = {"beside": str(beside), "path": "/path/kakuri-agent", "python": str(python)}
    assert up._program("kakuri-agent") == expected[place]


@pytest.mark.parametrize(
    ("runtime", "user", "is_simulated"),
    [("auto", 1000, True), ("auto", 0, False), ("simulated", 0, True), ("containerd", 0, False)],
)
def test_runtime_is_containerd_for_root_where_it_listens(
    kakuri, environment, tmp_path, runtime, user, is_simulated
):
    given = []
    environment.setattr(os, "geteuid", lambda: user)
    environment.setattr(up, "INSTALLED_SOCKETS", ())
    environment.setattr(up, "_program", lambda name: name)
    environment.setattr(up._System, "run", lambda _, *args: given.append(args) or 0)
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert kakuri("up", "--runtime", runtime, "--containerd", str(path)).code == 0
        kakuri("up", "--runtime", runtime, "--containerd", str(path), "--handler", "kata")
    for (agent, listen, options, warning), handler in zip(given, ("runc", "kata"), strict=True):
        assert (agent, listen) == ("127.0.0.1:9000", "127.0.0.1:8080")
        if is_simulated:
            assert options == ["--runtime", "simulated", "--store", "memory"]
            why = "--runtime simulated" if runtime == "simulated" else "need root"
            assert why in warning
        else:
            assert options == [
                "--runtime", "cri", "--cri", f"unix:{path}", "--handler", f"edera-zone={handler}",
                "--image-gc-high", "100", "--store", "memory",
            ]  # fmt: skip
            assert bool(warning) == (handler == "runc")

"""How the daemons start, announce that they are ready, and end."""

import json
import re
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from kakuri_registry import SQLiteStore

from .processes import BIN, DEADLINE, clean_environment, curl, nc

WORKLOAD = (
    '{"id":"w","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'
)
DAEMONS = ["kakuri-agent", "kakuri-control-plane"]


def fails(name, *options, env=None):
    """Start a daemon that fails to start; return its one line of error."""
    done = subprocess.run(
        [BIN / name, *options],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=clean_environment(**(env or {})),
        check=False,
    )
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    return line


@pytest.mark.usefixtures("hangup_by_default")
@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_daemon_that_receives_a_signal_exits_with_0(start, name, number):
    daemon = start(name, "--listen", "127.0.0.1:0")
    assert re.fullmatch(r"listening on 127\.0\.0\.1:[1-9][0-9]*\n", daemon.first_line)
    assert daemon.end(number) == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_that_is_interrupted_while_it_starts_prints_nothing(name, tmp_path):
    (tmp_path / "uvloop.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    # A shell that starts the tests in the background ignores SIGINT in them.
    command = ["env", "--default-signal=INT", BIN / name]
    environment = clean_environment(PYTHONPATH=str(tmp_path))
    done = subprocess.run(
        command, capture_output=True, timeout=DEADLINE, check=False, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_that_listens_has_not_loaded_openssl(start, name, tmp_path):
    options = ["--state-dir", str(tmp_path / "state")] if name == "kakuri-agent" else []
    daemon = start(name, "--listen", "127.0.0.1:0", *options)
    mapped = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "python" in mapped
    assert "/libssl" not in mapped


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_whose_port_is_in_use_fails_with_one_line(name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = fails(name, "--listen", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1:65536", "127.0.0.1:x", ":", "unix:", "http://x:1"]
)
def test_daemon_with_an_invalid_address_fails_with_one_line(name, address):
    assert "--listen" in fails(name, "--listen", address)


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_with_a_missing_or_invalid_settings_file_fails_with_one_line(name, tmp_path):
    assert "No such file" in fails(name, "--config", str(tmp_path / "none.toml"))
    bad = tmp_path / "bad.toml"
    bad.write_text("listen = ]")
    assert "line 1" in fails(name, "--config", str(bad))
    bad.write_text('lisen = "127.0.0.1:0"')
    assert "unknown option 'lisen'; did you mean 'listen'?" in fails(name, "--config", str(bad))
    bad.write_text("listen = 9000")
    assert f"{bad}: expected a string for 'listen', got 9000" in fails(name, "--config", str(bad))


def test_agent_with_an_invalid_script_fails_with_one_line(tmp_path):
    script = tmp_path / "script.toml"
    assert "No such file" in fails("kakuri-agent", "--simulated-script", str(script))
    script.write_text("[[outcome]]\nrun_time = -1\n")
    assert "$.outcome[0].run_time" in fails("kakuri-agent", "--simulated-script", str(script))


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_daemon_refuses_an_address_that_is_not_loopback(start, name, address):
    assert "--allow-unauthenticated" in fails(name, "--listen", address)
    assert start(name, "--listen", address, "--allow-unauthenticated").end() == 0


def test_option_overrides_variable_and_variable_overrides_file(start, tmp_path):
    config = tmp_path / "kakuri.toml"
    sockets = [tmp_path / name for name in ("option", "variable", "file")]
    option, variable, file = (f"unix:{path}" for path in sockets)
    config.write_text(f'listen = "{file}"\n')
    chosen = [
        start("kakuri-agent", "--config", str(config)),
        start("kakuri-agent", "--config", str(config), env={"KAKURI_AGENT_LISTEN": variable}),
        start(
            "kakuri-agent",
            "--listen",
            option,
            env={"KAKURI_LISTEN": variable, "KAKURI_CONFIG": str(config)},
        ),
    ]
    assert [daemon.address for daemon in chosen] == [file, variable, option]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in sockets)
    assert [daemon.end() for daemon in chosen] == [0, 0, 0]
    assert not any(path.exists() for path in sockets)


def test_log_has_one_line_for_each_event_as_text_or_json(start):
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--log-format", "json")
    agent.end()
    events = [json.loads(line) for line in agent.log.read_text().splitlines()]
    assert {"event", "level", "timestamp"} <= set(events[0])
    plain = start("kakuri-control-plane", "--listen", "127.0.0.1:0")
    plain.end()
    assert "stopping" in plain.log.read_text()


def test_daemon_that_is_terminated_finishes_requests_in_flight(start):
    """A POST that waits for the agent is answered although the control plane has to stop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", address)
        with socket.create_connection(("127.0.0.1", plane.port), timeout=DEADLINE) as client:
            client.sendall(b"GET /workloads/w HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE)
                assert connection.recv(1000)
                plane.process.send_signal(signal.SIGTERM)
                plane.await_log("stopping")
                connection.sendall(b'{"type":"Status","id":"w","state":"Running"}\n')
                answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"id":"w","state":"running"}')
    assert plane.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_whose_log_reader_is_closed_continues_to_serve(name):
    """Its reader goes away before the first line; the daemon serves, and ends on SIGTERM."""
    process = subprocess.Popen(
        [BIN / name, "--listen", "127.0.0.1:0", "--log-level", "debug"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    with process:
        process.stderr.close()
        port = int(process.stdout.readline().rpartition(":")[2])
        for _ in range(3):
            if name == "kakuri-agent":
                start = f'{{"type":"StartWorkload","workload":{WORKLOAD}}}\n'
                assert '"state":"' in nc(port, start)
            else:
                assert curl(f"http://127.0.0.1:{port}/healthz").status == 200
        process.terminate()
        assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_daemon_that_cannot_announce_readiness_fails_with_one_line(name):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BIN / name, "--listen", "127.0.0.1:0", "--log-level", "error"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
            env=clean_environment(),
        )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize("option", ["--help", "--version", "--check-store"])
def test_report_that_cannot_be_written_gets_one_line_and_exit_status_2(option, tmp_path):
    state = ["--state-dir", str(tmp_path)]
    with closing(SQLiteStore(tmp_path / "sidecar.sqlite")) as store:
        store.load()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BIN / "kakuri-agent", *state, option],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
            env=clean_environment(),
        )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "No space left" in done.stderr


def test_second_signal_ends_the_daemon_at_once(start):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", address)
        with socket.create_connection(("127.0.0.1", plane.port), timeout=DEADLINE) as client:
            client.sendall(b"GET /workloads/w HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection, _ = silent.accept()
            with connection:
                plane.process.send_signal(signal.SIGTERM)
                plane.await_log("stopping")
                assert plane.end(signal.SIGTERM) == -signal.SIGTERM


def test_daemons_serve_over_unix_sockets_alone(start, tmp_path):
    agent = start("kakuri-agent", "--listen", f"unix:{tmp_path}/agent.sock")
    plane = start(
        "kakuri-control-plane", "--listen", f"unix:{tmp_path}/plane.sock", "--agent", agent.address
    )
    assert plane.first_line == f"listening on unix:{tmp_path}/plane.sock\n"
    assert curl("http://localhost/readyz", "--unix-socket", f"{tmp_path}/plane.sock").status == 200

"""Other users of this machine who connect to a daemon's port, or listen on it."""

import os
import signal
import subprocess

import pytest

from .processes import BIN, DEADLINE, clean_environment, curl, nc

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

UNPRIVILEGED = 65534

WORKLOAD = (
    '{"id":"wl-1","image":"nginx","runtime_class":"edera-zone","memory_mb":64,'
    '"cpu_millicores":100,"env":{"DB_PASSWORD":"hunter2"}}'
)
ASK = '{"type":"DescribeNode"}\n'

SQUATTER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
accepted, _ = listener.accept()
print(accepted.recv(65536), flush=True)
"""
SQUAT = ["/usr/bin/python3", "-c", SQUATTER]  # a program that every user may run


def as_another_user(command, **options):
    """Return the arguments of subprocess functions that run a command as another user."""
    user = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
    return {"args": command, "stdout": subprocess.PIPE, "text": True, **user, **options}


def requested_by_another_user(url):
    command = ["curl", "-s", "-m", str(DEADLINE), url]
    return subprocess.run(**as_another_user(command), check=True).stdout


def asked_by_another_user(port):
    command = ["nc", "-N", "-w", str(DEADLINE), "127.0.0.1", str(port)]
    return subprocess.run(**as_another_user(command, input=ASK), check=True).stdout


def test_another_user_may_not_use_the_api_on_loopback(url, control_plane):
    assert '"code":"forbidden_user"' in requested_by_another_user(f"{url}/workloads")
    control_plane.await_log(f"user {UNPRIVILEGED} of this machine may not use this server")


def test_another_user_may_not_use_the_agent_on_loopback(agent):
    assert asked_by_another_user(agent.port).startswith('{"type":"Error","code":"forbidden"')


@pytest.mark.parametrize(
    "option", [("--allow-user", str(UNPRIVILEGED)), ("--allow-unauthenticated",)]
)
def test_user_who_is_allowed_may_use_both(start, option):
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", *option)
    plane = start(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address, *option
    )
    assert asked_by_another_user(agent.port).startswith('{"type":"Node"')
    assert requested_by_another_user(f"http://{plane.address}/workloads") == '{"workloads":[]}'


def test_metrics_have_a_port_that_every_user_may_read(start, agent, control_plane):
    plane = start(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address,
        "--metrics-listen", "127.0.0.1:0",
    )  # fmt: skip
    plane.await_log("metrics served")
    line = next(line for line in plane.log.read_text().splitlines() if "metrics served" in line)
    address = line.rpartition("endpoint=")[2].split()[0]
    assert "kakuri_agent_up" in requested_by_another_user(f"http://{address}/metrics")


def test_command_sends_nothing_to_another_user_who_took_the_port(control_plane, tmp_path):
    port = control_plane.port
    control_plane.end()
    environment = clean_environment(HOME=str(tmp_path), KAKURI_HOST=f"http://127.0.0.1:{port}")
    with subprocess.Popen(**as_another_user([*SQUAT, str(port)])) as squatter:
        assert squatter.stdout.readline() == "listening\n"
        done = subprocess.run(
            [BIN / "kakuri", "ps"],
            capture_output=True,
            text=True,
            env=environment,
            timeout=DEADLINE,
        )
        received = squatter.stdout.readline()
    assert (done.returncode, received) == (6, "b''\n")
    assert f"user {UNPRIVILEGED} listens there" in done.stderr
    assert "kakuri context add --server-user" in done.stderr


def test_control_plane_sends_nothing_to_another_user_who_took_the_agents_port(
    start, tmp_path, agent, control_plane, url
):
    assert nc(agent.port, ASK).startswith('{"type":"Node"')
    agent.end(signal.SIGKILL)
    with subprocess.Popen(**as_another_user([*SQUAT, str(agent.port)])) as squatter:
        assert squatter.stdout.readline() == "listening\n"
        answer = curl(f"{url}/workloads", "--json", WORKLOAD)
        received = squatter.stdout.readline()
    assert (answer.status, received) == (503, "b''\n")
    assert f"user {UNPRIVILEGED} listens there" in answer.body

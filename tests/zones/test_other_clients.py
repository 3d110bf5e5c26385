"""Objects that other clients of the runtime delete, ends of zones, their output, and large zones."""

import base64
import json
import socket

from .system import IDLE, await_that

STUBBORN = ("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")


def ask_agent(system, **message):
    """Send one request to the agent, and return its reply."""
    with socket.create_connection(("127.0.0.1", system.agent_port), 30) as connection:
        connection.sendall(json.dumps(message).encode() + b"\n")
        return json.loads(connection.makefile().readline())


def delete_with_ctr(system, workload_id):
    """Delete a container as an operator with `ctr` does: the CRI continues to list it."""
    container = system.container(workload_id)["ID"]
    system.ctr("tasks", "kill", "-s", "SIGKILL", container)
    assert system.await_end(workload_id)["state"] == "failed"
    system.ctr("containers", "rm", container)
    return container


def test_delete_of_a_container_that_another_client_deleted_frees_its_id(system):
    system.run("taken", *IDLE)
    system.await_state("taken", "running")
    first = delete_with_ctr(system, "taken")
    system.remove("taken")
    system.run("taken", *IDLE)
    system.await_state("taken", "running")
    assert system.container("taken")["ID"] != first
    system.remove("taken")
    # After a restart, the runtime no longer lists objects that it does not have.
    system.kill("containerd")
    await_that("nothing left", lambda: system.ctr("containers", "ls", "-q") == "")


def test_stop_with_a_shorter_grace_period_takes_effect_at_once(system):
    system.run("stubborn", *STUBBORN)
    await_that("its first line", lambda: system.log("stubborn") == b"up\n")
    for grace_seconds in (3600, 1):
        ask_agent(system, type="StopWorkload", id="stubborn", grace_seconds=grace_seconds)
    status = system.await_end("stubborn")
    assert (status["state"], status["exit_code"]) == ("failed", 137)
    system.remove("stubborn")


def test_log_of_a_real_container_has_all_bytes_except_carriage_returns_before_line_feeds(system):
    every = bytes(range(256))
    written = every * 3 + b"\n\n\r\n" + b"long" * 10_000 + b"\nno line feed at the end\0\xff"
    script = f"echo {base64.b64encode(written).decode()} | base64 -d"
    system.run("binary", "sh", "-c", script)
    assert system.await_end("binary")["state"] == "succeeded"
    assert system.log("binary") == written.replace(b"\r\n", b"\n")
    assert system.log("binary", "?follow") == system.log("binary")
    system.remove("binary")


def test_zones_with_the_largest_environments_run_and_survive_a_restart_of_the_agent(system):
    names = [f"large-{number}" for number in range(6)]
    for name in names:
        env = {f"VARIABLE_{number}": "x" * 4000 for number in range(60)}
        system.run(name, *IDLE, env=env)
    for name in names:
        system.await_state(name, "running")
    system.kill("agent")
    await_that("an answer", lambda: system.workload(names[0]))
    assert {system.workload(name)["state"] for name in names} == {"running"}
    env = system.container(names[0])["Spec"]["process"]["env"]
    assert "VARIABLE_59=" + "x" * 4000 in env
    system.remove(*names)

"""The life of a workload in a real container, as its operator sees it."""

import json
import subprocess

import pytest

from tests.e2e.processes import nc

from .system import IDLE, await_that

NGINX = (
    '{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone",'
    '"memory_mb":512,"cpu_millicores":500}'
)


def shell(command):
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_roadmaps_final_test(system):
    at = f"http://localhost:{system.port}"
    answer = shell(f"curl -sS -w ' %{{http_code}}' -X POST {at}/workloads -d '{NGINX}'")
    assert answer == f"{NGINX} 201"
    told = system.await_state("test-1", "running")
    assert json.loads(shell(f"curl -sS {at}/workloads/test-1")) == told
    page = await_that("nginx's page", lambda: shell(f"curl -s http://{told['address']}/ || true"))
    assert "<h1>Welcome to nginx!</h1>" in page
    assert system.containers() == ["test-1"]

    system.remove("test-1")
    assert system.containers() == []
    assert system.ctr("containers", "ls", "-q") == ""
    assert system.log_folders() == []


def test_each_step_is_kept(system):
    system.run("steps", *IDLE)
    system.await_state("steps", "running")
    system.kill("agent")
    told = await_that("history", lambda: history(system, "steps"))
    steps = [step.get("reason") for step in told if step["state"] == "pending"]
    assert [step for step in steps if step not in (None, "Pulling")] == [
        "CreatingSandbox", "CreatingContainer", "Starting"
    ]  # fmt: skip
    assert told[-1]["state"] == "running"
    system.remove("steps")


def history(system, workload_id):
    status, told = system.request("GET", f"/workloads/{workload_id}/history")
    return told["transitions"] if status == 200 else None


@pytest.mark.parametrize(
    ("code", "state", "reason"), [(0, "succeeded", None), (3, "failed", "Error")]
)
def test_exit_codes(system, code, state, reason):
    name = f"exit-{code}"
    system.run(name, "sh", "-c", f"exit {code}")
    told = system.await_end(name)
    assert (told["state"], told.get("reason"), told["exit_code"]) == (state, reason, code)
    assert told["started_at"] <= told["ended_at"]
    system.remove(name)


def test_out_of_memory(system):
    system.run("oom", "tail", "/dev/zero", memory_mb=32)
    told = system.await_end("oom")
    assert (told["state"], told["reason"], told["exit_code"]) == ("failed", "OOMKilled", 137)
    system.remove("oom")


def test_an_image_that_does_not_exist(system):
    status, _ = system.submit("no-image", image="nowhere:nothing")
    assert status == 201
    told = system.await_end("no-image")
    assert (told["state"], told["reason"]) == ("failed", "ImagePullFailed")
    assert "nowhere:nothing" in told["message"]
    assert "not found" in told["message"]
    assert "no-image" not in system.ctr("containers", "ls")
    system.remove("no-image")


def test_a_registry_that_hangs_holds_up_nobody_else(system):
    system.node.pause_registry()
    try:
        system.submit("hanging", image="never-seen:latest")
        await_that("a pull", lambda: system.workload("hanging").get("reason") == "Pulling")
        system.run("beside", "sh", "-c", "exit 0")
        assert system.await_end("beside")["state"] == "succeeded"
        told = system.await_end("hanging")  # the pull is given up by itself
        assert told["reason"] == "ImagePullFailed"
    finally:
        system.node.resume_registry()
    system.remove("hanging", "beside")


def test_a_command_that_is_not_in_the_image(system):
    system.run("no-command", "/bin/nothing")
    told = system.await_end("no-command")
    assert (told["state"], told["reason"]) == ("failed", "StartError")
    assert "/bin/nothing" in told["message"]
    system.remove("no-command")


def test_a_deletion_ends_what_does_not_listen(system):
    system.run("deaf", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    system.await_state("deaf", "running")
    system.remove("deaf")
    assert "deaf" not in system.containers()
    assert not (system.log_dir / "deaf").exists()


def test_a_deletion_during_a_pull(system):
    system.node.pause_registry()
    try:
        system.submit("early", image="never-seen-either:latest")
        system.remove("early")
    finally:
        system.node.resume_registry()


def test_what_the_submitter_says_is_what_runs(system):
    system.run(
        "environment",
        "sh",
        "-c",
        'echo "$0 $1 $COLOUR $(pwd) $(id -u):$(id -g)"',
        args=["zero", "one"],
        env={"COLOUR": "blue"},
        working_dir="/tmp",
        user="1000:1001",
        labels={"team": "blue"},
    )
    assert system.await_end("environment")["state"] == "succeeded"
    assert system.log("environment") == b"zero one blue /tmp 1000:1001\n"
    system.remove("environment")


def test_four_at_once_and_eight_in_a_row(system):
    names = [f"four-{number}" for number in range(4)]
    for name in names:
        system.run(name, *IDLE)
    addresses = {system.await_state(name, "running")["address"] for name in names}
    assert len(addresses) == 4
    assert system.containers() == names
    system.remove(*names)
    for number in range(8):
        system.run("again", "sh", "-c", f"exit {number}")
        assert system.await_end("again")["exit_code"] == number
        system.remove("again")
    assert system.ctr("containers", "ls", "-q") == ""


def test_a_restart_is_another_run_of_the_same_workload(system):
    policy = {"restart_policy": "on_failure", "max_restarts": 1}
    system.run("again", "sh", "-c", "echo run; exit 7", **policy)
    await_that("a back-off", lambda: system.workload("again").get("reason") == "BackOff")
    told = system.workload("again")
    assert (told["exit_code"], told["restarts"]) == (7, 1)
    assert system.log("again", "?follow") == b"run\nrun\n"  # to its end for good
    told = system.workload("again")
    assert (told["state"], told["exit_code"], told["restarts"]) == ("failed", 7, 1)
    system.remove("again")


@pytest.mark.parametrize(
    ("command", "grace", "code"),
    [("trap 'exit 9' TERM; sleep 600 & wait", 30, 9), ("trap '' TERM; sleep 600", 1, 137)],
)
def test_a_stop_asks_first_and_kills_then(system, command, grace, code):
    system.run("stopped", "sh", "-c", f"echo here; {command}")
    system.await_state("stopped", "running")
    await_that("its first words", lambda: system.log("stopped"))
    request = f'{{"type":"StopWorkload","id":"stopped","grace_seconds":{grace}}}\n'
    assert '"state":"Running"' in nc(system.agent_port, request)
    told = system.await_end("stopped")
    assert (told["state"], told["reason"], told["exit_code"]) == ("failed", "Stopped", code)
    assert system.log("stopped") == b"here\n"
    assert "stopped" not in system.ctr("tasks", "ls")

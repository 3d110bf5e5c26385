"""A workload in a real container, from start to removal, as its operator sees it."""

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


def test_nginx_is_started_serves_its_page_and_is_removed(system):
    at = f"http://localhost:{system.port}"
    answer = shell(f"curl -sS -w ' %{{http_code}}' -X POST {at}/workloads -d '{NGINX}'")
    assert answer == f"{NGINX} 201"
    status = system.await_state("test-1", "running")
    assert json.loads(shell(f"curl -sS {at}/workloads/test-1")) == status
    page = await_that("nginx's page", lambda: shell(f"curl -s http://{status['address']}/ || true"))
    assert "<h1>Welcome to nginx!</h1>" in page
    assert system.containers() == ["test-1"]

    system.remove("test-1")
    assert system.containers() == []
    assert system.ctr("containers", "ls", "-q") == ""
    assert system.log_directories() == []


def test_history_keeps_each_step_of_a_start(system):
    system.run("steps", *IDLE)
    system.await_state("steps", "running")
    system.kill("agent")
    transitions = await_that("history", lambda: history(system, "steps"))
    steps = [step.get("reason") for step in transitions if step["state"] == "pending"]
    assert [step for step in steps if step not in (None, "Pulling")] == [
        "CreatingSandbox", "CreatingContainer", "Starting"
    ]  # fmt: skip
    assert transitions[-1]["state"] == "running"
    system.remove("steps")


def history(system, workload_id):
    status, answer = system.request("GET", f"/workloads/{workload_id}/history")
    return answer["transitions"] if status == 200 else None


@pytest.mark.parametrize(
    ("code", "state", "reason"), [(0, "succeeded", None), (3, "failed", "Error")]
)
def test_exit_code_decides_state_and_reason(system, code, state, reason):
    name = f"exit-{code}"
    system.run(name, "sh", "-c", f"exit {code}")
    status = system.await_end(name)
    assert (status["state"], status.get("reason"), status["exit_code"]) == (state, reason, code)
    assert status["started_at"] <= status["ended_at"]
    system.remove(name)


def test_workload_over_its_memory_limit_fails_with_oom_killed(system):
    system.run("oom", "tail", "/dev/zero", memory_mb=32)
    status = system.await_end("oom")
    assert (status["state"], status["reason"], status["exit_code"]) == ("failed", "OOMKilled", 137)
    system.remove("oom")


def test_missing_image_fails_with_image_pull_failed(system):
    status, _ = system.submit("no-image", image="nowhere:nothing")
    assert status == 201
    status = system.await_end("no-image")
    assert (status["state"], status["reason"]) == ("failed", "ImagePullFailed")
    assert "nowhere:nothing" in status["message"]
    assert "not found" in status["message"]
    assert "no-image" not in system.ctr("containers", "ls")
    system.remove("no-image")


def test_hanging_registry_does_not_delay_other_workloads(system):
    system.node.pause_registry()
    try:
        system.submit("hanging", image="never-seen:latest")
        await_that("a pull", lambda: system.workload("hanging").get("reason") == "Pulling")
        system.run("beside", "sh", "-c", "exit 0")
        assert system.await_end("beside")["state"] == "succeeded"
        status = system.await_end("hanging")  # the pull ends at its stall timeout
        assert status["reason"] == "ImagePullFailed"
    finally:
        system.node.resume_registry()
    system.remove("hanging", "beside")


def test_missing_command_fails_with_start_error(system):
    system.run("no-command", "/bin/nothing")
    status = system.await_end("no-command")
    assert (status["state"], status["reason"]) == ("failed", "StartError")
    assert "/bin/nothing" in status["message"]
    system.remove("no-command")


def test_delete_kills_a_workload_that_ignores_sigterm(system):
    system.run("deaf", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    system.await_state("deaf", "running")
    system.remove("deaf")
    assert "deaf" not in system.containers()
    assert not (system.log_dir / "deaf").exists()


def test_delete_during_a_pull_cancels_it(system):
    system.node.pause_registry()
    try:
        system.submit("early", image="never-seen-either:latest")
        system.remove("early")
    finally:
        system.node.resume_registry()


def test_workload_runs_with_its_arguments_environment_directory_and_user(system):
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


def test_four_workloads_run_at_once_and_an_id_is_used_eight_times(system):
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


def test_restarted_workload_keeps_its_log_and_counts_restarts(system):
    policy = {"restart_policy": "on_failure", "max_restarts": 1}
    system.run("again", "sh", "-c", "echo run; exit 7", **policy)
    await_that("a back-off", lambda: system.workload("again").get("reason") == "BackOff")
    status = system.workload("again")
    assert (status["exit_code"], status["restarts"]) == (7, 1)
    assert system.log("again", "?follow") == b"run\nrun\n"  # to its end for good
    status = system.workload("again")
    assert (status["state"], status["exit_code"], status["restarts"]) == ("failed", 7, 1)
    system.remove("again")


@pytest.mark.parametrize(
    ("command", "grace", "code"),
    [("trap 'exit 9' TERM; sleep 600 & wait", 30, 9), ("trap '' TERM; sleep 600", 1, 137)],
)
def test_stop_sends_sigterm_and_kills_after_the_grace_period(system, command, grace, code):
    system.run("stopped", "sh", "-c", f"echo here; {command}")
    system.await_state("stopped", "running")
    await_that("the first line", lambda: system.log("stopped"))
    request = f'{{"type":"StopWorkload","id":"stopped","grace_seconds":{grace}}}\n'
    assert '"state":"Running"' in nc(system.agent_port, request)
    status = system.await_end("stopped")
    assert (status["state"], status["reason"], status["exit_code"]) == ("failed", "Stopped", code)
    assert system.log("stopped") == b"here\n"
    assert "stopped" not in system.ctr("tasks", "ls")

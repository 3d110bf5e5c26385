"""SIGKILL of every process at any moment: nothing is lost or duplicated."""

from collections import Counter

import pytest

from .system import IDLE, await_that


def test_running_workloads_survive_a_killed_daemon(system, victim):
    names = ["one", "two", "three"]
    for name in names:
        system.run(name, *IDLE)
    before = {name: system.await_state(name, "running") for name in names}
    for _ in range(2):
        system.kill(victim)
        await_that("an answer", lambda: system.workload("one"))
        assert {name: system.workload(name) for name in names} == before
    assert system.containers() == sorted(names)
    system.run("after", "sh", "-c", "exit 0")
    assert system.await_end("after")["state"] == "succeeded"
    assert {name: system.workload(name) for name in names} == before
    system.remove(*names, "after")
    assert system.ctr("containers", "ls", "-q") == ""


def test_end_while_a_daemon_is_down_is_reported_afterwards(system, victim):
    system.run("brief", "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 5")
    system.await_state("brief", "running")
    process = system.process("brief")

    def end():
        (process / "root/tmp/go").touch()
        await_that("the end of the process", lambda: not process.exists())

    system.kill(victim, end)
    status = system.await_end("brief")
    assert (status["state"], status["exit_code"]) == ("failed", 5)
    system.remove("brief")


@pytest.mark.parametrize("delay", range(6))
def test_starts_in_progress_when_a_daemon_is_killed_create_one_zone_each(system, victim, delay):
    """Kill while starts are under way; later in each round."""
    names = [f"start-{number}" for number in range(3)]
    for name in names:
        system.run(name, *IDLE)
    for _ in range(delay * 2):
        system.workload(names[0])
    system.kill(victim)
    for name in names:
        status = system.await_state(name, "running", "failed")
        assert status["state"] == "running", status
    await_that("one container each", lambda: system.containers() == names)
    await_that(
        "one sandbox each", lambda: len(system.ctr("containers", "ls", "-q").split()) == 2 * 3
    )
    system.remove(*names)
    await_that("nothing left", lambda: system.ctr("containers", "ls", "-q") == "")


def test_removals_in_progress_when_a_daemon_is_killed_are_completed(system, victim):
    names = [f"remove-{number}" for number in range(3)]
    for name in names:
        system.run(name, *IDLE)
    for name in names:
        system.await_state(name, "running")
    for name in names:
        assert system.request("DELETE", f"/workloads/{name}")[0] == 202
    system.kill(victim)
    system.remove(*names)
    await_that("nothing left", lambda: system.ctr("containers", "ls", "-q") == "")
    assert system.log_directories() == []


def test_pull_in_progress_is_continued_after_kills(system):
    system.node.pause_registry()
    try:
        system.submit("pulled", image="library/nginx:latest")
        await_that("a pull", lambda: system.workload("pulled").get("reason") == "Pulling")
        for victim in (*system.daemons, "containerd"):
            system.kill(victim)
    finally:
        system.node.resume_registry()
    assert system.await_state("pulled", "running", "failed")["state"] == "running"
    assert system.containers() == ["pulled"]


def test_removal_that_waits_for_a_container_is_continued_after_kills(system):
    system.run("deaf", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    system.await_state("deaf", "running")
    assert system.request("DELETE", "/workloads/deaf")[0] == 202
    for victim in (*system.daemons, "containerd"):
        system.kill(victim)
    system.remove("deaf")
    await_that("nothing left", lambda: system.ctr("containers", "ls", "-q") == "")


def test_removed_zone_leaves_no_process_network_or_cgroup(system):
    # A containerd that was killed while it created a sandbox has left parts of it that it does
    # not report: a network namespace, an address, a shim.
    before = system.leftovers()
    print("left by containerd itself:", before)
    system.run("alone", *IDLE)
    system.await_state("alone", "running")
    more = Counter(system.leftovers()) - Counter(before)
    assert (more["containerd-shim"], more["pause"]) == (1, 1)
    assert more.total() == 2 + 1 + 1 + 2  # with an address, a network namespace, two groups
    system.remove("alone")
    await_that("nothing", lambda: Counter(system.leftovers()) == Counter(before))


def test_running_workload_survives_kills_of_all_daemons(system):
    system.run("survivor", *IDLE)
    before = system.await_state("survivor", "running")
    for victim in (*system.daemons, "containerd"):
        system.kill(victim)
    await_that("an answer", lambda: system.workload("survivor"))
    assert system.workload("survivor") == before
    system.remove("survivor")

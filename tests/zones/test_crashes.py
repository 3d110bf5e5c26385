"""SIGKILL for everything, at every moment: nothing is lost, nothing is doubled."""

import pytest
from zones_system import IDLE, await_that

EVERYTHING = ("agent", "sidecar", "containerd", "plane")


@pytest.mark.parametrize("victim", EVERYTHING)
def test_what_runs_goes_on(system, victim):
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


@pytest.mark.parametrize("victim", EVERYTHING)
def test_what_ends_meanwhile_is_told_afterwards(system, victim):
    system.run("brief", "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 5")
    system.await_state("brief", "running")
    container = system.zone("brief")["container_id"]
    system.ctr("tasks", "exec", "--exec-id", "go", container, "touch", "/tmp/go")
    system.kill(victim)
    told = system.await_end("brief")
    assert (told["state"], told["exit_code"]) == ("failed", 5)
    system.remove("brief")


@pytest.mark.parametrize("victim", EVERYTHING)
@pytest.mark.parametrize("delay", range(6))
def test_starting(system, victim, delay):
    """Kill while starts are under way; later in each round."""
    names = [f"start-{number}" for number in range(3)]
    for name in names:
        system.run(name, *IDLE)
    for _ in range(delay * 2):
        system.workload(names[0])
    system.kill(victim)
    for name in names:
        assert system.await_state(name, "running", "failed")["state"] == "running"
    await_that("one container each", lambda: system.containers() == names)
    sandboxes = system.ctr("containers", "ls", "-q").split()
    await_that("no sandbox too many", lambda: len(sandboxes) == 6 or sandboxes.clear())
    system.remove(*names)
    await_that("nothing left", lambda: system.ctr("containers", "ls", "-q") == "")


@pytest.mark.parametrize("victim", EVERYTHING)
def test_removing(system, victim):
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
    assert list(system.log_dir.iterdir()) == []


def test_everything_at_once(system):
    system.run("survivor", *IDLE)
    before = system.await_state("survivor", "running")
    for victim in EVERYTHING:
        system.kill(victim)
    await_that("an answer", lambda: system.workload("survivor"))
    assert system.workload("survivor") == before
    system.remove("survivor")

"""All processes that manage zones die together, as on a machine that runs out of memory."""

import subprocess

import pytest

from .system import IDLE, WAIT_SECONDS, await_that


def kill_all(system):
    for name in system.zone_daemons:
        system.kill(name)
    await_that("an answer", lambda: system.request("GET", "/workloads")[0] == 200)


@pytest.mark.parametrize("moment", range(6))
def test_start_in_progress_is_continued_after_all_zone_daemons_died(system, moment):
    """The runtime's calls that are under way end with their caller, StartContainer for one."""
    system.run("starting", *IDLE)
    for _ in range(moment * 4):
        system.workload("starting")
    kill_all(system)
    status = system.await_state("starting", "running", "failed")
    assert status["state"] == "running", status
    await_that("one container", lambda: system.containers() == ["starting"])
    await_that("one sandbox", lambda: len(system.ctr("containers", "ls", "-q").split()) == 2)


def test_ended_workload_keeps_status_and_log_after_all_zone_daemons_died(system):
    system.run("ended", "sh", "-c", "echo line; exit 3")
    before = system.await_end("ended")
    await_that("the sandbox's end", lambda: system.ctr("tasks", "ls", "-q") == "")
    kill_all(system)
    assert system.workload("ended") == before
    assert system.log("ended") == b"line\n"


def test_followed_log_continues_after_all_zone_daemons_died(system):
    lines = "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); usleep 100000; done"
    system.run("counting", "sh", "-c", lines)
    system.await_state("counting", "running")
    command = ["curl", "-sS", "-N", "--max-time", str(WAIT_SECONDS)]
    with subprocess.Popen(
        [*command, system.url("/workloads/counting/log?follow")], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout.readline() == b"0\n"
        kill_all(system)
        assert reader.stdout.read() == b"".join(b"%d\n" % number for number in range(1, 40))
        assert reader.wait() == 0

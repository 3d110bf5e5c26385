"""Logs of real containers, over HTTP."""

import subprocess

from .system import WAIT_SECONDS


def test_log_of_an_ended_workload_is_read_whole_by_tail_and_followed(system):
    system.run("counting", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; printf end")
    system.await_end("counting")
    whole = b"".join(b"line %d\n" % number for number in range(1, 6)) + b"end"
    assert system.log("counting") == whole
    assert system.log("counting", "?tail=2") == b"line 5\nend"
    assert system.log("counting", "?follow") == whole
    system.remove("counting")


def test_followed_log_of_a_container_delivers_lines_as_they_are_written(system):
    script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last"
    system.run("followed", "sh", "-c", script)
    system.await_state("followed", "running")
    command = ["curl", "-sS", "-N", "--max-time", str(WAIT_SECONDS)]
    with subprocess.Popen(
        [*command, system.url("/workloads/followed/log?follow")], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout.readline() == b"first\n"
        container = system.container("followed")["ID"]
        system.ctr("tasks", "exec", "--exec-id", "go", container, "touch", "/tmp/go")
        assert reader.stdout.read() == b"last\n"
        assert reader.wait() == 0
    system.remove("followed")


def test_followed_log_loses_nothing_across_rotation(system):
    size, pieces = 1_500_000, 30
    script = (
        f"i=0; while [ $i -lt {pieces} ]; do head -c {size} /dev/zero | tr '\\0' x; echo;"
        "i=$((i+1)); usleep 250000; done"
    )
    system.run("chatty", "sh", "-c", script)
    log = system.log("chatty", "?follow")
    assert len(log) == pieces * (size + 1)
    assert system.await_end("chatty")["state"] == "succeeded"
    files = list((system.log_dir / "chatty").glob("*.log*"))
    assert 1 < len(files) <= 5
    system.remove("chatty")

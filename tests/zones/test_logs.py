"""Logs of real containers, over HTTP."""

import datetime as dt
import json
import shutil
import subprocess
from base64 import b64decode

from .system import WAIT_SECONDS, await_that


def release(system, workload_id):
    """Create the file that the container's script waits for."""
    container = system.container(workload_id)["ID"]
    system.ctr("tasks", "exec", "--exec-id", "go", container, "touch", "/tmp/go")


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
        release(system, "followed")
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


def lines(system, workload_id, query=""):
    """Return the objects of a log as JSON."""
    log = system.log(workload_id, f"?format=ndjson{query}")
    return [json.loads(line) for line in log.splitlines()]


def test_lines_have_the_time_stream_and_attempt_that_the_runtime_recorded(system):
    script = (
        "echo out 1; echo err 1 >&2; sleep 1.2; echo out 2; printf '\\377\\033[2J';"
        " [ -e /tmp/again ] && exit 0; exit 3"
    )
    before = dt.datetime.now(dt.UTC)
    system.run("streams", "sh", "-c", script, restart_policy="on_failure", max_restarts=1)
    assert system.await_end("streams")["state"] == "failed"
    everything = lines(system, "streams")
    marks = [each for each in everything if "type" in each]
    assert marks == [{"type": "attempt", "attempt": 1}]
    records = [each for each in everything if "type" not in each]
    for attempt in (0, 1):
        written = [each for each in records if each["attempt"] == attempt]
        assert sorted(each["line"] for each in written[:2]) == ["err 1", "out 1"]
        assert [each["line"] for each in written[2:]] == ["out 2", "\ufffd\x1b[2J"]
        assert b64decode(written[-1]["base64"]) == b"\xff\x1b[2J"
    # The runtime reads both streams concurrently, and takes a line's time before it writes it.
    for stream in ("stdout", "stderr"):
        times = [
            dt.datetime.fromisoformat(each["at"]) for each in records if each["stream"] == stream
        ]
        assert times == sorted(times)
        assert before < times[0] < times[-1] < dt.datetime.now(dt.UTC)

    assert system.log("streams", "?stream=stderr") == b"err 1\nerr 1\n"
    assert system.log("streams", "?stream=stderr&tail=1&timestamps").endswith(b"Z err 1\n")
    assert [
        each["line"] for each in lines(system, "streams", "&attempt=0&stream=stdout&tail=2")
    ] == [
        "out 2",
        "\ufffd\x1b[2J",
    ]
    second = [each for each in records if each["line"] == "out 2"][1]
    since = lines(system, "streams", f"&since={second['at']}")
    assert since == records[records.index(second) :]
    assert system.log("streams", "?since=1h&follow").count(b"out 2") == 2
    assert system.log("streams", "?since=0s") == b""
    system.remove("streams")


def test_selected_lines_are_followed_across_rotations_and_restarts_of_the_daemons(system):
    size, pieces = 1_500_000, 20
    script = (
        f"i=0; while [ $i -lt {pieces} ]; do head -c {size} /dev/zero | tr '\\0' x; echo;"
        "echo error $i >&2; i=$((i+1)); usleep 250000;"
        f"[ $i -lt {pieces - 1} ] || while [ ! -e /tmp/go ]; do sleep 0.05; done; done"
    )
    system.run("selected", "sh", "-c", script)
    system.await_state("selected", "running")
    command = ["curl", "-sS", "-N", "--max-time", str(WAIT_SECONDS)]
    url = system.url("/workloads/selected/log?follow&stream=stderr&format=ndjson")
    directory = system.log_dir / "selected"
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE) as reader:
        received = [json.loads(reader.stdout.readline())]
        system.kill("agent")
        await_that("a rotated log", lambda: len(list(directory.glob("*.log*"))) > 1)
        release(system, "selected")
        received += map(json.loads, reader.stdout)
        assert reader.wait() == 0
    assert [each["line"] for each in received] == [f"error {number}" for number in range(pieces)]
    assert system.await_end("selected")["state"] == "succeeded"
    assert [each["line"] for each in lines(system, "selected", "&stream=stderr&tail=2")] == [
        f"error {pieces - 2}",
        f"error {pieces - 1}",
    ]
    system.remove("selected")


def test_log_of_a_removed_workload_keeps_its_times_and_streams(system):
    system.run("gone", "sh", "-c", "echo out; echo err >&2; exit 3")
    system.await_end("gone")
    before = lines(system, "gone")
    system.remove("gone")
    assert lines(system, "gone", "&removed") == before
    assert system.log("gone", "?removed&stream=stderr") == b"err\n"
    assert sorted(system.log("gone", "?removed").splitlines()) == [b"err", b"out"]


def test_log_continues_after_another_program_deleted_it(system):
    system.run("writer", "sh", "-c", "while :; do echo line; sleep 0.1; done")
    system.await_state("writer", "running")
    directory = system.log_dir / "writer"
    (directory / "0.log").unlink()
    await_that("a new file", lambda: system.log("writer"))
    shutil.rmtree(directory)
    await_that("a new directory", directory.exists)
    await_that("its log", lambda: system.log("writer"))

"""A session with the command kakuri alone, on real containers: from doctor to rm."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from .system import await_that

KAKURI = Path(sys.executable).parent / "kakuri"
WAIT_SECONDS = 100
IMAGE = "busybox:latest"


@pytest.fixture
def environment(system, tmp_path):
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path),
        "KAKURI_HOST": f"http://127.0.0.1:{system.port}",
    }  # fmt: skip


@pytest.fixture
def kakuri(environment):
    """Run the command; return exit code, output and errors."""

    def run(*arguments):
        done = subprocess.run([KAKURI, *arguments], capture_output=True, text=True, check=False,
                              env=environment, timeout=WAIT_SECONDS)  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def begin(environment):
    """Start the command; return its process, which ends with the test."""
    with ExitStack() as stack:

        def start(*arguments):
            process = stack.enter_context(
                subprocess.Popen([KAKURI, *arguments], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=environment)
            )  # fmt: skip
            stack.callback(process.kill)
            return process

        yield start


def test_doctor_starts_reads_and_removes_a_real_workload(kakuri):
    code, out, _ = kakuri("doctor", "--no-local", "--run", "--image", IMAGE)
    lines = out.splitlines()
    for name in ("start a workload", "its output", "remove it"):
        assert any(line.startswith(f"ok    {name}") for line in lines), out
    assert "no longer in the runtime's list" in out
    assert "warn  its kernel" in out  # the tests' handler runs containers of this kernel
    assert code == 0


def test_run_separates_output_from_errors_and_exits_as_the_workload(kakuri):
    code, out, err = kakuri(
        "run", "--rm", "--name", "command", "-m", "64M", IMAGE, "--",
        "sh", "-c", "echo out; echo err >&2; exit 3",
    )  # fmt: skip
    assert (code, out) == (3, "out\n"), err
    assert "err\n" in err
    assert "ended: exit code 3 (Error)" in err
    assert "removed: zone" in err


def test_failed_pull_is_explained_on_one_screen(kakuri):
    code, _, _ = kakuri("run", "--name", "no-image", "missing:9")
    assert code == 125
    assert kakuri("wait", "no-image", "--for", "running", "--timeout", "60")[0] == 1
    screen = kakuri("status", "no-image")[1].splitlines()
    assert screen[0].startswith("no-image  failed  ImagePullFailed")
    assert "not found" in screen[1]
    assert "may the node pull it?" in screen[-1]
    assert kakuri("rm", "no-image")[0] == 0


def test_crash_loop_is_explained_on_one_screen(kakuri):
    kakuri("run", "-d", "--name", "loop", "-m", "64M", "--restart", "on_failure:5", IMAGE, "--",
           "sh", "-c", "echo crashing; exit 7")  # fmt: skip
    screen = await_that("back-off", lambda: back_off(kakuri("status", "loop")[1]))
    assert "on_failure, at most 5 times in a row, 1 so far, next in" in screen
    assert "    crashing\n" in screen
    assert "its runs keep ending: the message above has the cause, or kakuri logs loop" in screen
    assert kakuri("rm", "-f", "loop")[0] == 0


def back_off(screen):
    """Return a screen that shows a back-off; else an empty text."""
    return screen if "BackOff" in screen.partition("\n")[0] else ""


def test_workload_that_exceeds_its_memory_is_explained_on_one_screen(kakuri):
    code, _, err = kakuri("run", "--name", "hungry", "-m", "16M", IMAGE, "--",
                          "sh", "-c", "exec tail /dev/zero")  # fmt: skip
    assert code == 137, err
    screen = kakuri("status", "hungry")[1]
    assert "OOMKilled" in screen.splitlines()[0]
    assert "it needs more memory than 16 MiB" in screen
    assert kakuri("rm", "hungry")[0] == 0


def test_stopped_workload_is_started_again_and_removed_with_a_receipt(kakuri):
    idle = ("sh", "-c", "trap 'exit 0' TERM; echo began; sleep 600 & wait")
    kakuri("run", "-d", "--name", "idle", "-m", "64M", IMAGE, "--", *idle)
    assert kakuri("wait", "idle", "--for", "running")[0] == 0
    assert kakuri("stop", "idle")[1].startswith("idle  stopped: exit code 0")
    assert kakuri("start", "idle")[0] == 0
    assert kakuri("wait", "idle", "--for", "running")[0] == 0
    code, out, _ = kakuri("rm", "-f", "--grace", "5s", "idle")
    assert code == 0
    assert "idle  removed: zone " in out
    assert "gone (no longer in the runtime's list)" in out
    assert kakuri("status", "idle")[0] == 0
    assert kakuri("logs", "idle")[1].count("began\n") >= 1


def test_run_and_followed_logs_miss_nothing_while_what_manages_the_zones_is_killed(
    system, begin, kakuri
):
    counting = "for i in $(seq 1 60); do echo line $i; sleep 0.1; done; exit 3"
    run = begin("run", "--name", "count", "-m", "64M", IMAGE, "--", "sh", "-c", counting)
    first = run.stdout.readline()
    logs = begin("logs", "-f", "count")
    assert (first, logs.stdout.readline()) == ("line 1\n", "line 1\n")
    victim = system.zone_daemons[0]
    getattr(system, victim).end(signal.SIGKILL)
    system.start(victim)
    # Not with communicate(), which would miss what readline() has read ahead.
    rest, followed, err = run.stdout.read(), logs.stdout.read(), run.stderr.read()
    expected = "".join(f"line {number}\n" for number in range(2, 61))
    assert (rest, followed) == (expected, expected), err
    assert (run.wait(WAIT_SECONDS), logs.wait(WAIT_SECONDS)) == (3, 0), err
    assert kakuri("wait", "count", "--exit-code")[0] == 3
    assert kakuri("rm", "count")[0] == 0

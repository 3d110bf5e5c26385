"""The command kakuri as a process, with real daemons in front of a fake container runtime."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kakuri_cri.testing import FakeCri, FakeImage

from .processes import DEADLINE

KAKURI = Path(sys.executable).parent / "kakuri"
IMAGES = {
    "web:1": FakeImage(state="present", output=b"hello\n"),
    "job:1": FakeImage(state="present", output=b"hi\n", exit_code=3),
    "ok:1": FakeImage(state="present", output=b"hi\n", exit_code=0),
    "missing:1": FakeImage(state="missing"),
}


@pytest.fixture
async def cri():
    async with FakeCri(images=IMAGES) as fake:
        yield fake


class Stack:
    """An agent and a control plane, which can be killed and started again at their addresses."""

    def __init__(self, start, cri, directory):
        self._start = start
        self._directory = directory
        self._agent_options = [
            "--listen", f"unix:{directory}/agent.sock", "--runtime", "cri",
            "--cri", str(cri.endpoint), "--log-dir", str(directory / "logs"),
            "--state-dir", str(directory / "state"), "--name", "node1",
            "--memory-mb", "4096", "--cpu-millicores", "4000",
        ]  # fmt: skip
        self.start_agent()
        self.address = "127.0.0.1:0"
        self.start_plane()
        self.address = self.plane.address

    def start_agent(self):
        self.agent = self._start("kakuri-agent", *self._agent_options)

    def start_plane(self):
        agent = f"unix:{self._directory}/agent.sock"
        self.plane = self._start("kakuri-control-plane", "--listen", self.address, "--agent", agent)

    def await_requests(self, target, count):
        """Wait until the control plane has answered this number of requests for a target."""
        deadline = time.monotonic() + DEADLINE
        while self.plane.log.read_text().count(target) < count:
            assert time.monotonic() < deadline, self.plane.log.read_text()

    def kill(self, victim):
        getattr(self, victim).end(signal.SIGKILL)

    def restart(self, victim):
        getattr(self, f"start_{victim}")()


@pytest.fixture
async def stack(start, cri, tmp_path):
    return await asyncio.to_thread(Stack, start, cri, tmp_path)


@pytest.fixture
async def kakuri(stack, tmp_path):
    """Start the command; return the process."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "KAKURI_HOST": f"http://{stack.address}",
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    started = []

    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            KAKURI, *arguments, stdout=pipe, stderr=pipe, env=environment
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
async def output(kakuri):
    """Run the command to its end; return exit code, output and errors."""

    async def run(*arguments):
        process = await kakuri(*arguments)
        async with asyncio.timeout(3 * DEADLINE):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    return run


async def lines_until(process, pattern):
    """Read lines of a command up to the first that matches; return all."""
    lines = []
    async with asyncio.timeout(3 * DEADLINE):
        while True:
            line = (await process.stdout.readline()).decode()
            assert line, f"{pattern} did not come: {lines}, {await process.stderr.read()}"
            lines.append(line)
            if re.search(pattern, line):
                return lines


async def test_run_in_the_foreground_has_the_output_and_exit_code_of_the_workload(output):
    code, out, err = await output("run", "--rm", "--name", "job", "-m", "64M", "job:1")
    assert (code, out) == (3, "hi\n")
    assert "ended: exit code 3 (Error)" in err
    assert "removed: zone" in err
    assert "gone (no longer in the runtime's list)" in err
    assert (await output("ps", "-aq"))[1] == ""


async def test_run_of_an_image_that_is_missing_is_125_with_the_message_of_the_registry(output):
    code, out, err = await output("run", "--name", "job", "missing:1")
    assert (code, out) == (125, "")
    assert "ended: failed (ImagePullFailed)" in err
    _, screen, _ = await output("status", "job")
    assert "ImagePullFailed" in screen.splitlines()[0]


async def test_session_from_start_to_removal(output, cri):
    assert (await output("run", "-d", "--name", "web", "web:1"))[:2] == (0, "web\n")
    assert (await output("wait", "web", "--for", "running"))[:2] == (0, "web  running\n")
    _, table, _ = await output("ps")
    assert re.search(r"^web +running +web:1 .* node1 ", table, re.MULTILINE)
    assert (await output("logs", "web"))[1] == "hello\n"
    assert "stop requested" not in (await output("events"))[1]
    code, out, _ = await output("stop", "web")
    assert (code, out) == (0, "web  stopped: exit code 143 (Stopped)\n")
    assert (await output("start", "web"))[1] == "web  started\n"
    assert (await output("wait", "web", "--for", "running"))[0] == 0
    assert (await output("restart", "web"))[0] == 0
    code, out, _ = await output("rm", "-f", "web")
    assert code == 0
    assert "no longer in the runtime's list" in out
    code, out, err = await output("status", "web")
    assert code == 0
    assert err.startswith("web was removed")
    assert "hello" in (await output("logs", "web"))[1]
    assert cri.containers == []
    kinds = [
        json.loads(line)["type"] for line in (await output("events", "--json"))[1].splitlines()
    ]
    assert {"workload", "desired", "removed"} <= set(kinds)


async def test_doctor_with_a_trial_reports_failed_checks(output):
    code, out, _ = await output("doctor", "--no-local", "--run", "--image", "ok:1", "--json")
    results = {one["name"]: one["result"] for one in json.loads(out)["checks"]}
    assert results["start a workload"] == "ok"
    assert results["remove it"] == "ok"
    assert results["its output"] == "fail"  # the fake runtime runs no command
    assert code == 1


async def test_file_is_applied_and_applied_again(output, tmp_path):
    file = tmp_path / "kakuri.toml"
    file.write_text('set = "shop"\n[workload.web]\nimage = "web:1"\nmemory = "64MiB"\n')
    assert (await output("diff", "-f", str(file)))[0] == 1
    assert (await output("plan", "-f", str(file)))[0] == 0
    assert (await output("apply", "-f", str(file)))[1] == "web  created\n"
    assert (await output("diff", "-f", str(file)))[0] == 0
    file.write_text(file.read_text().replace("64MiB", "128MiB"))
    assert (await output("apply", "--yes", "-f", str(file)))[1] == "web  replaced\n"
    assert "128 MiB" in (await output("status", "web"))[1]


async def test_workload_that_can_never_fit_exits_with_5(output):
    code, _, err = await output("run", "-d", "--name", "big", "-m", "8G", "web:1")
    assert code == 5
    assert "4096" in err


@pytest.mark.parametrize("victim", ["agent", "plane"])
async def test_followed_log_continues_after_a_kill_without_a_gap_or_a_repetition(
    kakuri, output, stack, cri, victim
):
    await output("run", "-d", "--name", "web", "web:1")
    process = await kakuri("logs", "-f", "web")
    await lines_until(process, "hello")
    cri.write("web", b"one\n")
    await lines_until(process, "one")
    await asyncio.to_thread(stack.kill, victim)
    cri.write("web", b"two\nthree\n")
    await asyncio.to_thread(stack.restart, victim)
    assert await lines_until(process, "three") == ["two\n", "three\n"]
    cri.exit("web", 3)
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert b"web ended: exit code 3 (Error)" in err


@pytest.mark.parametrize("victim", ["agent", "plane"])
async def test_run_continues_after_a_kill_to_the_exit_code(kakuri, stack, cri, victim):
    process = await kakuri("run", "--name", "web", "web:1")
    await lines_until(process, "hello")
    await asyncio.to_thread(stack.kill, victim)
    cri.write("web", b"bye\n")
    cri.exit("web", 7)
    await asyncio.to_thread(stack.restart, victim)
    async with asyncio.timeout(3 * DEADLINE):
        out, err = await process.communicate()
    assert (process.returncode, out) == (7, b"bye\n"), err


@pytest.mark.parametrize("victim", ["agent", "plane"])
async def test_wait_continues_after_a_kill(kakuri, output, stack, cri, victim):
    await output("run", "-d", "--name", "web", "web:1")
    await lines_until(await kakuri("logs", "-f", "web"), "hello")
    process = await kakuri("wait", "web")
    await asyncio.to_thread(stack.await_requests, "target=/workloads/web?", 1)
    await asyncio.to_thread(stack.kill, victim)
    cri.exit("web", 7)
    await asyncio.to_thread(stack.restart, victim)
    async with asyncio.timeout(3 * DEADLINE):
        out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"web  exit code 7 (Error)\n"), err


@pytest.mark.parametrize("victim", ["agent", "plane"])
async def test_followed_events_continue_after_a_kill_without_a_gap(
    kakuri, output, stack, cri, victim
):
    process = await kakuri("events", "-f", "--json", "--since", "0")
    await output("run", "-d", "--name", "web", "web:1")
    before = await lines_until(process, '"running"')
    await asyncio.to_thread(stack.kill, victim)
    cri.exit("web", 7)
    await asyncio.to_thread(stack.restart, victim)
    after = await lines_until(process, '"exit_code":7')
    seen = [json.loads(line)["index"] for line in [*before, *after]]
    _, kept, _ = await output("events", "--json")
    journal = [json.loads(line)["index"] for line in kept.splitlines()]
    assert seen == [index for index in journal if index <= seen[-1]]


async def test_interrupt_stops_the_workload_and_a_third_one_leaves_it(kakuri, cri, output):
    process = await kakuri("run", "--name", "web", "web:1")
    await lines_until(process, "hello")
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(3 * DEADLINE):
        _, err = await process.communicate()
    assert process.returncode == 143
    assert b"stopping, with 10 s to end by itself" in err


def test_up_reports_that_its_system_is_simulated(tmp_path):
    command = [KAKURI, "up", "--listen", "127.0.0.1:0", "--agent", "127.0.0.1:0",
               "--runtime", "simulated", "--json"]  # fmt: skip
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        host = json.loads(process.stdout.readline())["control_plane"]
        done = subprocess.run([KAKURI, "--host", host, "ps"], capture_output=True, text=True,
                              check=True)  # fmt: skip
        assert "nothing really runs" in done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(DEADLINE)
        process.stdout.close()
    assert code == 0
    assert "SIMULATED: nothing really runs" in (tmp_path / "err").read_text()

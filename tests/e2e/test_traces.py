"""A trace id is the same in the logs of all three daemons, in events and in problems."""

import asyncio
import json
import re
import time

import pytest
from kakuri_cri.testing import FakeCri

from .processes import DEADLINE, curl

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DOCUMENT = {
    "id": "web", "image": "app:1", "runtime_class": "edera-zone", "memory_mb": 64,
    "cpu_millicores": 100,
}  # fmt: skip


@pytest.fixture
async def cri():
    async with FakeCri(handlers=("", "edera")) as fake:
        yield fake


@pytest.fixture
async def stack(start, cri, tmp_path):
    """Run the control plane, the agent and the sidecar, in front of a fake container runtime."""

    def daemons():
        sidecar = start(
            "kakuri-sidecar", "--listen", f"unix:{tmp_path}/sidecar.sock",
            "--cri", str(cri.endpoint), "--log-dir", str(tmp_path / "logs"),
        )  # fmt: skip
        agent = start(
            "kakuri-agent", "--listen", f"unix:{tmp_path}/agent.sock", "--runtime", "sidecar",
            "--sidecar", sidecar.address, "--state-dir", str(tmp_path / "state"),
        )  # fmt: skip
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
        return plane, agent, sidecar

    return await asyncio.to_thread(daemons)


async def events(url, kind):
    """Return the events of the workload up to one of a type."""
    command = ("curl", "--silent", "--no-buffer", f"{url}/events?after=0&workload=web")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    found = []
    try:
        while not found or found[-1]["type"] != kind:
            found.append(json.loads(await process.stdout.readline()))
    finally:
        process.kill()
        await process.communicate()
    return [each for each in found if each["type"] != "heartbeat"]


async def await_line(daemon, text, trace):
    """Wait until the log has a line that begins with this text, with this trace."""
    line = re.compile(rf"\] {text} .* trace={trace}$", re.MULTILINE)
    deadline = time.monotonic() + DEADLINE
    while not line.search(daemon.log.read_text()):
        assert time.monotonic() < deadline, daemon.log.read_text()
        await asyncio.sleep(0.01)


async def test_one_id_is_found_in_every_log_and_event_of_a_request(stack, cri):
    plane, agent, sidecar = stack
    url = f"http://{plane.address}"
    traced = ["-H", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01"]
    made = await asyncio.to_thread(
        curl, f"{url}/workloads", "--data", json.dumps(DOCUMENT), *traced
    )
    assert (made.status, made.headers["traceparent"][:36]) == (201, f"00-{TRACE}-")
    await cri.calls.wait_for("StartContainer")
    removal = await asyncio.to_thread(
        curl, f"{url}/workloads/web?grace_seconds=0", "--request", "DELETE"
    )
    other = removal.headers["traceparent"].split("-")[1]
    found = await events(url, "removed")
    by_trace = [
        [each["type"] for each in found if each.get("trace") == trace] for trace in (TRACE, other)
    ]
    assert by_trace[0][0] == "workload"
    assert by_trace[1][0] == "desired"
    assert by_trace[1][-1] == "removed"
    assert sum(map(len, by_trace)) == len(found)
    for daemon, text in ((plane, "request"), (agent, "workload accepted"), (sidecar, "request")):
        await await_line(daemon, text, TRACE)
    for daemon, text in ((agent, "workload removed"), (sidecar, "request")):
        await await_line(daemon, text, other)
    again = await asyncio.to_thread(curl, f"{url}/workloads/web", *traced)
    assert (again.status, json.loads(again.body)["trace"]) == (404, TRACE)


async def test_failed_start_is_found_by_the_trace_of_its_request(stack, cri):
    plane, agent, sidecar = stack
    cri.faults.set("PullImage", "error(NOT_FOUND: no such image)")
    made = await asyncio.to_thread(
        curl, f"http://{plane.address}/workloads", "--data", json.dumps(DOCUMENT)
    )
    trace = made.headers["traceparent"].split("-")[1]
    for text in ("workload accepted", "zone not started", "workload changed .*state=failed"):
        await await_line(agent, text, trace)
    await await_line(sidecar, "start failed", trace)


async def test_agent_that_runs_zones_itself_logs_their_lines_with_the_trace(start, cri, tmp_path):
    cri.faults.set("PullImage", "error(NOT_FOUND: no such image)")

    def submit():
        agent = start(
            "kakuri-agent", "--listen", f"unix:{tmp_path}/agent.sock", "--runtime", "cri",
            "--cri", str(cri.endpoint), "--log-dir", str(tmp_path / "logs"),
            "--state-dir", str(tmp_path / "state"),
        )  # fmt: skip
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
        traced = ["-H", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01"]
        made = curl(f"http://{plane.address}/workloads", "--data", json.dumps(DOCUMENT), *traced)
        assert made.status == 201
        return agent

    agent = await asyncio.to_thread(submit)
    expected = ("workload accepted", "pulling", "pull failed", "start failed", "workload changed")
    for text in expected:
        await await_line(agent, text, TRACE)

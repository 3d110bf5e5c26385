"""An agent without a sidecar, as a process with its control plane."""

import asyncio
import json

import pytest
from kakuri_cri.testing import FakeCri

from .processes import DEADLINE, curl


@pytest.fixture
async def cri():
    async with FakeCri(handlers=("", "edera", "qemu", "runc")) as fake:
        yield fake


@pytest.fixture
async def url(start, cri, tmp_path):
    """The address of a control plane whose agent calls the fake runtime itself."""

    def daemons():
        agent = start(
            "kakuri-agent", "--listen", f"unix:{tmp_path}/agent.sock", "--runtime", "cri",
            "--cri", str(cri.endpoint), "--log-dir", str(tmp_path / "logs"),
            "--state-dir", str(tmp_path / "state"),
        )  # fmt: skip
        return start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)

    return f"http://{(await asyncio.to_thread(daemons)).address}"


async def test_readyz_is_503_with_the_reason_while_the_container_runtime_is_unavailable(url, cri):
    async def await_readyz(status, detail=""):
        """Poll until status and detail match; the first 503 may report the lost request."""
        async with asyncio.timeout(DEADLINE):
            while True:
                answer = await asyncio.to_thread(curl, f"{url}/readyz")
                document = json.loads(answer.body)
                if answer.status == status and detail in document.get("detail", ""):
                    return document

    assert await await_readyz(200) == {"status": "ok"}
    await cri.crash()
    problem = await await_readyz(503, "the runtime's socket")
    assert problem["code"] == "runtime_unavailable"
    assert str(cri.path) not in problem["detail"]
    await cri.restart()
    assert await await_readyz(200) == {"status": "ok"}


async def test_workload_posted_to_the_control_plane_runs_in_the_container_runtime(url, cri):
    document = {
        "id": "web", "image": "app:1", "runtime_class": "edera-zone", "memory_mb": 64,
        "cpu_millicores": 100,
    }  # fmt: skip
    body = json.dumps(document)
    answer = await asyncio.to_thread(curl, f"{url}/workloads", "--data", body)
    assert answer.status == 201
    await cri.calls.wait_for("StartContainer")
    state = ""
    while state != "running":
        answer = await asyncio.to_thread(curl, f"{url}/workloads/web")
        state = json.loads(answer.body)["state"]
    assert cri.sandbox("web").handler == "edera"


@pytest.mark.parametrize("runtime", ["cri", "sidecar"])
async def test_workload_runs_in_a_class_that_a_handler_configures_and_in_no_other(
    start, cri, tmp_path, runtime
):
    zones = [
        "--cri", str(cri.endpoint), "--log-dir", str(tmp_path / "logs"),
        "--handler", "machine=qemu", "--handler", "plain=runc",
    ]  # fmt: skip

    def submit():
        options = zones
        if runtime == "sidecar":
            socket = f"unix:{tmp_path}/sidecar.sock"
            start("kakuri-sidecar", "--listen", socket, *zones)
            options = ["--sidecar", socket]
        agent = start(
            "kakuri-agent", "--listen", f"unix:{tmp_path}/agent.sock", "--runtime", runtime,
            *options, "--state-dir", str(tmp_path / "state"),
        )  # fmt: skip
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
        url = f"http://{plane.address}"
        ready = any(curl(f"{url}/readyz").status == 200 for _ in range(1000))
        assert ready
        document = {"id": "web", "image": "app:1", "memory_mb": 64, "cpu_millicores": 100}
        return [
            curl(f"{url}/workloads", "--data", json.dumps({**document, "runtime_class": name}))
            for name in ("edera-zone", "plain")
        ]

    refused, accepted = await asyncio.to_thread(submit)
    assert (refused.status, accepted.status) == (400, 201)
    assert "expected 'machine' or 'plain', got 'edera-zone'" in refused.body
    await cri.calls.wait_for("StartContainer")
    assert cri.sandbox("web").handler == "runc"

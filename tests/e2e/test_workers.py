"""The control plane as several processes."""

import asyncio
import os
import re
import signal

import pytest
from kakuri_http import Client, HTTPError
from kakuri_json import encode

from .processes import curl


@pytest.fixture
def plane(start, agent):
    options = ["--listen", "127.0.0.1:0", "--agent", agent.address, "--workers", "2"]
    return start("kakuri-control-plane", *options)


async def post(client, url, workload_id):
    workload = {
        "id": workload_id, "image": "nginx", "runtime_class": "edera-zone", "memory_mb": 1,
        "cpu_millicores": 1,
    }  # fmt: skip
    headers = {"Content-Type": "application/json"}
    answer = await client.request("POST", url, headers=headers, body=encode(workload))
    assert answer.status in (200, 201)


async def test_worker_that_is_killed_breaks_its_own_connections_only(plane):
    url = f"http://{plane.address}/workloads"
    plane.await_log("worker=2")
    started = re.findall(r"worker started +worker=. pid=(\d+)", plane.log.read_text())
    victim = int(started[0])
    broken = {}

    async def submit(number):
        async with Client() as client:  # a connection of its own
            broken[number] = 0
            for index in range(10):
                workload_id = f"w-{number}-{index}"
                try:
                    await post(client, url, workload_id)
                except HTTPError:
                    broken[number] += 1
                    await post(client, url, workload_id)
                if (number, index) == (0, 3):
                    os.kill(victim, signal.SIGKILL)

    await asyncio.gather(*map(submit, range(16)))
    assert set(broken.values()) <= {0, 1}
    assert 0 in broken.values()
    known = [curl(f"{url}/w-{number}-9").status for number in range(16)]
    assert known == [200] * 16
    plane.await_log("worker ended")
    assert plane.end() == 0


def test_worker_count_is_also_an_integer_in_the_configuration_file(start, agent, tmp_path):
    config = tmp_path / "plane.toml"
    config.write_text(f'listen = "127.0.0.1:0"\nagent = "{agent.address}"\nworkers = 2\n')
    plane = start("kakuri-control-plane", "--config", str(config))
    plane.await_log("worker=2")
    assert curl(f"http://{plane.address}/readyz").status == 200


def test_scrape_of_one_worker_has_the_requests_of_all(start, agent):
    options = ["--listen", "127.0.0.1:0", "--agent", agent.address, "--workers", "2"]
    plane = start("kakuri-control-plane", *options, "--metrics-listen", "127.0.0.1:0")
    plane.await_log("metrics served")
    metrics = re.findall(r"metrics served +endpoint=(\S+)", plane.log.read_text())[0]
    for _ in range(10):
        assert curl(f"http://{plane.address}/workloads").status == 200
    text = curl(f"http://{metrics}/metrics").body
    counts = re.findall(
        r'^kakuri_http_requests_total{.*route="/workloads",.*} (\S+)', text, re.MULTILINE
    )
    assert sum(map(float, counts)) == 10
    assert 'worker="1"' in text
    assert 'worker="2"' in text
    assert plane.end() == 0

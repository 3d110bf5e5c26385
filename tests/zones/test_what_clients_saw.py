"""Clients of agents that are killed again and again, with real containers.

KAKURI_ZONE_KILLS is the number of kills, 12 by default.
"""

import os

import pytest

from tests.e2e.kills import Node

from .system import IDLE

KILLS = int(os.environ.get("KAKURI_ZONE_KILLS", "12"))

BUSYBOX = "busybox:latest"
KINDS = (
    {"image": BUSYBOX, "command": IDLE},
    {"image": BUSYBOX, "command": ("true",)},
    {"image": BUSYBOX, "command": ("sh", "-c", "exit 3")},
    {"image": BUSYBOX, "command": ("sh", "-c", "kill -9 $$")},
    {"image": BUSYBOX, "command": ("/bin/nothing",)},
    {"image": "nowhere:nothing"},
)


@pytest.mark.timeout(600)  # it takes a minute, and much longer on busy cores
async def test_clients_of_killed_agents_lose_no_acknowledged_request(start_system, tmp_path):
    system = start_system(has_agent=False)
    node = Node(tmp_path, system.runtime_options, system.running, KINDS, seed=1, pace=0.1)
    try:
        print(await node.run_scenario(KILLS, clients=3), "requests,", dict(node.kills))
        await node.start()
        await node.remove_all()
        await node.until(lambda: is_empty(system))
    finally:
        node.close()


async def is_empty(system):
    return system.ctr("containers", "ls", "-q") == "" and system.log_directories() == []

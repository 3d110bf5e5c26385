"""SIGKILL for the agent as a process, at every failpoint and at any time, with requests in flight.

KAKURI_KILLS is the number of kills in front of a sidecar, 100 by default; without a sidecar there are
half as many. A scenario has at most a hundred.
"""

import os
from collections import Counter

import pytest

from .forked_agents import FAILPOINTS
from .kills import node

KILLS = int(os.environ.get("KAKURI_KILLS", "100"))
PER_SCENARIO = 100


@pytest.mark.timeout(600)  # as long as that where cores are shared
@pytest.mark.parametrize(("runtime", "count"), [("sidecar", KILLS), ("cri", KILLS // 2)])
async def test_acknowledged_requests_survive_sigkill_of_the_agent(tmp_path, runtime, count):
    kills, refused = Counter(), 0
    for number, first in enumerate(range(0, count, PER_SCENARIO)):
        directory = tmp_path / str(number)
        directory.mkdir()
        async with node(directory, seed=number, runtime=runtime) as system:
            requests = await system.run_scenario(min(PER_SCENARIO, count - first), clients=4)
            print(requests, "requests")
        kills += system.kills
        refused += system.refused
    print(dict(kills), "and", refused, "refused for the disk")
    assert refused > 0
    assert count < 1000 or min(kills[name] for name in (*FAILPOINTS, "any-time")) >= 5

"""SIGKILL for the agent as a process, at every step and at any time, with requests in flight.

KAKURI_KILLS is how many there are to be in front of a sidecar, 100 unless it says more, and twice as
many as without one: in stories of a hundred each.
"""

import os
from collections import Counter

import pytest

from .forked_agents import STEPS
from .kills import node

KILLS = int(os.environ.get("KAKURI_KILLS", "100"))
A_STORY = 100


@pytest.mark.parametrize(("runtime", "number_of_kills"), [("sidecar", KILLS), ("cri", KILLS // 2)])
async def test_what_was_acknowledged_survives_sigkill(tmp_path, runtime, number_of_kills):
    kills, refused = Counter(), 0
    for number, first in enumerate(range(0, number_of_kills, A_STORY)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with node(folder, seed=number, runtime=runtime) as world:
            requests = await world.live(min(A_STORY, number_of_kills - first), clients=4)
            print(requests, "requests")
        kills += world.kills
        refused += world.refused
    print(dict(kills), "and", refused, "refused for the disk")
    assert refused > 0
    assert number_of_kills < 1000 or min(kills[step] for step in (*STEPS, "any-time")) >= 5

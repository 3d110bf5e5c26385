"""SIGKILL for the agent as a process, again and again, with requests in flight.

KAKURI_KILLS is how many there are to be, 100 unless it says more: in stories of a hundred each.
"""

import os

from e2e_kills import node

KILLS = int(os.environ.get("KAKURI_KILLS", "100"))
A_STORY = 100


async def test_what_was_acknowledged_survives_sigkill(tmp_path):
    for number, first in enumerate(range(0, KILLS, A_STORY)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with node(folder, seed=number) as world:
            requests = await world.live(min(A_STORY, KILLS - first), clients=4)
            print(requests, "requests")

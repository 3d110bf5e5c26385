"""SIGKILL for the agent as a process, again and again, with requests in flight.

KAKURI_KILLS is how many there are to be, 100 unless it says more.
"""

import os

from e2e_kills import node

KILLS = int(os.environ.get("KAKURI_KILLS", "100"))


async def test_what_was_acknowledged_survives_sigkill(tmp_path):
    async with node(tmp_path, seed=1) as world:
        print(await world.live(KILLS, clients=4), "requests")

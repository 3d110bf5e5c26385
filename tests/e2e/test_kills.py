"""SIGKILL for the agent as a process, again and again, with requests in flight.

KAKURI_KILLS is how many there are to be, 100 unless it says more.
"""

import asyncio
import os

from crash_clients import Client
from e2e_kills import node

KILLS = int(os.environ.get("KAKURI_KILLS", "100"))


async def test_what_was_acknowledged_survives_sigkill(tmp_path):
    async with node(tmp_path, seed=1) as world:
        clients = [Client(world, name) for name in range(4)]
        world.clients = [asyncio.ensure_future(client.run()) for client in clients]
        for _ in range(KILLS):
            await world.start()
            answers = world.history.now + 2 * world.chance.choice((0, 1, 3, 10, 30))
            while world.history.now < answers:
                ended, _ = await asyncio.wait(world.clients, timeout=0.001)
                assert not ended
            await world.kill()
        await world.start()
        for client in clients:
            client.is_to_end = True
        await asyncio.gather(*world.clients)
        await world.until(world.is_settled)
        await world.kill()
        world.history.check_answers()
        print(sum(map(len, world.history.asks.values())), "requests")

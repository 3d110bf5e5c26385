"""Clients that ask an agent for this and that, and write down what they are told."""

import asyncio

from kakuri_rpc import (
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    StartWorkload,
    Status,
    StopWorkload,
)
from kakuri_workload import RestartPolicy
from kakuri_workload.testing import workload

IDS = tuple(f"w{number}" for number in range(6))


class Client:
    """Asks one thing after the other, of whichever agent lives."""

    def __init__(self, world, name) -> None:
        self.is_to_end = False
        self._world, self._name = world, name

    async def run(self):
        chance = self._world.chance
        while not self.is_to_end:
            await self._world.is_up.wait()
            await self._ask()
            pause = chance.expovariate(chance.choice((20, 5, 5, 1, 0.1)))
            await asyncio.sleep(pause * self._world.pace)

    async def _ask(self):
        chance, workload_id = self._world.chance, self._world.chance.choice(IDS)
        kind = chance.choices(
            (StartWorkload, GetStatus, StopWorkload, RemoveWorkload, ListWorkloads, GetHistory),
            (30, 30, 8, 10, 8, 4),
        )[0]
        if kind is StartWorkload:
            await self._start(workload_id)
        elif kind is ListWorkloads:
            await self._list()
        elif kind is StopWorkload:
            await self._send(StopWorkload(workload_id, chance.choice((0, 10))), workload_id)
        else:
            if kind is RemoveWorkload:  # what comes after it is another workload
                for sent in self._world.specs.values():
                    sent.pop(workload_id, None)
            await self._send(kind(workload_id), workload_id)

    async def _start(self, workload_id):
        chance, sent = self._world.chance, self._world.specs[self._name]
        if workload_id not in sent or chance.random() < 0.6:
            sent[workload_id] = workload(
                workload_id,
                **chance.choice(self._world.kinds),
                memory_mb=100,
                labels={"gen": f"{self._name}-{self._world.history.now}"},
                restart_policy=chance.choice(list(RestartPolicy)),
                max_restarts=chance.choice((0, 2, 100)),
            )
        chosen = sent[workload_id]
        await self._send(StartWorkload(chosen), workload_id, chosen.labels["gen"])

    async def _send(self, request, workload_id, gen=None):
        world, life = self._world, self._world.life
        ask = world.history.begin(request, workload_id, gen)
        world.note(f"client {self._name} asks {type(request).__name__} {workload_id} {gen or ''}")
        reply = await life.ask(request)
        world.history.end(ask, reply)
        world.note(f"client {self._name} is told {_short(reply)}")
        if isinstance(reply, ErrorReply) and reply.code in (
            ErrorCode.INTERNAL,
            ErrorCode.BAD_REQUEST,
        ):
            world.complain(f"{request} was answered {reply}")
        self._after_answer(life)

    async def _list(self):
        world, life = self._world, self._world.life
        request = ListWorkloads()
        asks = [world.history.begin(request, workload_id) for workload_id in IDS]
        reply = await life.ask(request)
        told = {} if reply is None else {status.id: status for status in reply.workloads}
        world.note(f"client {self._name} is told of {[_short(each) for each in told.values()]}")
        for ask in asks:
            nobody = None if reply is None else ErrorReply(ErrorCode.NOT_FOUND, "not listed")
            world.history.end(ask, told.get(ask.id, nobody))
        self._after_answer(life)

    def _after_answer(self, life):
        if not life.is_over:
            try:
                life.step("agent.after-answer")
            except BaseException:
                if not life.is_over:
                    raise


def _short(reply):
    if isinstance(reply, Status):
        return f"{reply.id} {reply.state.value} {reply.reason or ''} attempt {reply.attempt}"
    return reply.message if isinstance(reply, ErrorReply) else type(reply).__name__

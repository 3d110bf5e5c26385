"""Clients that send random requests to an agent and record the replies."""

import asyncio

from kakuri_rpc import (
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    Status,
    StopWorkload,
)
from kakuri_workload import RestartPolicy
from kakuri_workload.testing import workload

IDS = tuple(f"w{number}" for number in range(6))


class Client:
    """Sends one request after the other to the agent that is running."""

    def __init__(self, system, name) -> None:
        self.is_stopping = False
        self._system, self._name = system, name

    async def run(self):
        rng = self._system.rng
        while not self.is_stopping:
            await self._system.is_up.wait()
            await self._call()
            pause = rng.expovariate(rng.choice((20, 5, 5, 1, 0.1)))
            await asyncio.sleep(pause * self._system.pace)

    async def _call(self):
        rng, workload_id = self._system.rng, self._system.rng.choice(IDS)
        kind = rng.choices(
            (
                StartWorkload, GetStatus, StopWorkload, RemoveWorkload, RerunWorkload,
                RestartWorkload, ListWorkloads, GetHistory,
            ),
            (30, 30, 8, 10, 6, 6, 8, 4),
        )[0]  # fmt: skip
        if kind is StartWorkload:
            await self._start(workload_id)
        elif kind is ListWorkloads:
            await self._list()
        elif kind in (StopWorkload, RestartWorkload):
            await self._send(kind(workload_id, rng.choice((0, 10))), workload_id)
        else:
            if kind is RemoveWorkload:  # a later start is another workload
                for sent in self._system.specs.values():
                    sent.pop(workload_id, None)
            await self._send(kind(workload_id), workload_id)

    async def _start(self, workload_id):
        rng, sent = self._system.rng, self._system.specs[self._name]
        if workload_id not in sent or rng.random() < 0.6:
            sent[workload_id] = workload(
                workload_id,
                **rng.choice(self._system.kinds),
                memory_mb=100,
                labels={"gen": f"{self._name}-{self._system.history.now}"},
                restart_policy=rng.choice(list(RestartPolicy)),
                max_restarts=rng.choice((0, 2, 100)),
            )
        chosen = sent[workload_id]
        await self._send(StartWorkload(chosen), workload_id, chosen.labels["gen"])

    async def _send(self, request, workload_id, gen=None):
        system, agent_run = self._system, self._system.agent_run
        call = system.history.begin(request, workload_id, gen)
        system.note(f"client {self._name} sends {type(request).__name__} {workload_id} {gen or ''}")
        reply = await agent_run.call(request)
        system.history.end(call, reply)
        system.note(f"client {self._name} gets {_short(reply)}")
        if isinstance(reply, ErrorReply) and reply.code in (
            ErrorCode.INTERNAL,
            ErrorCode.BAD_REQUEST,
        ):
            system.report_violation(f"{request} was answered {reply}")
        self._after_answer(agent_run)

    async def _list(self):
        system, agent_run = self._system, self._system.agent_run
        request = ListWorkloads()
        calls = [system.history.begin(request, workload_id) for workload_id in IDS]
        reply = await agent_run.call(request)
        listed = {} if reply is None else {status.id: status for status in reply.workloads}
        system.note(
            f"client {self._name} gets the list {[_short(each) for each in listed.values()]}"
        )
        for call in calls:
            missing = None if reply is None else ErrorReply(ErrorCode.NOT_FOUND, "not listed")
            system.history.end(call, listed.get(call.id, missing))
        self._after_answer(agent_run)

    def _after_answer(self, agent_run):
        if not agent_run.is_killed:
            try:
                agent_run.reach("agent.after-answer")
            except BaseException:
                if not agent_run.is_killed:
                    raise


def _short(reply):
    if isinstance(reply, Status):
        return f"{reply.id} {reply.state.value} {reply.reason or ''} attempt {reply.attempt}"
    return reply.message if isinstance(reply, ErrorReply) else type(reply).__name__

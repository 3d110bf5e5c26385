"""Forks an agent for each line of options, and prints its process id.

Everything has been imported once, before: so an agent starts in milliseconds. A first option
`die-at=STEP:COUNT` has SIGKILL end the agent when it comes to a step for the n-th time.
"""

import asyncio
import os
import signal
import sys
from functools import partial

from kakuri_agent import Agent, _sidecar, _state
from kakuri_agent._cli import main
from kakuri_registry import JOURNAL_STEPS, STORE_STEPS, Journal, SQLiteStore

MOMENTS = ("before", "under-way", "after")
COMMANDS = ("start", "stop", "remove")
STEPS = (
    *STORE_STEPS, *JOURNAL_STEPS,
    *(f"{command}.{moment}" for command in COMMANDS for moment in MOMENTS),
    "agent.before-request", "agent.before-answer",
)  # fmt: skip


class Steps:
    """Counts the times of one step, and ends the process at the last of them."""

    def __init__(self, step: str, count: int) -> None:
        self._step, self._left = step, count

    def __call__(self, name: str) -> None:
        if name == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str, count: int) -> None:
    """Put the steps into the agent's parts."""
    steps = Steps(step, count)
    _state.SQLiteStore = partial(SQLiteStore, on_step=steps)
    _state.Journal = partial(Journal, on_step=steps)
    ask_once, handle = _sidecar._ask_once, Agent.handle

    async def stepping_ask(client, method, path, body):
        command = "remove" if method == "DELETE" else "start" if path == "/zones" else "stop"
        steps(f"{command}.before")
        asyncio.get_running_loop().call_later(0.001, steps, f"{command}.under-way")
        response = await ask_once(client, method, path, body)
        steps(f"{command}.after")
        return response

    def stepping_handle(agent, request):
        steps("agent.before-request")
        reply = handle(agent, request)
        steps("agent.before-answer")
        return reply

    _sidecar._ask_once, Agent.handle = stepping_ask, stepping_handle


def be_agent(options: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # its `listening on` is not asked for
    if options[0].startswith("die-at="):
        step, _, count = options.pop(0).removeprefix("die-at=").partition(":")
        die_at(step, int(count))
    main(options)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            be_agent(line.rstrip("\n").split("\t"))
        print(pid, flush=True)

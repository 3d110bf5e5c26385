"""A lock bound to a lease, whose holder is paused for longer than the lease."""

import asyncio
import itertools
import signal
import sys
from contextlib import asynccontextmanager

from tools.members import ROOT

from . import lock_holder

PROGRAM = ("-m", lock_holder.__name__)


class Contender:
    """A process that contends for the lock.

    Attributes:
        holds: from when until when it held the lock each time, by its own clock.
    """

    def __init__(self, process):
        self.process = process
        self.holds = []
        self._is_holding = False

    async def until(self, word):
        """Read its reports until one begins with a word."""
        while True:
            report = (await self.process.stdout.readline()).decode().split()
            assert report, "the process has ended"
            self._take(*report)
            if report[0] == word:
                return

    def _take(self, word, *times):
        if word == "held":
            begin, end = map(float, times)
            if self._is_holding:
                begin, _ = self.holds.pop()
            self.holds.append((begin, end))
        self._is_holding = word == "held"

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def contender(endpoint, name):
    process = await asyncio.create_subprocess_exec(
        sys.executable, *PROGRAM, endpoint, name, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield Contender(process)
    finally:
        process.kill()
        await process.communicate()


async def test_paused_holder_and_its_successor_never_hold_a_lock_at_the_same_time(one_member):
    endpoint = one_member.endpoint
    async with asyncio.timeout(60), contender(endpoint, "first") as first:
        await first.until("held")
        async with contender(endpoint, "second") as second:
            for paused, other in ((first, second), (second, first)):
                paused.pause()
                await other.until("held")  # the lease has expired
                paused.go_on()
                await paused.until("lost")
                await paused.until("refused")
    holds = sorted(first.holds + second.holds)
    assert len(holds) >= 3
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(holds))

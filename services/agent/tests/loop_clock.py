"""Timers of an event loop, which fire when a test says so."""

import asyncio

from kakuri_workload.testing import workload


class LoopClock:
    """The timers of the event loop, which fire when a test says so."""

    def __init__(self, monkeypatch):
        loop = asyncio.get_running_loop()
        self.timers = []
        monkeypatch.setattr(loop, "call_later", self._call_later)

    def _call_later(self, delay, call, *arguments):
        timer = Timer(delay, call, arguments)
        self.timers.append(timer)
        return timer

    def run_back_offs(self):
        """Run all waiting back-offs and return their delays."""
        waiting = [timer for timer in self.timers if timer.is_waiting_back_off]
        for timer in waiting:
            timer.run()
        return [timer.delay for timer in waiting]


class Timer:
    def __init__(self, delay, call, arguments):
        self.delay, self.call, self.arguments = delay, call, arguments
        self.is_over = False

    @property
    def is_waiting_back_off(self):
        return not self.is_over and "back_off" in self.call.__name__

    def cancel(self):
        self.is_over = True

    def run(self):
        self.is_over = True
        self.call(*self.arguments)


async def begin(registry, reconciler, until_idle, **more):
    registry.register(workload(**more), now=0.0)
    reconciler.enqueue("wl-1")
    await until_idle()

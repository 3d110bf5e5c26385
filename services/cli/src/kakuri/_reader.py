"""Ends a command that follows something once the reader has closed its standard output."""

import os
import select

from kakuri._exits import Exit
from kakuri._threads import start_thread


def exit_when_reader_closes() -> None:
    """From now on, end this process as soon as the reader of standard output has closed it.

    A write would fail as well, but a verb that follows something may not write for hours:
    `kakuri events -f | grep -m1 failed` has to end when grep does.

    Raises:
        CommandError: The system allows no more threads.
    """
    poll = select.poll()
    poll.register(1, 0)  # errors and hang-ups are always reported

    def wait() -> None:
        ((_, event),) = poll.poll()
        if not event & select.POLLNVAL:  # fd 1 is not open: there is no reader to wait for
            os._exit(Exit.CLOSED_PIPE)

    start_thread(wait)

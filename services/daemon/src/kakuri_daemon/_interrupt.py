"""What Ctrl-C does before a daemon handles it."""

import signal


def end_at_interrupt() -> None:
    """Make Ctrl-C end the process without a traceback, as SIGTERM does, until `run` handles it.

    Call it first in the main program of a process. It has no effect if Ctrl-C is ignored, as in a
    shell's background job, or handled already.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

"""Standard streams that the parent process closed, or whose reader is closed."""

import os
import sys

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def open_standard_streams() -> None:
    """Open each standard stream that the parent process has closed on /dev/null.

    Otherwise the next socket or database would get its number, and the log would be written to it.
    """
    for descriptor, name, mode in _STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def discard_unread_output() -> None:
    """Drop buffered output of standard output and error if the reader is closed.

    The interpreter flushes both at exit, and exits with status 120 if that fails.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)

"""Standard streams whose output can't be written."""

import os


def discard_output(descriptor: int) -> None:
    """Redirect a descriptor to /dev/null.

    Flushing buffered data at exit then can't fail again.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)

"""Directories in which only this user can create files.

Another user could create a link to make this process change the target, or a FIFO to block it.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_private_directory(path: Path, *, make: bool = True) -> int:
    """Open a directory that belongs to this user and that no other user can write to.

    The path may be a link: the directory that is opened is the one that is checked. Open its files
    relative to the descriptor.

    Args:
        path: The directory.
        make: Whether to create it, with mode 0700, if it is missing.

    Returns:
        A descriptor of the directory, for the caller to close.

    Raises:
        PermissionError: It belongs to another user, or others may write to it.
        OSError: It can't be created or opened.
    """
    if make:
        with suppress(FileExistsError):  # also for a link to a missing directory
            path.mkdir(mode=0o700, parents=True)
    directory = os.open(path, _FLAGS)
    status = os.fstat(directory)
    if status.st_uid != os.geteuid():
        fault = f"it belongs to user {status.st_uid}"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = f"its mode is {stat.S_IMODE(status.st_mode):04o}: others may write to it"
    else:
        return directory
    os.close(directory)
    expected = (
        f"expected a directory of user {os.geteuid()} that no other may write to, but {fault}"
    )
    raise PermissionError(errno.EPERM, expected, str(path))

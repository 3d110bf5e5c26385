"""A folder in which only this user can create files.

Another user could plant a link to make this process change the target, a FIFO to block it, or a
device or a file of their own to have its mode changed. So the folder has to belong to this user,
and only regular files are opened in it, without following links.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path

from kakuri_registry._errors import StoreLocked

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_private_folder(path: Path, *, make: bool = True) -> int:
    """Open a folder that belongs to this user and that no other user can write to.

    The path may be a link: what is checked is the folder that is opened. Open what is in it
    relative to the descriptor.

    Args:
        path: the folder.
        make: whether to make it, with mode 0700, if it is not there.

    Returns:
        A descriptor of the folder, for the caller to close.

    Raises:
        PermissionError: it belongs to another user, or others may write to it.
        OSError: it can't be made or opened.

    """
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path, _FOLDER)
    status = os.fstat(folder)
    if status.st_uid != os.geteuid():
        fault = f"it belongs to user {status.st_uid}"
    elif status.st_mode & OTHERS_MAY_WRITE:
        fault = f"its mode is {stat.S_IMODE(status.st_mode):04o}: others may write to it"
    else:
        return folder
    os.close(folder)
    expected = f"expected a folder of user {os.geteuid()} that no other may write to, but {fault}"
    raise PermissionError(errno.EPERM, expected, str(path))


def check_files(folder: int, path: Path) -> None:
    """Check that a file, and each one named like it plus a suffix, is a file of this user.

    Args:
        folder: a descriptor of the folder that `path` is in.
        path: the file; `path` itself and names like `path-wal` and `path.lock` are checked.

    Raises:
        PermissionError: something of that name is not a regular file, or is another user's.

    """
    for name in os.listdir(folder):
        if name == path.name or name.startswith((f"{path.name}-", f"{path.name}.")):
            _check(os.stat(name, dir_fd=folder, follow_symlinks=False), path.with_name(name))


def open_file(path: Path, flags: int) -> int:
    """Open a regular file of this user, without following a link or waiting for a FIFO's peer.

    Args:
        path: the file; a new one gets mode 0600.
        flags: as for `os.open`.

    Returns:
        A descriptor of the file, for the caller to close.

    Raises:
        PermissionError: it is not a regular file, or is another user's.
        OSError: it can't be opened; ELOOP if it is a link.

    """
    descriptor = os.open(path, flags | _FILE, 0o600)
    try:
        _check(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        fault = "it is not a regular file"
    elif status.st_uid != os.geteuid():
        fault = f"it belongs to user {status.st_uid}"
    else:
        return
    raise PermissionError(
        errno.EPERM, f"expected a file of user {os.geteuid()}, but {fault}", str(path)
    )


def locked(path: Path) -> int:
    """Lock a store and return the lock's descriptor. Raises StoreLocked and OSError."""
    # SQLite's own lock is on the database, which is exchanged when it turns out to be damaged.
    lock = path.with_name(path.name + ".lock")
    descriptor = open_file(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreLocked(f"another process has {str(path)!r} open") from error
    return descriptor

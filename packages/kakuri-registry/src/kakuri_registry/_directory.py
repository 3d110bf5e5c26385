"""Opens directories and files so that no other user can interfere.

In a shared directory, another user could place a link, so that this process changes the target; a
FIFO, so that it blocks; or a device or a file of their own, whose mode it would change. The
directory therefore has to belong to this user, and only regular files are opened in it, without
following links.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from kakuri_registry._errors import StoreLocked

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_private_directory(path: Path) -> int:
    """Open a directory that belongs to this user and that no other user can write to.

    A missing directory is created with mode 0700. The path may be a link, because the opened
    directory is checked, not the path. kakuri-daemon has a function of the same name for daemons
    without a store, because the two distributions have no common dependency that does I/O.

    Args:
        path: The directory.

    Returns:
        A descriptor of the directory. The caller closes it.

    Raises:
        PermissionError: It belongs to another user, or others may write to it.
        OSError: It can't be created or opened.
    """
    with suppress(FileExistsError):  # also for a link to a missing directory, which can't be opened
        path.mkdir(mode=0o700, parents=True)
    directory = os.open(path, _DIRECTORY)
    status = os.fstat(directory)
    if status.st_uid != os.geteuid():
        fault = f"it belongs to user {status.st_uid}"
    elif status.st_mode & OTHERS_MAY_WRITE:
        fault = f"its mode is {stat.S_IMODE(status.st_mode):04o}: others may write to it"
    else:
        return directory
    os.close(directory)
    expected = (
        f"expected a directory of user {os.geteuid()} that no other may write to, but {fault}"
    )
    raise PermissionError(errno.EPERM, expected, str(path))


def check_files(path: Path) -> None:
    """Check that a file, its companions and their directory are safe from other users.

    Args:
        path: The file; its directory is created if it does not exist. Files with the same name and
            a suffix that begins with `-` or `.`, such as `path-wal` and `path.lock`, are checked as
            well.

    Raises:
        PermissionError: One of them is not a regular file, or belongs to another user, or others
            may write to the directory.
        OSError: The directory can't be created or opened.
    """
    directory = open_private_directory(path.parent)
    try:
        for name in os.listdir(directory):  # noqa: PTH208 (a descriptor, not a path)
            if name == path.name or name.startswith((f"{path.name}-", f"{path.name}.")):
                _check(os.stat(name, dir_fd=directory, follow_symlinks=False), path.with_name(name))
    finally:
        os.close(directory)


def companion(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to a database, such as its log (`-wal`)."""
    return path.with_name(path.name + suffix)


def open_file(path: Path, flags: int) -> int:
    """Open a regular file of this user, without following a link or blocking on a FIFO.

    Args:
        path: The file; a new one gets mode 0600.
        flags: As for `os.open`.

    Returns:
        A descriptor of the file. The caller closes it.

    Raises:
        PermissionError: It is not a regular file, or belongs to another user.
        OSError: It can't be opened; ELOOP if it is a link.
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


def sync_directory(directory: Path) -> None:
    """Sync a directory, so that the names in it are on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_store(path: Path) -> int:
    """Lock a store.

    Returns:
        A descriptor; closing it unlocks the store.

    Raises:
        StoreLocked: Another process has locked it.
        OSError: The lock file can't be opened.
    """
    # SQLite locks the database file, which recovery replaces, so that lock is not enough.
    descriptor = open_file(companion(path, ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreLocked(f"another process has {str(path)!r} open") from error
    return descriptor

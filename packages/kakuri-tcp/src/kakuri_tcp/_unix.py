"""Listening on Unix sockets: the file's mode, its lock, and stale files."""

import contextlib
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kakuri_tcp._errors import ListenFailed
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._reasons import reason_of

_MAX_GROUP = 2**32 - 2  # the next number means "unchanged" in chown(2)


@dataclass(frozen=True, slots=True)
class SocketFile:
    """Identity of the file of a listening Unix socket."""

    path: Path
    device: int
    inode: int

    def remove(self) -> None:
        """Remove the file, unless another one has replaced it."""
        with contextlib.suppress(OSError):
            if _status(self.path) == self:
                self.path.unlink()


def listen_unix(
    name: str, backlog: int, local_access: LocalAccess
) -> tuple[socket.socket, SocketFile]:
    """Listen on the absolute path `name`.

    A stale socket, on which no process listens, is removed; any other file is left alone.
    Meanwhile, a lock file of mode 0600 (`name` with `.lock` appended) keeps other servers out. The
    directory itself is not locked, because every user who can open it could hold that lock.

    Raises:
        ListenFailed: The path is in use.
        OSError: The system refuses.
    """
    path = Path(name)
    group = None if local_access.group is None else _group_number(path, local_access.group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.settimeout(0)
        with _lock(path):
            if os.path.lexists(path):
                _remove_stale(path)
            listener.bind(name)
            try:
                # Peers can't connect before listen(), so mode and group apply to all of them.
                path.chmod(local_access.mode)
                if group is not None:  # seccomp may forbid the call to a service
                    _change_group(path, group, local_access.group)
                listener.listen(backlog)
            except OSError:
                path.unlink()
                raise
    except OSError:
        listener.close()
        raise
    return listener, _status(path)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of a socket's path, so that no server removes another server's socket."""
    lock = path.with_name(f"{path.name}.lock")
    # A file of another user is not followed, waited for or changed.
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(lock, flags, 0o600), "rb") as file:  # noqa: PTH123 - of a descriptor
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise ListenFailed(f"unix:{path}", f"{str(lock)!r} is not a file of this user")
        os.fchmod(file.fileno(), 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_current = os.path.samestat(status, lock.lstat())
        except (BlockingIOError, FileNotFoundError):
            is_current = False
        if not is_current:  # another server holds the lock, or has just removed the file
            raise ListenFailed(f"unix:{path}", "another process is about to listen there")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ListenFailed(f"unix:{path}", "the path has a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full, so a process listens
    raise ListenFailed(f"unix:{path}", "another process listens there")


def _group_number(path: Path, group: str | int) -> int:
    if isinstance(group, int):
        if 0 <= group <= _MAX_GROUP:
            return group
        raise ListenFailed(f"unix:{path}", f"expected a group from 0 to {_MAX_GROUP}, got {group}")
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:  # a name with NUL is a ValueError
        raise ListenFailed(f"unix:{path}", f"there is no group {group!r}") from error


def _change_group(path: Path, number: int, name: str | int | None) -> None:
    try:
        os.chown(path, -1, number)
    except PermissionError as error:
        reason = f"{reason_of(error)}: the process may have to be a member of the group {name!r}"
        raise ListenFailed(f"unix:{path}", reason) from error


def _status(path: Path) -> SocketFile:
    status = path.lstat()
    return SocketFile(path, status.st_dev, status.st_ino)

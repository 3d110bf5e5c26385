"""The files of zones' logs: where they are, how they are rotated and removed.

    ROOT/                 created if missing
      ZONE/               mode 0700, given to the runtime as the sandbox's log_directory
        ATTEMPT.log       the current file, given to the runtime as the log_path
        ATTEMPT.log.N     a rotated file; N counts the rotations, from 0

A rotation only renames a file, so descriptors of the runtime and of readers stay valid, and so do
positions in the file. The file without a number follows the one with the greatest number.

Everything is opened relative to a descriptor of its directory, and symbolic links are never
followed, so that nothing outside of the directory is touched, whatever it contains. ROOT has to
belong to this user, and no other user may have write access.

All functions block and are called by one thread at a time.
"""

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kakuri_daemon import open_private_directory
from kakuri_workload import WORKLOAD_ID

from kakuri_zones.logs._cursor import Segment
from kakuri_zones.logs._errors import LogError, LogNameError, LogStorageError, UnknownLog

MAX_ATTEMPT = 999_999_999

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO in place of a file must not block the thread.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ZONE = re.compile(WORKLOAD_ID)
_NAME = re.compile(r"(0|[1-9][0-9]{0,8})\.log(?:\.(0|[1-9][0-9]{0,14}))?")


READABLE = 0o644


@dataclass(frozen=True, slots=True)
class LogLocation:
    """Where the runtime writes a log: a sandbox's log_directory, a container's log_path."""

    directory: str
    path: str


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of a log as it was when the directory was listed.

    `modified` is in seconds since the epoch. `is_current` is true of the file that the runtime
    writes to, or will write to.
    """

    segment: Segment
    name: str
    size: int
    modified: float
    inode: int
    is_current: bool


def check_zone(zone: str) -> str:
    """Return the id if it is a valid directory name.

    Raises:
        LogNameError: It is not.
    """
    if _ZONE.fullmatch(zone) is None:
        raise LogNameError(f"expected the id of a zone, got {zone[:100]!r}")
    return zone


def current_name(attempt: int) -> str:
    """Return the name of the file that the runtime writes to.

    Raises:
        LogNameError: The attempt can't name a file.
    """
    if not 0 <= attempt <= MAX_ATTEMPT:
        raise LogNameError(f"expected an attempt from 0 to {MAX_ATTEMPT}, got {attempt}")
    return f"{attempt}.log"


@contextmanager
def open_directory(root: Path, zone: str, action: str) -> Iterator[int]:
    """Yield a descriptor of a zone's directory, and translate OSError from the block.

    Raises:
        UnknownLog: There is no such directory.
        LogStorageError: It can't be opened, or the block raised OSError.
    """
    check_zone(zone)
    try:
        above = open_private_directory(root, make=False)
        try:
            directory = os.open(zone, _DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
    except FileNotFoundError as error:
        raise UnknownLog(zone) from error
    except OSError as error:
        raise LogStorageError(zone, action, str(error.strerror)) from error
    try:
        yield directory
    except OSError as error:
        raise LogStorageError(zone, action, str(error.strerror)) from error
    finally:
        os.close(directory)


def create_directory(root: Path, zone: str) -> None:
    """Create a zone's directory, or deny other users access to an existing one.

    Raises:
        LogStorageError: It could not be created, or something else has its name.
    """
    check_zone(zone)
    try:
        above = open_private_directory(root)
        try:
            with suppress(FileExistsError):
                os.mkdir(zone, 0o700, dir_fd=above)
        finally:
            os.close(above)
    except OSError as error:
        raise LogStorageError(zone, "create a directory for", str(error.strerror)) from error
    with open_directory(root, zone, "create a directory for") as directory:
        os.fchmod(directory, 0o700)


def remove_empty_directory(root: Path, zone: str) -> None:
    """Remove a zone's directory if it exists and is empty."""
    with suppress(LogError, OSError):
        above = open_private_directory(root, make=False)
        try:
            os.rmdir(check_zone(zone), dir_fd=above)
        finally:
            os.close(above)


def write_file(root: Path, zone: str, name: str, content: bytes) -> None:
    """Put a file that every user may read into a zone's directory, in place of an earlier one.

    Raises:
        UnknownLog: There is no such directory.
        LogStorageError: The file can't be written.
    """
    part = f"{name}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open_directory(root, zone, f"write the file {name!r} of") as directory:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=directory)
        descriptor = os.open(part, flags, READABLE, dir_fd=directory)
        try:
            os.fchmod(descriptor, READABLE)
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)


def directory_size(root: Path, zone: str) -> int:
    """Return the bytes of all files in a zone's directory; 0 if it does not exist.

    Raises:
        LogStorageError: It can't be read.
    """
    try:
        with open_directory(root, zone, "measure") as directory, os.scandir(directory) as files:
            return sum(each.stat(follow_symlinks=False).st_size for each in files)
    except UnknownLog:
        return 0


def remove_directory(root: Path, zone: str) -> None:
    """Remove a zone's directory with its content, if it exists.

    Raises:
        LogStorageError: It could not be removed completely.
    """
    check_zone(zone)
    try:
        above = open_private_directory(root, make=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LogStorageError(zone, "remove", str(error.strerror)) from error
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(zone, dir_fd=above).st_mode):
                shutil.rmtree(zone, dir_fd=above)
            else:
                os.unlink(zone, dir_fd=above)
        with suppress(FileNotFoundError):
            os.lstat(zone, dir_fd=above)
            raise FileExistsError(errno.EEXIST, "it was created again")
    except OSError as error:
        raise LogStorageError(zone, "remove", str(error.strerror)) from error
    finally:
        os.close(above)


def signature(root: Path, zone: str, name: str) -> object:
    """Return a value that differs after a log's directory or a file in it has changed, by stat(2).

    None if one of them does not exist.
    """
    directory = f"{root}/{check_zone(zone)}"  # building a Path takes as long as both lstat calls
    try:
        status = os.lstat(f"{directory}/{name}")
        return os.lstat(directory).st_mtime_ns, name, status.st_ino, status.st_size
    except OSError:
        return None


def list_zones(root: Path) -> list[str]:
    """Return the ids of the zones that have a directory; other entries are ignored."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _ZONE.fullmatch(name))


def list_files(directory: int) -> list[LogFile]:
    """Return the files of a log, oldest first; other entries are ignored."""
    rotated: list[LogFile] = []
    current: list[LogFile] = []
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        try:
            status = os.lstat(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            is_current = found[2] is None
            segment = Segment(int(found[1]), int(found[2] or 0))
            observed = status.st_size, status.st_mtime, status.st_ino, is_current
            (current if is_current else rotated).append(LogFile(segment, name, *observed))
    for file in current:
        same = [other for other in rotated if other.segment.attempt == file.segment.attempt]
        if any(other.inode == file.inode for other in same):
            continue  # while a rotation is being undone, the file has both names
        sequence = max((other.segment.sequence + 1 for other in same), default=0)
        segment = Segment(file.segment.attempt, sequence)
        rotated.append(
            LogFile(segment, file.name, file.size, file.modified, file.inode, is_current=True)
        )
    return sorted(rotated, key=lambda file: file.segment)


def open_file(directory: int, file: LogFile) -> int:
    """Return a descriptor of a listed file.

    Raises:
        FileNotFoundError: It was removed, or another file has its name.
    """
    descriptor = os.open(file.name, _FILE, dir_fd=directory)
    if os.fstat(descriptor).st_ino != file.inode:
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "another file has its name", file.name)
    return descriptor


def rename_current(
    directory: int, listed: Iterable[LogFile], attempt: int, max_bytes: int
) -> str | None:
    """Rename the current file if it is too large, and return its new name; None if it is not.

    The current name is also returned if the runtime still has to open a new file: the last one was
    renamed earlier, or another program removed it.
    """
    files = [file for file in listed if file.segment.attempt == attempt]
    if not files:
        return current_name(attempt)
    newest = files[-1]
    if newest.is_current:
        if newest.size < max_bytes:
            return None
        name = f"{newest.name}.{newest.segment.sequence}"
        os.rename(newest.name, name, src_dir_fd=directory, dst_dir_fd=directory)
        return name
    _complete_undo(directory, newest, attempt)
    return newest.name


def _complete_undo(directory: int, newest: LogFile, attempt: int) -> None:
    """Remove the current name of a file that has two names after a crash in `undo_rename`."""
    with suppress(FileNotFoundError):
        if os.lstat(current_name(attempt), dir_fd=directory).st_ino == newest.inode:
            os.unlink(current_name(attempt), dir_fd=directory)


def undo_rename(directory: int, attempt: int, name: str) -> None:
    """Undo a rename, unless the runtime has opened a new file or the log was removed."""
    with suppress(FileExistsError, FileNotFoundError):
        os.link(
            name,
            current_name(attempt),
            src_dir_fd=directory,
            dst_dir_fd=directory,
            follow_symlinks=False,
        )
        os.unlink(name, dir_fd=directory)


def remove_oldest(directory: int, attempt: int, keep: int, max_bytes: int) -> list[LogFile]:
    """Remove the oldest files of an attempt until at most `keep` files of `max_bytes` remain.

    The current file and the newest rotated one are never removed.

    Returns:
        The removed files.
    """
    removed: list[LogFile] = []
    files = [file for file in list_files(directory) if file.segment.attempt == attempt]
    total = sum(file.size for file in files)
    for number, file in enumerate(files[:-2]):
        if len(files) - number <= keep and total <= max_bytes:
            break
        total -= file.size
        with suppress(FileNotFoundError):
            os.unlink(file.name, dir_fd=directory)
            removed.append(file)
    return removed


def remove_ended(directory: int, excess: int) -> list[LogFile]:
    """Remove the oldest files of a log that has ended, until `excess` bytes or all are removed.

    A file without a number is numbered first, so that positions in it stay valid.

    Returns:
        The removed files, oldest first.
    """
    removed: list[LogFile] = []
    for file in list_files(directory):
        if file.is_current and file.segment.sequence:
            name = f"{file.name}.{file.segment.sequence}"
            os.rename(file.name, name, src_dir_fd=directory, dst_dir_fd=directory)
    for file in list_files(directory):
        if excess <= 0:
            break
        os.unlink(file.name, dir_fd=directory)
        excess -= file.size
        removed.append(file)
    return removed


def remove_attempts(directory: int, attempt: int, keep: int) -> list[LogFile]:
    """Remove the files of all but the newest `keep` attempts, `attempt` being one of these.

    Returns:
        The removed files.
    """
    removed: list[LogFile] = []
    files = list_files(directory)
    attempts = sorted({file.segment.attempt for file in files} | {attempt})
    kept = {attempt, *attempts[-keep:]}
    for file in files:
        if file.segment.attempt not in kept:
            with suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=directory)
                removed.append(file)
    return removed

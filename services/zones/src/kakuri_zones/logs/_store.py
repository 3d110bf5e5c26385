"""The logs of the zones of this node: where the runtime writes them, rotation, reading, removal.

Everything that touches the disk runs on one thread of the store's own, one thing after another: a
slow disk delays logs and nothing else, and a rotation and a read never meet.
"""

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from kakuri_zones.logs._cursor import Cursor
from kakuri_zones.logs._errors import UnknownLog
from kakuri_zones.logs._files import (
    check_zone,
    current_name,
    list_zones,
    make_folder,
    open_folder,
    remove_attempts,
    remove_folder,
    remove_oldest,
    rename_current,
    undo_rename,
    write_file,
)
from kakuri_zones.logs._reading import Reading, end, last_lines, read

MAX_FILE_BYTES = 10_485_760
"""What a file may grow to before it is rotated, and how many of an attempt are kept: 50 MiB of
log, as a kubelet keeps. Between two looks of the caller a file can grow beyond it; then fewer are
kept, but always the one written before the present one."""
MAX_FILES = 5

MAX_ATTEMPTS = 2
"""Attempts whose log is kept: the present one, and the one before it to see why it ended."""

MAX_READ = 1_048_576
"""Bytes that one read gives at most; it is what a reader makes the store hold."""

_STREAM_READ = 262_144
_STREAM_WAIT = 30.0
_POLL = 0.2
# A look at the times of folder and file can miss a change within one tick of the file system's
# clock, so now and then it is read whatever they say; and sooner where a file has yet to settle.
_BLIND_POLLS = 25
_SETTLING_POLLS = 5

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A part of a zone's log.

    Attributes:
        content: the bytes that the container wrote, of both streams in the order of the log.
        next: the cursor after them.
        has_ended: whether nothing will follow any more.
        has_gap: whether part of the log after the cursor has been removed or truncated: the
            content begins at the oldest byte that still exists.

    """

    content: bytes
    next: str
    has_ended: bool
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the runtime writes a log: a sandbox's log_directory, a container's log_path."""

    directory: str
    path: str


class LogStore:
    """Keeps the log of each zone in a folder of its own below `root`.

    The caller makes the place known to the runtime, calls `rotate` for each running container
    every few seconds, and `remove` when the zone is removed; `close` in the end.

    A cursor is opaque, outlives a restart of the sidecar, and stays true over rotations. One that
    points to what is no longer there is not an error: reading goes on at the oldest that is left,
    and the chunk says so.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_files: int = MAX_FILES,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        """Keep logs below the folder `root`, which is made with the first of them."""
        self._root = Path(root).absolute()
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self._max_attempts = max_attempts
        self._thread = ThreadPoolExecutor(1, "kakuri-logs")

    def __repr__(self) -> str:
        return f"<LogStore {str(self._root)!r}>"

    @property
    def root(self) -> Path:
        """The folder of everything."""
        return self._root

    def close(self) -> None:
        """Let the thread end once it has done what it was asked for."""
        self._thread.shutdown(wait=False)

    async def prepare(self, zone: str, attempt: int) -> LogPlace:
        """Make room for the log of an attempt and give the place to be told to the runtime.

        Logs of attempts long past are removed. May be repeated.

        Raises:
            LogNameError: the id or the attempt can't name a file.
            LogStorageError: the folder can't be made.

        """
        await self.run(self._prepare, zone, attempt)
        return self.place(zone, attempt)

    def place(self, zone: str, attempt: int) -> LogPlace:
        """Give the place of an attempt's log, whether it is there or not.

        Raises:
            LogNameError: the id or the attempt can't name a file.

        """
        return LogPlace(str(self._root / check_zone(zone)), current_name(attempt))

    async def write_beside(self, zone: str, name: str, content: bytes) -> Path:
        """Write a file into the folder of a zone's log, in place of one of that name.

        Every user may read the file, as those of a zone do that has it mounted; the folder stays
        closed to those of the host. Who has the earlier file open or mounted keeps it.

        Returns:
            The path of the file.

        Raises:
            UnknownLog: the zone has no folder.
            LogStorageError: the file can't be written.

        """
        await self.run(write_file, self._root, zone, name, content)
        return self._root / zone / name

    async def zones(self) -> list[str]:
        """Give the ids of all zones that have a folder here."""
        return await self.run(list_zones, self._root)

    async def remove(self, zone: str) -> None:
        """Remove a zone's log; done when it is gone, or was.

        Raises:
            LogStorageError: something of it is left.

        """
        await self.run(remove_folder, self._root, zone)

    async def rotate(
        self, zone: str, attempt: int, reopen: Callable[[], Awaitable[object]]
    ) -> bool:
        """Rotate the log of a running container if it has grown too large; tell whether it was.

        The file is renamed, then `reopen` is awaited, which has to call ReopenContainerLog; then
        the oldest files go. If it raises, the renaming is undone, unless the runtime has opened a
        new file nevertheless. A rotation that a crash cut short is carried on with.

        Errors of `reopen` are passed on; calling `rotate` again later is all there is to do.

        Raises:
            UnknownLog: the zone has no folder.
            LogStorageError: a file can't be renamed.

        """
        name = await self.run(self._rename, zone, attempt)
        if name is None:
            return False
        try:
            await reopen()
        except BaseException:
            # Queued at once: it is done even if this task is being cancelled.
            await self.run(self._undo, zone, attempt, name)
            raise
        await self.run(self._remove_oldest, zone, attempt)
        return True

    async def tail(self, zone: str, lines: int, *, attempt: int = 0) -> str:
        """Give the cursor from which on the last `lines` lines follow, over all files.

        A line that has not ended counts. A log that has fewer is given from its start on.
        Attempts before `attempt` are left out.

        Raises:
            UnknownLog: the zone has no log.
            LogStorageError: it can't be read.

        """
        return str(await self.run(self._tail, zone, lines, attempt))

    async def read(
        self,
        zone: str,
        after: str | None = None,
        *,
        limit: int = 65_536,
        wait: float = 0.0,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> LogChunk:
        """Read at most `limit` bytes after a cursor, or from the oldest on.

        If there are none it waits up to `wait` seconds for some. `has_ended` says whether the
        zone's last container has ended, so that nothing more will be written.

        Raises:
            LogCursorError: the text is no cursor.
            UnknownLog: the zone has no log, or it was removed meanwhile.
            LogStorageError: it can't be read.

        """
        cursor = Cursor() if after is None else Cursor.parse(after)
        limit = max(1, min(limit, MAX_READ))
        deadline = time.monotonic() + wait
        name = f"{cursor.segment.attempt}.log"
        has_gap = False
        while True:
            is_over = has_ended()
            before = self._signature(zone, name)
            now = None if is_over else time.time()
            reading = await self.run(self._read, zone, cursor, limit, now=now, is_over=is_over)
            is_end = is_over and reading.is_complete
            has_gap |= reading.has_gap
            left = deadline - time.monotonic()
            if reading.content or is_end or left <= 0:
                return LogChunk(reading.content, str(reading.next), is_end, has_gap)
            cursor, name = reading.next, reading.name or name
            polls = _BLIND_POLLS if reading.is_complete else _SETTLING_POLLS
            await self._change(zone, name, before, has_ended, min(left, polls * _POLL))

    async def read_bounded(self, zone: str, after: str | None, *, limit: int) -> LogChunk:
        """Read at most `limit` bytes of what was there when the first of such reads was made.

        The cursors that follow carry that end, and `has_ended` tells of it. So a log that grows as
        quickly as it is read is read to an end all the same.

        Raises:
            LogCursorError: the text is no cursor.
            UnknownLog: the zone has no log, or it was removed meanwhile.
            LogStorageError: it can't be read.

        """
        cursor, last = (Cursor(), None) if after is None else Cursor.parse_bounded(after)
        if last is None:
            last = await self.run(self._end, zone)
        limit = max(1, min(limit, MAX_READ))
        reading = await self.run(self._read, zone, cursor, limit, end=last)
        following = f"{reading.next}-{last}"
        return LogChunk(reading.content, following, reading.is_complete, reading.has_gap)

    async def signatures(self, attempts: Mapping[str, int]) -> dict[str, object]:
        """Return what differs for a zone once its log has changed: by zone, of these attempts."""
        names = {zone: current_name(attempt) for zone, attempt in attempts.items()}
        return await self.run(lambda: {zone: self._signature(zone, names[zone]) for zone in names})

    async def stream(
        self,
        zone: str,
        after: str | None = None,
        *,
        follow: bool = False,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[bytes]:
        """Give what follows after a cursor in pieces, or from the oldest on.

        It ends where the log ends at that time; with `follow`, once `has_ended` and everything
        has been given, or when the log is removed. Nothing is read ahead: a slow reader costs one
        piece, and misses what is rotated away meanwhile.

        Raises:
            LogCursorError: the text is no cursor.
            UnknownLog: the zone has no log.
            LogStorageError: it can't be read.

        """
        if not follow:
            async for content in self._stream_to_end(zone, after):
                yield content
            return
        chunk = await self.read(zone, after, limit=_STREAM_READ, has_ended=has_ended)
        while True:
            if chunk.content:
                yield chunk.content
            if chunk.has_ended:
                return
            try:
                chunk = await self.read(
                    zone, chunk.next, limit=_STREAM_READ, wait=_STREAM_WAIT, has_ended=has_ended
                )
            except UnknownLog:
                return

    async def _stream_to_end(self, zone: str, after: str | None) -> AsyncIterator[bytes]:
        while True:
            chunk = await self.read_bounded(zone, after, limit=_STREAM_READ)
            after = chunk.next
            if chunk.content:
                yield chunk.content
            if chunk.has_ended:
                return

    async def _change(
        self,
        zone: str,
        name: str,
        before: object,
        has_ended: Callable[[], bool],
        left: float,
    ) -> None:
        """Wait until a file may hold more than when its signature was taken, or `left` seconds."""
        while left > 0:
            await asyncio.sleep(min(_POLL, left))
            left -= _POLL
            if has_ended() or self._signature(zone, name) != before:
                return

    def _signature(self, zone: str, name: str) -> object:
        """Give what differs once a folder or a file in it has changed: two calls of stat(2)."""
        folder = self._root / check_zone(zone)
        try:
            status = os.lstat(folder / name)
            return os.lstat(folder).st_mtime_ns, name, status.st_ino, status.st_size
        except OSError:
            return None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work on the store's thread, after everything that was asked for before."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # What follows runs on the store's thread.

    def _prepare(self, zone: str, attempt: int) -> None:
        current_name(attempt)
        make_folder(self._root, zone)
        with open_folder(self._root, zone, "clear") as folder:
            remove_attempts(folder, attempt, self._max_attempts)

    def _rename(self, zone: str, attempt: int) -> str | None:
        with open_folder(self._root, zone, "rotate") as folder:
            return rename_current(folder, attempt, self._max_file_bytes)

    def _undo(self, zone: str, attempt: int, name: str) -> None:
        # The zone may have been removed meanwhile: then there is nothing to undo.
        with (
            suppress(UnknownLog),
            open_folder(self._root, zone, "rotate") as folder,
            suppress(FileNotFoundError),
        ):
            undo_rename(folder, attempt, name)

    def _remove_oldest(self, zone: str, attempt: int) -> None:
        with suppress(UnknownLog), open_folder(self._root, zone, "rotate") as folder:
            max_bytes = self._max_files * self._max_file_bytes
            remove_oldest(folder, attempt, self._max_files, max_bytes)

    def _tail(self, zone: str, lines: int, attempt: int) -> Cursor:
        with open_folder(self._root, zone, "read") as folder:
            return last_lines(folder, lines, attempt)

    def _end(self, zone: str) -> Cursor:
        with open_folder(self._root, zone, "read") as folder:
            return end(folder)

    def _read(
        self,
        zone: str,
        cursor: Cursor,
        limit: int,
        *,
        now: float | None = None,
        is_over: bool = False,
        end: Cursor | None = None,
    ) -> Reading:
        with open_folder(self._root, zone, "read") as folder:
            return read(folder, cursor, limit, now=now, is_over=is_over, end=end)

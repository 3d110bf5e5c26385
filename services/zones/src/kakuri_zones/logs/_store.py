"""The logs of the zones of this node: where the runtime writes them, rotation, reading, removal.

All access to the disk runs on one thread of the store, one call after another: a slow disk delays
only logs, and a rotation and a read never overlap.
"""

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from kakuri_workload import LogChunk, LogSelection

from kakuri_zones.logs._cursor import Cursor, RecordCursor, TailSearch, parse_bounded
from kakuri_zones.logs._errors import LogError, UnknownLog
from kakuri_zones.logs._files import (
    LogLocation,
    check_zone,
    create_directory,
    current_name,
    directory_size,
    list_files,
    open_directory,
    remove_attempts,
    remove_directory,
    remove_empty_directory,
    remove_oldest,
    rename_current,
    signature,
    undo_rename,
    write_file,
)
from kakuri_zones.logs._reading import Reading, end, last_lines, read, read_records
from kakuri_zones.logs._volume import LogVolume

MAX_FILE_BYTES = 10_485_760
"""The size at which a file is rotated, and the files kept for an attempt: 50 MiB of log, as for a
kubelet. A file can grow larger between two checks; then fewer files are kept, but always the newest
rotated one."""
MAX_FILES = 5

MAX_ATTEMPTS = 2
"""Attempts whose logs are kept: the latest, and the one before it, which shows why it ended."""

MAX_READ = 1_048_576
"""Limit of one read in bytes, and so of the memory of a reader."""

_STREAM_READ = 262_144
_STREAM_WAIT = 30.0
_POLL = 0.2
# The times of directory and file miss a change within one tick of the file system's clock, so the
# log is read from time to time in any case, and sooner while a rotated file is not stable.
_BLIND_POLLS = 25
_UNSTABLE_POLLS = 5

P = ParamSpec("P")
T = TypeVar("T")


class LogStore:
    """Keeps the log of each zone in a directory of its own below `root`.

    The caller passes the location of a log to the runtime, calls `rotate` for each running
    container every few seconds, `remove` when the zone is removed, and finally `close`.

    A cursor is opaque and stays valid over rotations and restarts of the process. If it points to
    removed content, reading continues with the oldest that remains, and the chunk has a gap.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_files: int = MAX_FILES,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        """Keep logs below the directory `root`, which is created with the first of them."""
        self._root = Path(root).absolute()
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self._max_attempts = max_attempts
        self._thread = ThreadPoolExecutor(1, "kakuri-logs")
        self._created_by_rotation: set[str] = set()  # by a rotation in progress
        self.volume = LogVolume()

    def __repr__(self) -> str:
        return f"<LogStore {str(self._root)!r}>"

    @property
    def root(self) -> Path:
        """The directory of all logs."""
        return self._root

    def close(self) -> None:
        """End the thread after the work that is already queued."""
        self._thread.shutdown(wait=False)

    async def prepare(self, zone: str, attempt: int) -> LogLocation:
        """Create the directory for the log of an attempt, and return its location for the runtime.

        Logs of much earlier attempts are removed. The call may be repeated.

        Raises:
            LogNameError: The id or the attempt can't name a file.
            LogStorageError: The directory can't be created.
        """
        location = self.location(zone, attempt)
        await self.run(self._prepare, zone, attempt)
        return location

    def location(self, zone: str, attempt: int) -> LogLocation:
        """Return the location of an attempt's log, which need not exist.

        Raises:
            LogNameError: The id or the attempt can't name a file.
        """
        return LogLocation(str(self._root / check_zone(zone)), current_name(attempt))

    async def write_beside(self, zone: str, name: str, content: bytes) -> Path:
        """Write a file into the directory of a zone's log, in place of one of that name.

        Every user may read the file, since a zone has it mounted; the directory's mode keeps out
        other users of the host. An earlier file that is open or mounted does not change.

        Returns:
            The path of the file.

        Raises:
            UnknownLog: The zone has no directory.
            LogStorageError: The file can't be written.
        """
        await self.run(write_file, self._root, zone, name, content)
        return self._root / zone / name

    async def remove(self, zone: str) -> None:
        """Remove a zone's log, if it exists.

        Raises:
            LogStorageError: It could not be removed completely.
        """
        await self.run(self._remove, zone)

    async def size(self, zone: str) -> int:
        """Return the bytes of all files in the directory of a zone's log; 0 without a directory.

        Raises:
            LogStorageError: The directory can't be read.
        """
        return await self.run(directory_size, self._root, zone)

    async def rotate(
        self, zone: str, attempt: int, reopen: Callable[[], Awaitable[object]]
    ) -> bool:
        """Rotate the log of a running container if it has grown too large.

        The file is renamed, `reopen` is awaited, which has to call ReopenContainerLog, and the
        oldest files are removed. If `reopen` raises, the rename is undone, unless the runtime has
        opened a new file, and the error is raised; call `rotate` again later. A rotation that a
        crash interrupted is completed. A log that another program has removed is reopened too.

        Returns:
            Whether the runtime has reopened the log.

        Raises:
            LogStorageError: The directory can't be created, or a file can't be renamed.
        """
        name = await self.run(self._rename, zone, attempt)
        if name is None:
            return False
        try:
            await reopen()
        except BaseException:
            # Queued at once, so that it is done even if this task is being cancelled.
            await self.run(self._undo, zone, attempt, name)
            raise
        await self.run(self._remove_oldest, zone, attempt)
        return True

    async def tail(self, zone: str, lines: int, *, records: bool = False) -> str:
        """Return a cursor before the last `lines` lines, over all files.

        An incomplete line counts. If the log has fewer lines, the cursor is its start. Other reads
        run between parts of the search. With `records`, nothing is searched yet: the reads that
        follow find the last `lines` selected lines.

        Raises:
            UnknownLog: The zone has no log.
            LogStorageError: It can't be read.
        """
        found: Cursor | TailSearch = TailSearch(lines + 1, await self.run(self._find, zone, end))
        if records:
            return str(RecordCursor(found))
        while isinstance(found, TailSearch):
            found = await self.run(self._find, zone, last_lines, found)
        return str(found)

    async def read(
        self,
        zone: str,
        after: str | None = None,
        *,
        limit: int = 65_536,
        wait: float = 0.0,
        has_ended: Callable[[], bool] = lambda: False,
        records: LogSelection | None = None,
    ) -> LogChunk:
        """Read at most `limit` bytes after a cursor, or from the oldest content on.

        Without content, wait up to `wait` seconds for some. `has_ended` returns whether the zone's
        last container has ended, so that nothing more will be written. With `records`, read the
        selected lines as records, instead of bytes. Return once MAX_EXAMINED bytes were examined,
        even without content.

        Raises:
            LogCursorError: The text is not a cursor.
            UnknownLog: The zone has no log, or it was removed meanwhile.
            LogStorageError: It can't be read.
        """
        kind = Cursor if records is None else RecordCursor
        cursor: Cursor | RecordCursor = kind() if after is None else kind.parse(after)
        limit = max(1, min(limit, MAX_READ))
        deadline = time.monotonic() + wait
        name = f"{cursor.segment.attempt}.log"
        has_gap = False
        while True:
            is_over = has_ended()
            before = signature(self._root, zone, name)
            now = None if is_over else time.time()
            reading = await self.run(
                self._read, zone, cursor, limit, records, now=now, is_over=is_over
            )
            is_end = is_over and reading.is_complete
            has_gap |= reading.has_gap
            left = deadline - time.monotonic()
            if reading.content or reading.examined or is_end or left <= 0:
                following, examined = str(reading.next), reading.examined
                return LogChunk(reading.content, following, is_end, has_gap, examined)
            cursor, name = reading.next, reading.name or name
            polls = _BLIND_POLLS if reading.is_complete else _UNSTABLE_POLLS
            await self._wait_for_change(zone, name, before, has_ended, min(left, polls * _POLL))

    async def read_bounded(
        self, zone: str, after: str | None, *, limit: int, records: LogSelection | None = None
    ) -> LogChunk:
        """Read at most `limit` bytes, up to the end that the log had at the first such read.

        The returned cursors carry that end, and `has_ended` is true at it. So a log that grows as
        quickly as it is read can be read to an end.

        Raises:
            LogCursorError: The text is not a cursor.
            UnknownLog: The zone has no log, or it was removed meanwhile.
            LogStorageError: It can't be read.
        """
        kind = Cursor if records is None else RecordCursor
        cursor, last = (kind(), None) if after is None else parse_bounded(after, kind)
        if last is None:
            last = await self.run(self._find, zone, end)
        limit = max(1, min(limit, MAX_READ))
        reading = await self.run(self._read, zone, cursor, limit, records, end=last)
        following, is_end = f"{reading.next}-{last}", reading.is_complete
        return LogChunk(reading.content, following, is_end, reading.has_gap, reading.examined)

    async def signatures(self, attempts: Mapping[str, int]) -> dict[str, object]:
        """Return a value for each zone that differs after its log has changed; None without one."""
        names = {zone: current_name(attempt) for zone, attempt in attempts.items()}
        return await self.run(
            lambda: {zone: signature(self._root, zone, names[zone]) for zone in names}
        )

    async def stream(
        self,
        zone: str,
        after: str | None = None,
        *,
        follow: bool = False,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[bytes]:
        """Yield the content after a cursor, or from the oldest on, in pieces.

        Ends at the end that the log has now; with `follow`, after the last content once `has_ended`
        returns true, or when the log is removed. Nothing is read ahead: a slow reader takes the
        memory of one piece, and misses what is rotated away meanwhile.

        Raises:
            LogCursorError: The text is not a cursor.
            UnknownLog: The zone has no log.
            LogStorageError: It can't be read.
        """
        if not follow:
            async for content in self._stream_to_end(zone, after):
                yield content
            return
        chunk = await self.read(zone, after, limit=_STREAM_READ, has_ended=has_ended)
        while True:
            if chunk.data:
                yield chunk.data
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
            if chunk.data:
                yield chunk.data
            if chunk.has_ended:
                return

    async def _wait_for_change(
        self, zone: str, name: str, before: object, has_ended: Callable[[], bool], left: float
    ) -> None:
        """Wait until a file may have grown since its signature, at most `left` seconds."""
        while left > 0:
            await asyncio.sleep(min(_POLL, left))
            left -= _POLL
            if has_ended() or signature(self._root, zone, name) != before:
                return

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work on the store's thread, after the work that is already queued."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # The methods below run on the store's thread.

    def _prepare(self, zone: str, attempt: int) -> None:
        current_name(attempt)
        self._created_by_rotation.discard(zone)
        create_directory(self._root, zone)
        with open_directory(self._root, zone, "clear") as directory:
            self.volume.measure(zone, list_files(directory))
            self.volume.count_removed(remove_attempts(directory, attempt, self._max_attempts))

    def _remove(self, zone: str) -> None:
        with suppress(LogError), open_directory(self._root, zone, "measure") as directory:
            self.volume.measure(zone, list_files(directory))
        self.volume.forget(zone)
        self._created_by_rotation.discard(zone)
        remove_directory(self._root, zone)

    def _rename(self, zone: str, attempt: int) -> str | None:
        with suppress(UnknownLog), open_directory(self._root, zone, "rotate") as directory:
            files = list_files(directory)
            self.volume.measure(zone, files)
            return rename_current(directory, files, attempt, self._max_file_bytes)
        create_directory(self._root, zone)
        self._created_by_rotation.add(zone)
        return current_name(attempt)

    def _undo(self, zone: str, attempt: int, name: str) -> None:
        # If the zone was removed meanwhile, there is nothing to undo.
        with suppress(UnknownLog), open_directory(self._root, zone, "rotate") as directory:
            undo_rename(directory, attempt, name)
        if zone in self._created_by_rotation:
            self._created_by_rotation.discard(zone)
            remove_empty_directory(self._root, zone)

    def _remove_oldest(self, zone: str, attempt: int) -> None:
        self._created_by_rotation.discard(zone)
        with suppress(UnknownLog), open_directory(self._root, zone, "rotate") as directory:
            files = self._max_files
            removed = remove_oldest(directory, attempt, files, files * self._max_file_bytes)
            self.volume.count_removed(removed)

    def _find(self, zone: str, find: Callable[..., T], *args: TailSearch) -> T:
        with open_directory(self._root, zone, "read") as directory:
            return find(directory, *args)

    def _read(
        self,
        zone: str,
        cursor: Cursor | RecordCursor,
        limit: int,
        records: LogSelection | None,
        *,
        now: float | None = None,
        is_over: bool = False,
        end: Cursor | None = None,
    ) -> Reading:
        with open_directory(self._root, zone, "read") as directory:
            if records is None:
                assert isinstance(cursor, Cursor)
                return read(directory, cursor, limit, now=now, is_over=is_over, end=end)
            assert isinstance(cursor, RecordCursor)
            return read_records(
                directory, cursor, limit, records, now=now, is_over=is_over, end=end
            )

"""Guessing whether a pull gets on, since the CRI does not say.

A runtime that unpacks tells a growing use of its image file system (ImageFsInfo). What it only
downloads does not show there. containerd keeps that in a folder beside, whose files can be seen to
grow. Of other runtimes, all that can be seen is that the file system fills; other writers can then
make a stuck pull look alive, and the deadline remains for that.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kakuri_cri import api

NOTICEABLE = 64 * 1024
"""Bytes: less is what a quiet machine's file system takes for its own books."""


_CONTAINERD_DOWNLOADS = "io.containerd.content.v1.content/ingest"
"""Beside the folder that containerd names in ImageFsInfo; a folder for each download."""


def received(mountpoint: str) -> int | None:
    """Give a figure that grows while the runtime downloads; None where nothing can be seen."""
    downloads = _being_downloaded(Path(mountpoint).parent / _CONTAINERD_DOWNLOADS)
    return used_on_disk(mountpoint) if downloads is None else downloads


def mountpoint(usage: api.FilesystemUsage) -> str:
    """Return where a file system of the runtime is mounted; empty if the runtime does not say."""
    return "" if usage.fs_id is None else usage.fs_id.mountpoint


def used_on_disk(path: str) -> int | None:
    """Give the bytes that a path's file system holds; None where that can't be seen from here."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _being_downloaded(folder: Path) -> int | None:
    try:
        downloads = list(folder.iterdir())
    except OSError:
        return None
    size = 0
    for download in downloads:
        with contextlib.suppress(OSError):  # it may be done by now
            size += (download / "data").stat().st_size
    return size


@dataclass(slots=True)
class PullProgress:
    """Whether something has grown lately, and by how much in all.

    `began` and every `now` are seconds of one clock.
    """

    began: float
    received_by: Callable[[str], int | None] = received
    bytes_seen: int = 0
    has_figures: bool = False
    """Whether there was anything that could be seen to grow."""
    _grown_at: float = field(init=False)
    _most: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._grown_at = self.began

    def look(self, filesystems: Iterable[api.FilesystemUsage], now: float) -> None:
        """Take what the runtime says of its image file systems."""
        grown = 0
        for usage in filesystems:
            path = mountpoint(usage)
            used = 0 if usage.used_bytes is None else usage.used_bytes.value
            figures = {path: used, f"{path} received": self.received_by(path)}
            grown = max(grown, *(self._growth(key, value) for key, value in figures.items()))
            self.has_figures = True
        if grown >= NOTICEABLE:
            self._grown_at = now
            self.bytes_seen += grown

    def stalled_for(self, now: float) -> float:
        """Give the seconds since something has grown."""
        return now - self._grown_at

    def _growth(self, key: str, value: int | None) -> int:
        if value is None:
            return 0
        most = self._most.setdefault(key, value)
        if value < most or value - most >= NOTICEABLE:
            self._most[key] = value
        return max(0, value - most)

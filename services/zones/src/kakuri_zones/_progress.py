"""Estimating the progress of a pull, which the CRI does not report.

While a runtime unpacks an image, the use of its image file system (ImageFsInfo) grows. Downloads
are not part of that use. containerd keeps them in files of a neighbouring directory, whose sizes
are added up; for other runtimes, the space used on the whole disk is measured instead. Other
writers on that disk can make a stuck pull seem to progress; its deadline ends it then.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kakuri_cri import api

NOTICEABLE = 64 * 1024
"""Bytes of growth that count as progress; a file system's own metadata grows by less."""

_CONTAINERD_DOWNLOADS = "io.containerd.content.v1.content/ingest"
"""Beside the directory that containerd names in ImageFsInfo; a directory for each download."""


def received(mountpoint: str) -> int | None:
    """Return a number of bytes that grows during downloads; None if it can't be read."""
    downloads = _being_downloaded(Path(mountpoint).parent / _CONTAINERD_DOWNLOADS)
    return used_on_disk(mountpoint) if downloads is None else downloads


def mountpoint(usage: api.FilesystemUsage) -> str:
    """Return where a file system of the runtime is mounted; empty if it reports no valid path."""
    path = "" if usage.fs_id is None else usage.fs_id.mountpoint
    return "" if "\0" in path else path


def used_on_disk(path: str) -> int | None:
    """Return the bytes used on the file system of a path; None if it can't be read."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _being_downloaded(directory: Path) -> int | None:
    try:
        downloads = list(directory.iterdir())
    except OSError:
        return None
    size = 0
    for download in downloads:
        with contextlib.suppress(OSError):  # the download may be complete
            size += (download / "data").stat().st_size
    return size


@dataclass(slots=True)
class PullProgress:
    """Records when a pull last made progress, and how much it has received.

    `began` and every `now` are in seconds of the same clock.
    """

    began: float
    received_by: Callable[[str], int | None] = received
    bytes_seen: int = 0
    has_figures: bool = False
    """Whether the runtime reported any image file system."""
    _grown_at: float = field(init=False)
    _most: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._grown_at = self.began

    def update(self, filesystems: Iterable[api.FilesystemUsage], now: float) -> None:
        """Record the use of the image file systems that the runtime reports."""
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
        """Return the seconds since the last progress."""
        return now - self._grown_at

    def _growth(self, key: str, value: int | None) -> int:
        if value is None:
            return 0
        most = self._most.setdefault(key, value)
        if value < most or value - most >= NOTICEABLE:
            self._most[key] = value
        return max(0, value - most)

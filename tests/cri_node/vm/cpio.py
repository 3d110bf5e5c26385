"""Archives of the form that Linux unpacks as its initial RAM disk (initramfs buffer format)."""

import io
import os
import stat
from collections.abc import Set as AbstractSet
from pathlib import Path


class Archive:
    """A cpio archive of the "newc" format, in memory."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._inode = 0

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._add(name, stat.S_IFREG | mode, data)

    def tree(self, root: Path, prefix: str, leave_out: AbstractSet[str] = frozenset()) -> None:
        """Add what is in a directory as a directory of another name, without some paths below it."""
        self.directory(prefix)
        for base, directories, files in os.walk(root):
            for path in (Path(base, name) for name in sorted(directories) + sorted(files)):
                name = str(path.relative_to(root))
                if name not in leave_out:
                    self._copy(path, f"{prefix}/{name}")

    def finish(self) -> bytes:
        """Return the archive; nothing may be added afterwards."""
        self._add("TRAILER!!!", 0)
        return self._out.getvalue()

    def _copy(self, path: Path, name: str) -> None:
        status = path.lstat()
        data = b""
        if stat.S_ISLNK(status.st_mode):
            data = os.fsencode(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            data = path.read_bytes()
        device = os.major(status.st_rdev), os.minor(status.st_rdev)
        self._add(name, status.st_mode, data, (status.st_uid, status.st_gid), device)

    def _add(
        self,
        name: str,
        mode: int,
        data: bytes = b"",
        owner: tuple[int, int] = (0, 0),
        device: tuple[int, int] = (0, 0),
    ) -> None:
        self._inode += 1
        encoded = os.fsencode(name) + b"\0"
        links, time, checksum, home = 1, 0, 0, (0, 0)
        fields = (self._inode, mode, *owner, links, time, len(data), *home, *device, len(encoded))
        head = b"070701" + b"".join(b"%08X" % field for field in (*fields, checksum)) + encoded
        self._out.write(head + _padding(head) + data + _padding(data))


def _padding(data: bytes) -> bytes:
    return bytes(-len(data) % 4)

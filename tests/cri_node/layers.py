"""Layers and images of the OCI image format, put together in memory.

Times, owners and order are fixed: the same packages result in the same digests.
"""

import gzip
import hashlib
import io
import json
import posixpath
import subprocess
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

# Modification time of all files, in seconds since the epoch.
MADE = 1_700_000_000


def digest(data: bytes) -> str:
    """Return the name of a blob (OCI image specification, descriptor.md, "Digests")."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Blob:
    """A finished layer."""

    data: bytes
    """The tar stream under gzip, which is what a registry holds."""
    diff_id: str
    """The digest of the tar stream itself."""


@dataclass(frozen=True)
class Image:
    """A finished image."""

    manifest: bytes
    blobs: dict[str, bytes]
    """The configuration and the layers, by digest."""

    @property
    def digest(self) -> str:
        """The image's own name."""
        return digest(self.manifest)


class Layer:
    """A file tree; what is added under a name that is there replaces it."""

    def __init__(self) -> None:
        self._members: dict[str, tuple[tarfile.TarInfo, bytes | None]] = {}

    def directory(self, name: str, mode: int = 0o755) -> Self:
        """Add a directory."""
        return self._add(name, tarfile.DIRTYPE, mode)

    def file(self, name: str, content: bytes | str, mode: int = 0o644) -> Self:
        """Add a file."""
        data = content.encode() if isinstance(content, str) else content
        return self._add(name, tarfile.REGTYPE, mode, data)

    def link(self, name: str, target: str) -> Self:
        """Add a symbolic link."""
        return self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def package(self, path: Path, leave_out: tuple[str, ...] = ()) -> Self:
        """Add the files of a .deb, except those below the omitted paths."""
        command = ["dpkg-deb", "--fsys-tarfile", str(path)]
        stream = io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)
        with tarfile.open(fileobj=stream) as tar:
            for member in tar:
                name = posixpath.normpath(member.name)
                if name == "." or name.startswith(leave_out):
                    continue
                file = tar.extractfile(member) if member.isreg() else None
                target = member.linkname
                if member.islnk():
                    target = posixpath.normpath(target)
                data = None if file is None else file.read()
                self._add(name, member.type, member.mode, data, target)
        return self

    def _add(
        self, name: str, kind: bytes, mode: int, data: bytes | None = None, target: str = ""
    ) -> Self:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.linkname, info.mtime = kind, mode, target, MADE
        info.size = len(data or b"")
        self._members[name] = info, data
        return self

    def finish(self) -> Blob:
        """Return the layer as a blob."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            # Directories sort before their content; a hard link has to come after its target.
            for _, _, info, data in sorted(
                ((info.islnk(), name, info, data) for name, (info, data) in self._members.items()),
                key=lambda member: member[:2],
            ):
                tar.addfile(info, None if data is None else io.BytesIO(data))
        stream = out.getvalue()
        return Blob(gzip.compress(stream, 1, mtime=0), digest(stream))


def image(architecture: str, layers: Iterable[Blob], config: dict[str, object]) -> Image:
    """Put an image together; `config` is the object of that name in the image's configuration."""
    layers = list(layers)
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(MADE))
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": made,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": made} for _ in layers],
    }
    encoded = json.dumps(document, sort_keys=True).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, encoded),
        "layers": [_descriptor(LAYER, layer.data) for layer in layers],
    }
    blobs = {digest(data): data for data in [encoded, *(layer.data for layer in layers)]}
    return Image(json.dumps(manifest, sort_keys=True).encode(), blobs)


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

"""The packages and the kernel that a node needs, downloaded once into the repository's `.nox`."""

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools import debian

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".nox" / "cri-node"

PROGRAMS = (
    "/usr/lib/cni/bridge",
    "containerd",
    "docker-registry",
    "ip",
    "iptables",
    "runc",
    "qemu-system-x86_64",
)

# Debian's kernel for virtual machines; the node's own may lack modules and may not be readable.
KERNEL = "linux-image-cloud-amd64"


@dataclass(frozen=True)
class Cache:
    """Directories of downloaded packages; one that exists is complete."""

    home: Path = HOME

    @property
    def images(self) -> Path:
        """The .deb files that images are made of."""
        return self.home / "images"

    @property
    def busybox(self) -> Path:
        """A static busybox: the system's own may be linked dynamically."""
        return self.home / "busybox" / "bin" / "busybox"

    @property
    def kernel(self) -> Path:
        """The kernel of the virtual machines."""
        return next((self.home / "kernel" / "boot").glob("vmlinuz-*"))

    @property
    def modules(self) -> Path:
        """The directory of that kernel's modules."""
        return next((self.home / "kernel" / "lib" / "modules").iterdir())

    def fill(self) -> None:
        """Download and unpack what is missing; needs no network if nothing is."""
        self.home.mkdir(parents=True, exist_ok=True)
        with debian.locked(self.home / "lock"):
            if not self.images.is_dir():
                debian.update()
                names = {"nginx", "nginx-common", *debian.libraries("nginx")}
                debian.download(sorted(names), self.images)
            self._unpack("busybox", "busybox-static")
            kernel = self.home / "kernel"
            if not kernel.is_dir():
                debian.update()
                names = {name for name in debian.depends(KERNEL) if name.startswith("linux-image")}
                self._unpack("kernel", *names)

    def _unpack(self, name: str, *packages: str) -> None:
        directory = self.home / name
        if directory.is_dir():
            return
        fetched = self.home / f"{name}-packages"
        debian.download(packages, fetched)
        debian.unpack(fetched, directory)


def lacks() -> list[str]:
    """Return what this machine lacks for a node, except for programs that can be installed."""
    found = []
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        found.append("Linux on x86-64")
    elif not debian.can_install():
        found.append("root on Debian")
    elif not _may_unshare():
        found.append("the right to mount and to make namespaces")
    elif not (Path("/sys/fs/cgroup/cgroup.controllers").exists() or _has_v1_memory()):
        found.append("cgroups, v1 or v2, at /sys/fs/cgroup")
    return found


def _may_unshare() -> bool:
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _has_v1_memory() -> bool:
    return Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()

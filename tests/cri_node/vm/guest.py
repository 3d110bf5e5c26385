"""The inside of a virtual machine: what its initial RAM disk holds, and what runs from it.

Serial ports: 0 the kernel's console, 1 and 2 the container's stdout and stderr, 3 the messages that
guest and supervisor exchange, a line each: "up" and "exit STATUS" from the guest, "signal NUMBER"
to it.
"""

import gzip
import os
import shlex
from pathlib import Path
from typing import Any

from tests.cri_node.vm.cpio import Archive

# In the order in which they need each other.
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
)

CONSOLE = "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check net.ifnames=0"

_INIT = f"""\
#!/bin/busybox sh
/bin/busybox mkdir -p /bin /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s /proc/self/fd /dev/fd
for n in 0 1 2; do ln -s fd/$n /dev/$(echo stdin stdout stderr | cut -d' ' -f$((n + 1))); done
for module in {" ".join(MODULES)}; do insmod /modules/$module.ko; done
for n in 1 2 3; do stty -F /dev/ttyS$n raw -echo -onlcr; done
ip link set lo up
hostname -F /zone/hostname
sh /zone/network
for name in proc sys dev; do
    mkdir -p /rootfs/$name
    mount -o bind /$name /rootfs/$name
done
exec 3<>/dev/ttyS3
setsid sh /zone/run </dev/null >/dev/ttyS1 2>/dev/ttyS2 &
pid=$!
echo up >&3
( while read -r word number <&3; do [ "$word" = signal ] && kill -$number $pid; done ) &
wait $pid
status=$?
# The ports are drained before the machine goes.
for n in 1 2; do stty -F /dev/ttyS$n raw; done
echo "exit $status" >&3
stty -F /dev/ttyS3 raw
poweroff -f
"""


def common_disk(modules: Path, busybox: Path, kept: Path) -> bytes:
    """Return the part of the disk that all machines have, made once and kept in a file."""
    if not kept.exists():
        archive = Archive()
        for name in ("bin", "dev", "modules", "proc", "run", "sys", "tmp", "zone"):
            archive.directory(name)
        archive.file("bin/busybox", busybox.read_bytes(), 0o755)
        archive.file("init", _INIT.encode(), 0o755)
        for module in MODULES:
            archive.file(f"modules/{module}.ko", next(modules.rglob(f"{module}.ko")).read_bytes())
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(gzip.compress(archive.finish(), 1, mtime=0))
        new.replace(kept)
    data = kept.read_bytes()
    return data + bytes(-len(data) % 4)


def own_disk(bundle: Path, spec: dict[str, Any], network: str) -> bytes:
    """Return the part of the disk that makes a machine the container of an OCI bundle.

    Of what is mounted into the container, only files are taken: /etc/hosts and the like.
    """
    archive = Archive()
    archive.directory("zone")
    archive.file("zone/network", network.encode())
    archive.file("zone/run", run_script(spec["process"]).encode())
    archive.file("zone/hostname", (spec.get("hostname") or "zone").encode())
    binds = {
        mount["destination"].strip("/"): Path(mount["source"])
        for mount in spec["mounts"]
        if mount["type"] == "bind"
    }
    archive.tree(bundle / "rootfs", "rootfs", binds.keys())
    for name, source in binds.items():
        if source.is_file():
            archive.file(f"rootfs/{name}", source.read_bytes())
    return archive.finish()


def run_script(process: dict[str, Any]) -> str:
    """Return the script that becomes the container's process (OCI runtime spec, "Process")."""
    exports = [
        f"export {shlex.quote(variable)}\n"
        for variable in process.get("env", [])
        if variable.partition("=")[0].isidentifier()
    ]
    directory = shlex.quote(process.get("cwd", "/"))
    inner = f"cd {directory} && exec {shlex.join(process['args'])}"
    return f"{''.join(exports)}exec chroot /rootfs /bin/sh -c {shlex.quote(inner)}\n"

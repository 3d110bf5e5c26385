"""A running node, as processes inside its namespaces use it."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Self

from kakuri_http import HTTPError
from kakuri_http.blocking import BlockingClient

from tests.cri_node import cgroups, config, images, readiness, registry
from tests.cri_node.cache import ROOT as REPOSITORY
from tests.cri_node.cache import Cache
from tests.cri_node.daemons import Daemon, NodeError, await_condition

ENVIRONMENT = "KAKURI_CRI_NODE"
"""The variable that names the node's directory to everything that runs in it."""

ROOT = Path("/run/containerd")
"""Where the node keeps everything but its logs: a tmpfs of its own.

containerd puts the sockets of its shims here, independently of its configuration, and ctr expects
containerd here by default.
"""

# Starts the OCI runtime of handler "vm", because containerd's shim passes no options to it.
_VM_RUNTIME = """\
#!/bin/sh
export PYTHONPATH={repository} KAKURI_VM_KERNEL={kernel} KAKURI_VM_MODULES={modules}
export KAKURI_VM_BUSYBOX={busybox} KAKURI_VM_RUNC={runc} KAKURI_VM_QEMU={qemu}
exec {python} -m tests.cri_node.vm "$@"
"""


class CriNode:
    """containerd with its CRI service, and the registry that it pulls from.

    All state is in files, so every process in the namespaces may have its own handle.
    """

    registry = config.REGISTRY
    """HOST:PORT of the registry; images named docker.io/… are asked of it."""

    socket = ROOT / "containerd.sock"
    """The runtime's CRI socket."""

    vm_runtime = str(ROOT / "vm-runtime")
    """The OCI runtime of handler "vm"."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.containerd_log = directory / "containerd.log"
        self.registry_log = directory / "registry.log"
        self.cgroup_parent = f"/{directory.name}"
        """The group for pods (`LinuxPodSandboxConfig.cgroup_parent`); removed with the node."""
        self._containerd = Daemon(
            "containerd", "--config", str(ROOT / "containerd.toml"),
            pid_file=ROOT / "containerd.pid", log=self.containerd_log,
        )  # fmt: skip
        self._registry = Daemon(
            "docker-registry", "serve", str(ROOT / "registry.yml"),
            pid_file=ROOT / "registry.pid", log=self.registry_log,
        )  # fmt: skip

    @classmethod
    def from_environment(cls) -> Self:
        """Return the node that this process runs on; NodeError if there is none."""
        name = os.environ.get(ENVIRONMENT)
        if not name:
            raise NodeError(f"expected {ENVIRONMENT}; run under: python -m tests.cri_node --")
        return cls(Path(name))

    def __repr__(self) -> str:
        return f"<CriNode {self.directory.name} {self._containerd!r} {self._registry!r}>"

    @property
    def containerd_pid(self) -> int:
        """The process id of containerd."""
        return self._containerd.pid

    def start(self, cache: Cache) -> None:
        """Write the configuration, start both daemons, push the images, wait until all serve."""
        config.write(ROOT, self._handlers(cache))
        self._registry.start()
        self._containerd.start()
        built = images.build(cache)
        await_condition("the registry's answer", self._registry_answers)
        for name, image in built.items():
            registry.push(self.registry, name, image)
        self.await_ready()

    def stop(self) -> None:
        """End both daemons; containers run on, as their shims are not containerd's children."""
        self._containerd.end(signal.SIGTERM)
        self._registry.end(signal.SIGTERM)

    def await_ready(self) -> None:
        """Wait until the runtime reports that it can create containers and their network."""
        await_condition(f"RuntimeReady and NetworkReady; see {self.containerd_log}", self._is_ready)

    def kill_containerd(self) -> None:
        """End containerd as a crash would, with SIGKILL, and wait until it is gone."""
        self._containerd.end(signal.SIGKILL)

    def start_containerd(self) -> None:
        """Start containerd again and wait until it is ready."""
        self._containerd.start()
        self.await_ready()

    def pause_containerd(self) -> None:
        """Make containerd hang: connections are accepted by the kernel, nothing answers."""
        self._containerd.pause()

    def resume_containerd(self) -> None:
        """Resume containerd."""
        self._containerd.resume()

    def pause_registry(self) -> None:
        """Make the registry hang."""
        self._registry.pause()

    def resume_registry(self) -> None:
        """Resume the registry."""
        self._registry.resume()

    def cgroup(self, container_id: str) -> str:
        """Return the path of a container's group, if its pod was made in `cgroup_parent`."""
        return f"{self.cgroup_parent}/{container_id}"

    @property
    def pod_cgroups(self) -> list[Path]:
        """The groups that there are of pods and containers."""
        return sorted(cgroups.directory("memory", self.cgroup_parent).glob("*/"))

    @property
    def addresses(self) -> list[Path]:
        """The files that reserve pods' addresses."""
        return sorted((ROOT / "addresses").glob("*/10.*"))

    @property
    def network_namespaces(self) -> list[Path]:
        """The files that hold pods' network namespaces."""
        return sorted(ROOT.glob("state/*/netns/*"))

    def limits(self, container_id: str) -> cgroups.Limits:
        """Read back what the kernel holds a container to."""
        return cgroups.limits(self.cgroup(container_id))

    def _handlers(self, cache: Cache) -> dict[str, str]:
        runc = shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/runc"
        qemu = shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64"
        runtime = Path(self.vm_runtime)
        runtime.write_text(
            _VM_RUNTIME.format(
                repository=REPOSITORY, kernel=cache.kernel, modules=cache.modules,
                busybox=cache.busybox, runc=runc, qemu=qemu, python=sys.executable,
            )
        )  # fmt: skip
        runtime.chmod(0o755)
        return {"runc": runc, "edera": runc, "vm": self.vm_runtime}

    def _registry_answers(self) -> bool:
        try:
            with BlockingClient() as client:
                return client.request("GET", f"http://{self.registry}/v2/").status == 200
        except HTTPError:
            return False

    def _is_ready(self) -> bool:
        if not self._containerd.runs:
            raise NodeError(f"containerd ended by itself; see {self.containerd_log}")
        try:
            found = readiness.conditions(self.socket)
        except readiness.NotReady:
            return False
        return found.get("RuntimeReady", False) and found.get("NetworkReady", False)

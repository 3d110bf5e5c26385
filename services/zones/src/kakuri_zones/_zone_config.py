"""The CRI configuration of a zone's sandbox and container.

Both have the limits: a runtime that boots a virtual machine for the sandbox sizes it before there
is a container, and any other runtime applies the container's limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from kakuri_cri import api
from kakuri_workload import Workload, ZoneSpec

from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._security import container_security, sandbox_security
from kakuri_zones.logs._store import LogLocation

# As the kubelet computes them (pkg/kubelet/kuberuntime/helpers.go).
CPU_PERIOD = 100_000
"""Microseconds."""
MIN_CPU_QUOTA = 1_000
"""Microseconds in each period: the kernel's minimum."""
MIN_CPU_SHARES = 2
MAX_CPU_SHARES = 262_144
"""The kernel's maximum; runc fails if the kernel applies less than was requested."""
SHARES_PER_CPU = 1024
MILLI = 1000
MEBIBYTE = 2**20


def resources(workload: Workload) -> api.LinuxContainerResources:
    """Return a zone's limits."""
    shares = workload.cpu_millicores * SHARES_PER_CPU // MILLI
    return api.LinuxContainerResources(
        cpu_period=CPU_PERIOD,
        cpu_quota=max(MIN_CPU_QUOTA, workload.cpu_millicores * CPU_PERIOD // MILLI),
        cpu_shares=min(max(MIN_CPU_SHARES, shares), MAX_CPU_SHARES),
        memory_limit_in_bytes=workload.memory_mb * MEBIBYTE,
    )


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """What the runtime creates a zone's sandbox and container from.

    Attributes:
        spec: what to run.
        spec_hash: its `_labels.spec_hash`.
        image: the image on the node.
        log: where the runtime writes the zone's log.
        cgroup_parent: of the sandbox, in the form of the runtime's cgroup driver.
        dns_config: the resolver configuration; None for a copy of the host's.

    """

    spec: ZoneSpec
    spec_hash: str
    image: NodeImage
    log: LogLocation
    cgroup_parent: str
    dns_config: api.DNSConfig | None = None

    def sandbox(
        self,
        cri_attempt: int,
        *,
        attempt: int | None = None,
        sysctls: Mapping[str, str] = MappingProxyType({}),
    ) -> api.PodSandboxConfig:
        """Return the configuration of a sandbox.

        Args:
            cri_attempt: distinguishes the sandboxes of one zone.
            attempt: the attempt of the spec that the sandbox was created for, if it is another one.
            sysctls: of the zone's network namespace.

        """
        spec = self.spec if attempt is None else replace(self.spec, attempt=attempt)
        limits = resources(spec.workload)
        return api.PodSandboxConfig(
            metadata=api.PodSandboxMetadata(
                name=spec.id, uid=spec.id, namespace=labels.NAMESPACE, attempt=cri_attempt
            ),
            hostname=spec.id,
            log_directory=self.log.directory,
            dns_config=self.dns_config,
            labels=labels.sandbox_labels(spec, self.spec_hash),
            linux=api.LinuxPodSandboxConfig(
                cgroup_parent=self.cgroup_parent,
                security_context=sandbox_security(),
                sysctls=sysctls,
                resources=limits,
            ),
        )

    def container(
        self, cri_attempt: int, *, mounts: Sequence[api.Mount] = ()
    ) -> api.ContainerConfig:
        """Return the configuration of a container.

        Args:
            cri_attempt: distinguishes the containers of one zone.
            mounts: files of the host that the container sees.

        """
        spec, workload = self.spec, self.spec.workload
        return api.ContainerConfig(
            metadata=api.ContainerMetadata(name=spec.id, attempt=cri_attempt),
            image=api.ImageSpec(image=self.image.id, user_specified_image=workload.image),
            command=workload.command,
            args=workload.args,
            working_dir=workload.working_dir or "",
            envs=tuple(
                api.KeyValue(key=key, value=value.encode()) for key, value in workload.env.items()
            ),
            mounts=tuple(mounts),
            labels=labels.container_labels(spec, self.spec_hash),
            annotations=labels.container_annotations(spec, self.image.digest),
            log_path=self.log.path,
            linux=api.LinuxContainerConfig(
                resources=resources(workload),
                security_context=container_security(workload.user or self.image.user),
            ),
        )

"""The CRI configuration of a zone's sandbox and container.

Both have the limits: a runtime that boots a virtual machine for the sandbox sizes it before there
is a container, and any other runtime applies the container's limits.
"""

from dataclasses import dataclass

from kakuri_cri import api
from kakuri_workload import Workload, ZoneSpec

from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._security import container_security, profile_hash, sandbox_security
from kakuri_zones.logs._files import LogLocation

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
    """What the runtime creates a zone's objects from, under the first name of each.

    Attributes:
        sandbox: The configuration of the sandbox, without sysctls: not every handler accepts them.
        container: The configuration of the container, without mounts: the hosts file needs the
            sandbox's address.
    """

    sandbox: api.PodSandboxConfig
    container: api.ContainerConfig


def zone_config(
    spec: ZoneSpec,
    spec_hash: str,
    image: NodeImage,
    log: LogLocation,
    *,
    cgroup_parent: str,
    dns_config: api.DNSConfig | None = None,
) -> ZoneConfig:
    """Return the configuration of a zone.

    Args:
        spec: What to run.
        spec_hash: Its `_labels.spec_hash`.
        image: The image on the node.
        log: Where the runtime writes the zone's log.
        cgroup_parent: Parent of the sandbox's cgroup, as the runtime's cgroup driver spells it.
        dns_config: The resolver configuration; None for a copy of the host's.
    """
    workload, limits = spec.workload, resources(spec.workload)
    sandbox_labels = labels.sandbox_labels(spec, spec_hash)
    container_labels = labels.container_labels(spec, spec_hash)
    annotations = labels.container_annotations(spec, image.digest, profile_hash())
    sandbox = api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name=spec.id, uid=spec.id, namespace=labels.NAMESPACE),
        hostname=spec.id,
        log_directory=log.directory,
        dns_config=dns_config,
        labels=sandbox_labels,
        linux=api.LinuxPodSandboxConfig(
            cgroup_parent=cgroup_parent,
            security_context=sandbox_security(),
            resources=limits,
        ),
    )
    container = api.ContainerConfig(
        metadata=api.ContainerMetadata(name=spec.id),
        image=api.ImageSpec(image=image.id, user_specified_image=workload.image),
        command=workload.command,
        args=workload.args,
        working_dir=workload.working_dir or "",
        envs=tuple(
            api.KeyValue(key=key, value=value.encode()) for key, value in workload.env.items()
        ),
        labels=container_labels,
        annotations=annotations,
        log_path=log.path,
        linux=api.LinuxContainerConfig(
            resources=limits,
            security_context=container_security(workload.user or image.user),
        ),
    )
    return ZoneConfig(sandbox, container)

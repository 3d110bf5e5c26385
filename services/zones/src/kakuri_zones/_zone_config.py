"""The CRI configuration of a zone's sandbox and container.

Both carry the limits. A runtime that boots a virtual machine for the sandbox sizes it before there
is a container; any other applies the container's.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from kakuri_cri import api
from kakuri_registry import ZoneSpec

from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._security import container_security, sandbox_security

# As the kubelet computes them (pkg/kubelet/kuberuntime/helpers.go).
CPU_PERIOD = 100_000
"""Microseconds."""
MIN_CPU_QUOTA = 1_000
"""Microseconds in each period: the kernel's minimum."""
MIN_CPU_SHARES = 2
MAX_CPU_SHARES = 262_144
"""The kernel's maximum; runc fails if the kernel applied less than was requested."""
SHARES_PER_CPU = 1024
MILLI = 1000
MEBIBYTE = 2**20


def resources(spec: ZoneSpec) -> api.LinuxContainerResources:
    """Return a zone's limits."""
    shares = spec.cpu_millicores * SHARES_PER_CPU // MILLI
    return api.LinuxContainerResources(
        cpu_period=CPU_PERIOD,
        cpu_quota=max(MIN_CPU_QUOTA, spec.cpu_millicores * CPU_PERIOD // MILLI),
        cpu_shares=min(max(MIN_CPU_SHARES, shares), MAX_CPU_SHARES),
        memory_limit_in_bytes=spec.memory_mb * MEBIBYTE,
    )


def sandbox_config(
    spec: ZoneSpec,
    *,
    cri_attempt: int,
    cgroup_parent: str,
    log_directory: str,
    dns_config: api.DNSConfig | None = None,
    sysctls: Mapping[str, str] = MappingProxyType({}),
    spec_hash: str | None = None,
) -> api.PodSandboxConfig:
    """Return the configuration of a zone's sandbox.

    `cri_attempt` distinguishes sandboxes of one name; it is not the spec's attempt.
    """
    return api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(
            name=spec.id, uid=spec.id, namespace=labels.NAMESPACE, attempt=cri_attempt
        ),
        hostname=spec.id,
        log_directory=log_directory,
        dns_config=dns_config,
        labels=labels.sandbox_labels(spec, spec_hash),
        linux=api.LinuxPodSandboxConfig(
            cgroup_parent=cgroup_parent,
            security_context=sandbox_security(),
            sysctls=sysctls,
            resources=resources(spec),
        ),
    )


def container_config(
    spec: ZoneSpec,
    *,
    cri_attempt: int,
    image: NodeImage,
    log_path: str,
    mounts: Sequence[api.Mount] = (),
    spec_hash: str | None = None,
) -> api.ContainerConfig:
    """Return the configuration of a zone's container.

    `log_path` is relative to the sandbox's log directory; `spec_hash` is the value of the label, if
    it is known already.
    """
    return api.ContainerConfig(
        metadata=api.ContainerMetadata(name=spec.id, attempt=cri_attempt),
        image=api.ImageSpec(image=image.id, user_specified_image=spec.image),
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir or "",
        envs=tuple(api.KeyValue(key=key, value=value.encode()) for key, value in spec.env.items()),
        mounts=tuple(mounts),
        labels=labels.container_labels(spec, spec_hash),
        annotations=labels.container_annotations(spec, image.digest),
        log_path=log_path,
        linux=api.LinuxContainerConfig(
            resources=resources(spec),
            security_context=container_security(spec.user or image.user),
        ),
    )

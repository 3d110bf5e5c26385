from dataclasses import replace

import pytest
from kakuri_cri import api
from kakuri_json import decode
from kakuri_protobuf import encode
from kakuri_workload import ZoneSpec
from kakuri_workload.testing import workload, zone_spec
from kakuri_zones._images import NodeImage
from kakuri_zones._labels import spec_hash
from kakuri_zones._security import profile_hash
from kakuri_zones._zone_config import resources, zone_config
from kakuri_zones.logs import LogLocation

SPEC = zone_spec("web-1")
IMAGE = NodeImage("sha256:abc")
LOG = LogLocation("/var/log/kakuri/web-1", "7.log")

RESOURCES = api.LinuxContainerResources(
    cpu_period=100_000, cpu_quota=50_000, cpu_shares=512, memory_limit_in_bytes=536_870_912
)
NAMESPACES = api.NamespaceOption(pid=api.NamespaceMode.CONTAINER)


def config(spec, image=IMAGE, **fields):
    return zone_config(spec, spec_hash(spec), image, LOG, cgroup_parent="/kakuri", **fields)


def test_sandbox_config_has_only_limits_and_profile():
    dns_config = api.DNSConfig(
        servers=("10.0.0.53",), searches=("example.com",), options=("ndots:1",)
    )
    sandbox = config(SPEC, dns_config=dns_config).sandbox
    assert sandbox == api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name="web-1", uid="web-1", namespace="kakuri"),
        hostname="web-1",
        log_directory="/var/log/kakuri/web-1",
        dns_config=api.DNSConfig(
            servers=("10.0.0.53",), searches=("example.com",), options=("ndots:1",)
        ),
        labels={
            "io.kubernetes.pod.name": "web-1",
            "io.kubernetes.pod.namespace": "kakuri",
            "io.kubernetes.pod.uid": "web-1",
            "kakuri.dev/attempt": "0",
            "kakuri.dev/managed-by": "kakuri",
            "kakuri.dev/spec-hash": spec_hash(SPEC),
            "kakuri.dev/workload-id": "web-1",
        },
        linux=api.LinuxPodSandboxConfig(
            cgroup_parent="/kakuri",
            security_context=api.LinuxSandboxSecurityContext(
                namespace_options=NAMESPACES, seccomp=api.SecurityProfile()
            ),
            resources=RESOURCES,
        ),
    )


def test_container_config_has_only_the_spec_limits_and_profile():
    spec = zone_spec(
        "web-1",
        command=("/bin/sh",),
        args=("-c", "true"),
        env={"KEY": "wörld"},
        working_dir="/srv",
        user="1000:0",
        labels={"team": "x"},
        attempt=7,
    )
    container = config(spec, NodeImage("sha256:abc", "app", "sha256:0f")).container
    written = container.annotations["kakuri.dev/spec"]
    assert decode(written, type=ZoneSpec) == spec
    assert container == api.ContainerConfig(
        metadata=api.ContainerMetadata(name="web-1"),
        image=api.ImageSpec(image="sha256:abc", user_specified_image="nginx:latest"),
        command=("/bin/sh",),
        args=("-c", "true"),
        working_dir="/srv",
        envs=(api.KeyValue(key="KEY", value=b"w\xc3\xb6rld"),),
        labels={
            "io.kubernetes.container.name": "web-1",
            "io.kubernetes.pod.name": "web-1",
            "io.kubernetes.pod.namespace": "kakuri",
            "io.kubernetes.pod.uid": "web-1",
            "kakuri.dev/attempt": "7",
            "kakuri.dev/managed-by": "kakuri",
            "kakuri.dev/spec-hash": spec_hash(spec),
            "kakuri.dev/workload-id": "web-1",
            "team": "x",
        },
        annotations={
            "kakuri.dev/image-digest": "sha256:0f",
            "kakuri.dev/security-profile": profile_hash(),
            "kakuri.dev/spec": written,
        },
        log_path="7.log",
        linux=api.LinuxContainerConfig(
            resources=RESOURCES,
            security_context=api.LinuxContainerSecurityContext(
                capabilities=api.Capability(
                    add_capabilities=(
                        "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID",
                        "SETUID",
                    ),
                    drop_capabilities=("ALL",),
                ),
                namespace_options=NAMESPACES,
                run_as_user=api.Int64Value(value=1000),
                run_as_group=api.Int64Value(value=0),
                no_new_privs=True,
                masked_paths=(
                    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
                ),
                readonly_paths=(
                    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
                ),
                seccomp=api.SecurityProfile(),
            ),
        ),
    )  # fmt: skip


def test_labels_of_the_spec_are_only_on_the_container():
    # 64 of the longest labels would add 25 kB to each list of all sandboxes.
    spec = zone_spec("a", labels={"team": "x"})
    sandbox = config(spec).sandbox
    container = config(spec).container
    assert dict(container.labels).items() - dict(sandbox.labels).items() == {
        ("team", "x"), ("io.kubernetes.container.name", "a"),
    }  # fmt: skip


def test_empty_seccomp_profile_is_sent():
    # Field 9 of the one and 15 of the other, length-delimited, no bytes: absent would be
    # unconfined.
    sandbox = config(SPEC).sandbox
    assert bytes([9 << 3 | 2, 0]) in encode(sandbox.linux.security_context)
    container = config(SPEC).container
    assert bytes([15 << 3 | 2, 0]) in encode(container.linux.security_context)


@pytest.mark.parametrize(
    ("user", "uid", "gid", "name"),
    [
        ("0", 0, None, ""),
        ("0:0", 0, 0, ""),
        ("1000", 1000, None, ""),
        ("1000:1001", 1000, 1001, ""),
        ("4294967294:4294967294", 4294967294, 4294967294, ""),
        ("nobody", None, None, "nobody"),
        ("nobody:50", None, 50, "nobody"),
        ("app:staff", None, None, "app:staff"),
        ("1000:staff", None, None, "1000:staff"),
        ("99999999999999999999", None, None, "99999999999999999999"),
        ("1000:" + "9" * 5000, None, None, "1000:" + "9" * 5000),
        ("١٢", None, None, "١٢"),
    ],
)
def test_user_of_the_workload_or_else_of_the_image_is_sent(user, uid, gid, name):
    own = zone_spec("a", user=user)
    none = zone_spec("a")
    for spec, image in ((own, NodeImage("i", "other")), (none, NodeImage("i", user))):
        context = config(spec, image).container.linux.security_context
        assert (context.run_as_user and context.run_as_user.value) == uid
        assert (context.run_as_group and context.run_as_group.value) == gid
        assert context.run_as_username == name


@pytest.mark.parametrize(
    ("millicores", "quota", "shares"),
    [
        (1, 1000, 2),
        (10, 1000, 10),
        (100, 10_000, 102),
        (1000, 100_000, 1024),
        (2500, 250_000, 2560),
        (2**31 - 1, 214_748_364_700, 262_144),
    ],
)
def test_cpu_limits_are_those_of_the_kubelet(millicores, quota, shares):
    limits = resources(workload(memory_mb=1, cpu_millicores=millicores))
    assert (limits.cpu_period, limits.cpu_quota, limits.cpu_shares) == (100_000, quota, shares)


def test_security_profile_does_not_depend_on_the_spec():
    spec = zone_spec(
        "a",
        command=("x",),
        env={"PATH": "/"},
        working_dir="/proc",
        user="1:1",
        labels={"team": "x"},
    )
    plain, full = (config(each).container.linux.security_context for each in (zone_spec("a"), spec))
    assert replace(plain, run_as_user=None, run_as_group=None) == replace(
        full, run_as_user=None, run_as_group=None
    )


def test_config_has_no_devices_privileges_or_host_namespaces():
    spec = zone_spec(
        "a",
        command=("x",),
        env={"PATH": "/"},
        working_dir="/dev",
        user="1:1",
        labels={"privileged": "true"},
    )
    sandbox = config(spec).sandbox
    container = config(spec).container
    assert (container.devices, container.CDI_devices, container.mounts) == ((), (), ())
    assert (container.stdin, container.tty) == (False, False)
    assert (sandbox.port_mappings, dict(sandbox.annotations)) == ((), {})
    for context in (sandbox.linux.security_context, container.linux.security_context):
        assert context.privileged is False
        assert (context.supplemental_groups, context.selinux_options) == ((), None)
        assert (context.apparmor, context.seccomp_profile_path) == (None, "")
        namespaces = context.namespace_options
        assert api.NamespaceMode.NODE not in (namespaces.network, namespaces.pid, namespaces.ipc)

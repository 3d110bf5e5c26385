import pytest
from google.protobuf import text_format
from kakuri_registry import ZoneSpec
from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar._images import NodeImage
from kakuri_sidecar._zone_config import container_config, resources, sandbox_config

SPEC = ZoneSpec("web-1", "nginx:latest", 512, 500)
IMAGE = NodeImage("sha256:abc")

SANDBOX = """
metadata { name: "web-1" uid: "web-1" namespace: "kakuri" attempt: 3 }
hostname: "web-1"
log_directory: "/var/log/kakuri/web-1"
dns_config { servers: "10.0.0.53" searches: "example.com" options: "ndots:1" }
labels { key: "io.kubernetes.pod.name" value: "web-1" }
labels { key: "io.kubernetes.pod.namespace" value: "kakuri" }
labels { key: "io.kubernetes.pod.uid" value: "web-1" }
labels { key: "kakuri.dev/attempt" value: "0" }
labels { key: "kakuri.dev/managed-by" value: "kakuri" }
labels { key: "kakuri.dev/spec-hash" value: "HASH" }
labels { key: "kakuri.dev/workload-id" value: "web-1" }
linux {
  cgroup_parent: "/kakuri"
  security_context {
    namespace_options { pid: CONTAINER }
    seccomp { }
  }
  sysctls { key: "net.ipv4.ip_unprivileged_port_start" value: "0" }
  resources {
    cpu_period: 100000
    cpu_quota: 50000
    cpu_shares: 512
    memory_limit_in_bytes: 536870912
  }
}
"""

CONTAINER = """
metadata { name: "web-1" attempt: 2 }
image { image: "sha256:abc" user_specified_image: "nginx:latest" }
command: "/bin/sh"
args: "-c"
args: "true"
working_dir: "/srv"
envs { key: "KEY" value: "w\\303\\266rld" }
mounts { container_path: "/etc/hosts" host_path: "/log/web-1/hosts" readonly: true }
labels { key: "io.kubernetes.container.name" value: "web-1" }
labels { key: "io.kubernetes.pod.name" value: "web-1" }
labels { key: "io.kubernetes.pod.namespace" value: "kakuri" }
labels { key: "io.kubernetes.pod.uid" value: "web-1" }
labels { key: "kakuri.dev/attempt" value: "7" }
labels { key: "kakuri.dev/managed-by" value: "kakuri" }
labels { key: "kakuri.dev/spec-hash" value: "HASH" }
labels { key: "kakuri.dev/workload-id" value: "web-1" }
labels { key: "team" value: "x" }
annotations { key: "kakuri.dev/image-digest" value: "sha256:0f" }
annotations { key: "kakuri.dev/spec" value: "SPEC" }
log_path: "7.log"
linux {
  resources {
    cpu_period: 100000
    cpu_quota: 50000
    cpu_shares: 512
    memory_limit_in_bytes: 536870912
  }
  security_context {
    capabilities {
      add_capabilities: "CHOWN"
      add_capabilities: "DAC_OVERRIDE"
      add_capabilities: "FOWNER"
      add_capabilities: "KILL"
      add_capabilities: "NET_BIND_SERVICE"
      add_capabilities: "SETGID"
      add_capabilities: "SETUID"
      drop_capabilities: "ALL"
    }
    namespace_options { pid: CONTAINER }
    run_as_user { value: 1000 }
    run_as_group { }
    no_new_privs: true
    masked_paths: "/proc/acpi"
    masked_paths: "/proc/asound"
    masked_paths: "/proc/interrupts"
    masked_paths: "/proc/kcore"
    masked_paths: "/proc/keys"
    masked_paths: "/proc/latency_stats"
    masked_paths: "/proc/sched_debug"
    masked_paths: "/proc/scsi"
    masked_paths: "/proc/timer_list"
    masked_paths: "/proc/timer_stats"
    masked_paths: "/sys/devices/virtual/powercap"
    masked_paths: "/sys/firmware"
    readonly_paths: "/proc/bus"
    readonly_paths: "/proc/fs"
    readonly_paths: "/proc/irq"
    readonly_paths: "/proc/sys"
    readonly_paths: "/proc/sysrq-trigger"
    seccomp { }
  }
}
"""


def parsed(kind, text):
    return text_format.Parse(text, kind())


def encoded(message):
    return message.SerializeToString(deterministic=True)


def test_the_sandbox_byte_for_byte():
    config = sandbox_config(
        SPEC,
        cri_attempt=3,
        cgroup_parent="/kakuri",
        log_directory="/var/log/kakuri/web-1",
        dns_config=api.DNSConfig(
            servers=["10.0.0.53"], searches=["example.com"], options=["ndots:1"]
        ),
        sysctls={"net.ipv4.ip_unprivileged_port_start": "0"},
    )
    text = SANDBOX.replace("HASH", config.labels["kakuri.dev/spec-hash"])
    assert encoded(config) == encoded(parsed(api.PodSandboxConfig, text))


def test_the_container_byte_for_byte():
    spec = ZoneSpec(
        "web-1", "nginx:latest", 512, 500, command=("/bin/sh",), args=("-c", "true"),
        env={"KEY": "wörld"}, working_dir="/srv", user="1000:0", labels={"team": "x"}, attempt=7,
    )  # fmt: skip
    hosts = api.Mount(container_path="/etc/hosts", host_path="/log/web-1/hosts", readonly=True)
    config = container_config(
        spec,
        cri_attempt=2,
        image=NodeImage("sha256:abc", "app", "sha256:0f"),
        log_path="7.log",
        mounts=[hosts],
    )
    text = CONTAINER.replace("HASH", config.labels["kakuri.dev/spec-hash"])
    written = config.annotations["kakuri.dev/spec"]
    expected = parsed(api.ContainerConfig, text.replace('"SPEC"', '""'))
    expected.annotations["kakuri.dev/spec"] = written
    assert encoded(config) == encoded(expected)


def test_a_submitters_labels_are_the_containers_alone():
    # A sandbox with 64 of the longest would be 25 kB of each list of all sandboxes.
    spec = ZoneSpec("a", "b", 1, 1, labels={"team": "x"})
    sandbox = sandbox_config(spec, cri_attempt=0, cgroup_parent="", log_directory="")
    container = container_config(spec, cri_attempt=0, image=IMAGE, log_path="")
    assert dict(container.labels).items() - dict(sandbox.labels).items() == {
        ("team", "x"), ("io.kubernetes.container.name", "a"),
    }  # fmt: skip


def test_a_seccomp_profile_is_sent_although_it_is_empty():
    # Field 9 of the one and 15 of the other, length-delimited, no bytes: absent would be
    # unconfined.
    sandbox = sandbox_config(SPEC, cri_attempt=0, cgroup_parent="", log_directory="")
    assert bytes([9 << 3 | 2, 0]) in sandbox.linux.security_context.SerializeToString()
    container = container_config(SPEC, cri_attempt=0, image=IMAGE, log_path="")
    assert bytes([15 << 3 | 2, 0]) in container.linux.security_context.SerializeToString()


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
    ],
)
def test_user_of_the_workload_or_else_of_the_image_is_sent(user, uid, gid, name):
    own = ZoneSpec("a", "b", 1, 1, user=user)
    none = ZoneSpec("a", "b", 1, 1)
    for spec, image in ((own, NodeImage("i", "other")), (none, NodeImage("i", user))):
        config = container_config(spec, cri_attempt=0, image=image, log_path="")
        read = api.LinuxContainerSecurityContext.FromString(
            config.linux.security_context.SerializeToString()
        )
        assert (read.run_as_user.value if read.HasField("run_as_user") else None) == uid
        assert (read.run_as_group.value if read.HasField("run_as_group") else None) == gid
        assert read.run_as_username == name


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
def test_limits_of_cpu(millicores, quota, shares):
    limits = resources(ZoneSpec("a", "b", 1, millicores))
    assert (limits.cpu_period, limits.cpu_quota, limits.cpu_shares) == (100_000, quota, shares)


def test_nothing_that_a_submitter_says_reaches_the_profile():
    spec = ZoneSpec(
        "a", "b", 1, 1, command=("x",), env={"PATH": "/"}, working_dir="/proc", user="1:1",
        labels={"team": "x"},
    )  # fmt: skip
    plain, full = (
        container_config(each, cri_attempt=0, image=IMAGE, log_path="").linux.security_context
        for each in (ZoneSpec("a", "b", 1, 1), spec)
    )
    for context in (plain, full):
        context.ClearField("run_as_user")
        context.ClearField("run_as_group")
    assert plain == full


def test_what_is_never_asked_for_can_not_be_said():
    fields = set(api.ContainerConfig.DESCRIPTOR.fields_by_name)
    assert not fields & {"devices", "CDI_devices", "stdin", "tty"}
    security = set(api.LinuxContainerSecurityContext.DESCRIPTOR.fields_by_name)
    assert not security & {"supplemental_groups", "apparmor", "selinux_options"}

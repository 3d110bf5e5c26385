"""The limits and the confinement of a zone, read back from the kernel."""

import platform
import re
from pathlib import Path

import pytest
from kakuri_zones._security import MASKED_PATHS, READONLY_PATHS

from .system import IDLE, await_that

CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
}
"""The capabilities that a zone keeps, by number (capabilities(7))."""


def test_zone_has_the_memory_and_cpu_limits_of_its_workload_in_the_kernel(system):
    system.run("limited", *IDLE, memory_mb=512, cpu_millicores=500)
    system.await_state("limited", "running")
    limits = system.node.limits(system.container("limited")["ID"])
    assert limits.memory_bytes == 512 * 2**20
    assert limits.cpu_millicores == 500
    system.remove("limited")


@pytest.fixture(scope="module")
def inside(one_system):
    """What a container sees of itself."""
    system = one_system
    system.run(
        "inside",
        "sh",
        "-c",
        "cat /proc/self/status /proc/self/mounts; echo pid $$;"
        "touch /proc/sys/kernel/hostname 2>&1; mount -t tmpfs none /mnt 2>&1;"
        "unshare -U true 2>&1; mknod /tmp/null c 1 3 2>&1;"
        "echo host $(hostname); ip -o addr; echo first $(cat /proc/1/comm);"
        "echo devices $(ls /dev)",
    )
    system.await_end("inside")
    seen = system.log("inside").decode()
    system.remove("inside")
    return seen


def field(status, name):
    return re.search(rf"^{name}:\s*(\S+)", status, re.MULTILINE)[1]


def test_zone_has_no_new_privileges_and_a_seccomp_filter(inside):
    assert field(inside, "NoNewPrivs") == "1"
    assert field(inside, "Seccomp") == "2"
    # The filter alone forbids this one: it takes no capability.
    assert re.search(r"^unshare: .*Operation not permitted$", inside, re.MULTILINE)


def test_zone_has_only_the_documented_capabilities(inside):
    expected = sum(1 << number for number in CAPABILITIES.values())
    assert int(field(inside, "CapEff"), 16) == expected
    assert int(field(inside, "CapBnd"), 16) == expected
    assert int(field(inside, "CapAmb"), 16) == 0


def test_zone_has_its_own_pid_namespace_and_host_name(inside):
    assert "pid 1\n" in inside
    assert "first sh\n" in inside
    assert "host inside\n" in inside


def test_zone_has_masked_and_read_only_kernel_paths(inside):
    mounts = [line.split() for line in inside.splitlines() if line.endswith(" 0 0")]
    covered = {mount[1]: mount[2] for mount in mounts if mount[2] in ("tmpfs", "devtmpfs")}
    there = {path for path in MASKED_PATHS if Path(path).exists()}  # by this kernel
    assert "/sys/firmware" in there
    assert there <= covered.keys()
    read_only = {mount[1] for mount in mounts if "ro" in mount[3].split(",")}
    assert {path for path in READONLY_PATHS if Path(path).exists()} <= read_only
    assert "/proc/sys/kernel/hostname: Read-only file system" in inside


def test_zone_may_not_mount_or_create_devices(inside):
    assert "mount: permission denied" in inside
    assert "mknod: /tmp/null: Operation not permitted" in inside


def test_zone_sees_only_harmless_devices(inside):
    devices = set(re.search(r"^devices (.*)$", inside, re.MULTILINE)[1].split())
    assert "null" in devices
    assert not devices & {"kvm", "mem", "kmsg", "vda", "sda", "fuse"}


def test_zone_has_its_own_network_namespace(inside):
    assert "inet 127.0.0.1" in inside
    assert "eth0" in inside
    assert "zones0" not in inside  # the node's bridge


def test_image_whose_working_directory_leaves_the_zone_is_not_started(system):
    status, _ = system.submit("door", image="door:latest")
    assert status == 201
    status = system.await_end("door")
    assert (status["state"], status["reason"]) == ("failed", "StartError")
    assert "'/proc/self/fd/8' leaves the zone" in status["message"]
    system.remove("door")
    system.run("window", "pwd", image="door:latest", working_dir="/tmp")
    system.await_end("window")
    assert system.log("window") == b"/tmp\n"


def test_isolation_of_a_running_zone_is_shown_with_its_specification(system):
    system.run("shown", *IDLE, memory_mb=96)
    system.await_state("shown", "running")
    isolation = await_that("evidence", lambda: spec_of(system, "shown").get("isolation"))
    assert isolation.keys() == {"handler", "kernel", "host_kernel", "profile", "checked_at"}
    assert isolation["handler"] == "edera"
    assert isolation["kernel"] == isolation["host_kernel"] == platform.release()
    assert isolation["profile"].startswith("sha256:")
    system.remove("shown")


def test_zone_without_room_for_a_process_is_shown_without_its_kernel(system):
    system.run("small", *IDLE, memory_mb=16)
    system.await_state("small", "running")
    isolation = await_that("evidence", lambda: spec_of(system, "small").get("isolation"))
    assert "kernel" not in isolation
    system.remove("small")


def spec_of(system, workload_id):
    return system.request("GET", f"/workloads/{workload_id}?spec")[1]

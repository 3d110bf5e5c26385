"""What a zone is held to, read back from the kernel."""

import re

import pytest
from zones_system import IDLE

CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
}
"""Those that a zone keeps, by their numbers (capabilities(7))."""


def test_limits_are_the_kernels(system):
    system.run("limited", *IDLE, memory_mb=512, cpu_millicores=500)
    system.await_state("limited", "running")
    limits = system.node.limits(system.zone("limited")["container_id"])
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
        "cat /proc/self/status; echo pid $$; head -c 1 /proc/kcore | wc -c;"
        "touch /proc/sys/kernel/hostname 2>&1; mount -t tmpfs none /mnt 2>&1;"
        "unshare -n true 2>&1; mknod /tmp/null c 1 3 2>&1; ls /sys/firmware | wc -l;"
        "hostname; ip -o addr; cat /proc/1/comm; ls /dev",
    )
    system.await_end("inside")
    seen = system.log("inside").decode()
    system.remove("inside")
    return seen


def field(status, name):
    return re.search(rf"^{name}:\s*(\S+)", status, re.MULTILINE)[1]


def test_no_new_privileges_and_a_filter_of_system_calls(inside):
    assert field(inside, "NoNewPrivs") == "1"
    assert field(inside, "Seccomp") == "2"


def test_a_short_list_of_capabilities(inside):
    expected = sum(1 << number for number in CAPABILITIES.values())
    assert int(field(inside, "CapEff"), 16) == expected
    assert int(field(inside, "CapBnd"), 16) == expected
    assert int(field(inside, "CapAmb"), 16) == 0


def test_process_numbers_of_its_own(inside):
    assert "pid 1\n" in inside


def test_masked_and_read_only_paths(inside):
    assert re.search(r"^0$", inside, re.MULTILINE)  # nothing of /proc/kcore, nor of /sys/firmware
    assert "/proc/sys/kernel/hostname: Read-only file system" in inside


def test_what_it_may_not_do(inside):
    assert "mount: permission denied" in inside
    assert "unshare" in inside
    assert "mknod: /tmp/null: Operation not permitted" in inside


def test_a_network_of_its_own(inside, system):
    assert "inet 127.0.0.1" in inside
    assert "eth0" in inside
    assert system.node.folder.name not in inside

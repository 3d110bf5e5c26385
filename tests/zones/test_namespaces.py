"""Everything inside a node's namespaces ends with it; here nodes run inside the tests' own node."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cri_node import cgroups
from tests.cri_node.cache import ROOT
from tests.cri_node.namespaces import sweep

from .processes import ended_after

ON_NODE = [sys.executable, "-m", "tests.cri_node", "--"]

CONTAINER = """
image=127.0.0.1:5000/library/busybox:latest
ctr images pull --plain-http $image >/dev/null
group="/$(basename "$KAKURI_CRI_NODE")/busy"
ctr run --detach --cgroup "$group" $image busy sleep 1000
"""

BUSY = f"""{CONTAINER}
echo "$KAKURI_CRI_NODE"
readlink /proc/self/ns/pid
exec sleep 1000
"""


def members(namespace):
    """The processes of a process namespace, as descriptors by what they run."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if str((entry / "ns" / "pid").readlink()) == namespace:
                name = (entry / "comm").read_text().strip()
                found[name] = os.pidfd_open(int(entry.name))
    return found


def await_end(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(30_000)
    os.close(descriptor)


def traces():
    """Return what a node could leave besides processes: mounts and network devices."""
    devices = [line.split(":")[0] for line in Path("/proc/net/dev").read_text().splitlines()]
    return Path("/proc/self/mountinfo").read_text(), devices


@pytest.fixture
def busy():
    """A node with a running container: its outermost process, directory and process namespace."""
    process = subprocess.Popen(
        [*ON_NODE, "sh", "-c", BUSY], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with ended_after(process):
        directory, namespace = (process.stdout.readline().strip() for _ in range(2))
        yield process, Path(directory), namespace


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_node_whose_outermost_process_ends_leaves_nothing(busy, number):
    before = traces()
    process, directory, namespace = busy
    found = members(namespace)
    assert {"containerd", "containerd-shim", "docker-registry"} <= set(found)
    process.send_signal(number)
    assert process.wait(30) == (-number if number == signal.SIGKILL else 128 + number)
    for descriptor in found.values():
        await_end(descriptor)
    assert traces() == before
    sweep(directory.parent)
    assert not directory.exists()
    assert not list(cgroups.ROOT.glob(f"*/{directory.name}"))


def test_node_with_a_frozen_container_ends():
    """An OCI runtime that is killed while it kills a container leaves the container frozen."""
    freeze = "import sys; from tests.cri_node.cgroups import freeze; freeze(sys.argv[1])"
    script = f'{CONTAINER}{sys.executable} -c "{freeze}" "$group"'
    assert subprocess.run([*ON_NODE, "sh", "-c", script], cwd=ROOT, timeout=60).returncode == 0


def test_nodes_run_side_by_side(busy, node):
    _, directory, _ = busy
    sweep(directory.parent)
    assert directory.is_dir()
    assert node.directory.is_dir()
    other = ["ctr", "--namespace", "default", "tasks", "list", "--quiet"]
    assert subprocess.run(other, capture_output=True, check=True, text=True).stdout == ""


def test_exit_status_of_the_node_is_that_of_its_command():
    assert subprocess.run([*ON_NODE, "sh", "-c", "exit 7"], cwd=ROOT).returncode == 7
    assert subprocess.run([*ON_NODE, "sh", "-c", "kill -9 $$"], cwd=ROOT).returncode == 137
    done = subprocess.run([*ON_NODE, "no-such-program"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "expected a program, got 'no-such-program': No such file or directory\n"

"""The test bed itself: containerd, its CRI service, the registry, limits, and both handlers."""

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kakuri_http import HTTPError, RequestTimeout, Timeouts
from kakuri_http.blocking import BlockingClient
from kakuri_json import decode

from tests.cri_node import readiness
from tests.cri_node.cgroups import Limits
from tests.cri_node.daemons import await_condition

from .processes import ended_after

MIB = 1 << 20


def ctr(*arguments):
    """Ask containerd, of whose clients this one comes with it."""
    done = subprocess.run(["ctr", *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"ctr {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def busybox(node):
    name = f"{node.registry}/library/busybox:latest"
    ctr("images", "pull", "--plain-http", name)
    return name


@contextmanager
def container(node, image, name, *options, command=("sleep", "1000")):
    """Run a container in the background, without a pod and without CRI."""
    options += ("--cgroup", node.cgroup(name))
    ctr("run", "--detach", *options, image, name, *command)
    try:
        yield
    finally:
        ctr("tasks", "delete", "--force", name)
        ctr("containers", "delete", name)


def pids():
    """The processes of containers, by the containers' names."""
    rows = [line.split() for line in ctr("tasks", "list").splitlines()[1:]]
    return {name: int(pid) for name, pid, state in rows if state == "RUNNING"}


def test_registry_of_the_node_has_its_images(node):
    with BlockingClient() as client:
        answer = client.request("GET", f"http://{node.registry}/v2/_catalog")
    names = {"library/busybox", "library/door", "library/nginx", "library/pause"}
    # Other tests push images of their own.
    assert names <= set(decode(answer.body, type=Any)["repositories"])


def test_node_reports_cri_as_ready(node):
    assert readiness.conditions(node.socket) == {"RuntimeReady": True, "NetworkReady": True}


def test_containerd_has_loaded_the_plugins_that_containers_need(node):
    rows = [line.split() for line in ctr("plugins", "list").splitlines()[1:]]
    states = {name: state for _, name, _, state in rows}
    assert {states[name] for name in ("cri", "overlayfs", "task")} == {"ok"}


def test_limits_are_read_back_from_the_kernel(node, busybox):
    options = ("--memory-limit", str(64 * MIB), "--cpus", "0.5")
    with container(node, busybox, "limited", *options):
        assert node.limits("limited") == Limits(64 * MIB, 500)
    with container(node, busybox, "unlimited"):
        assert node.limits("unlimited") == Limits(None, None)


def test_containers_survive_a_killed_containerd(node, busybox):
    with container(node, busybox, "survivor"):
        before, daemon = pids(), node.containerd_pid
        node.kill_containerd()
        with pytest.raises(readiness.NotReady):
            readiness.conditions(node.socket)
        assert not Path(f"/proc/{daemon}").exists()  # not even as a zombie
        node.start_containerd()
        assert node.containerd_pid != daemon
        assert pids() == before


def test_readiness_of_a_paused_containerd_times_out(node):
    node.pause_containerd()
    try:
        with pytest.raises(readiness.NotReady, match="CallTimeout"):
            readiness.conditions(node.socket, seconds=0.2)
    finally:
        node.resume_containerd()
    node.await_ready()


def test_request_to_a_paused_registry_times_out(node):
    url = f"http://{node.registry}/v2/"
    node.pause_registry()
    try:
        with (
            BlockingClient(timeouts=Timeouts(total=0.2)) as client,
            pytest.raises(RequestTimeout),
        ):
            client.request("GET", url)
    finally:
        node.resume_registry()
    with BlockingClient() as client:
        assert client.request("GET", url).status == 200


def test_node_has_its_own_process_and_network_namespaces(node):
    inside = Path("/proc/self/ns/pid").readlink()
    assert Path(f"/proc/{node.containerd_pid}/ns/pid").readlink() == inside
    devices = [
        line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()
    ]
    assert "eth0" not in devices


MACHINE = ("--annotation", "io.kubernetes.cri.container-type=container")


def test_container_in_a_virtual_machine_has_another_kernel_and_its_memory_limit(node, busybox):
    """Its kernel is not the node's, and it has no more memory than its limit."""
    script = "uname -r; head -1 /proc/meminfo; echo to stderr >&2; exit 7"
    done = subprocess.run(
        ["ctr", "run", "--rm", *MACHINE, "--runc-binary", node.vm_runtime,
         "--cgroup", node.cgroup("machine"), "--memory-limit", str(192 * MIB),
         busybox, "machine", "sh", "-c", script],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    kernel, memory = done.stdout.splitlines()
    assert kernel != Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert 64 * 1024 < int(memory.split()[1]) < 192 * 1024
    assert "to stderr" in done.stderr


def test_signal_to_a_virtual_machine_ends_its_process(node, busybox):
    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 1 & wait $!; done"
    process = subprocess.Popen(
        ["ctr", "run", "--rm", *MACHINE, "--runc-binary", node.vm_runtime,
         "--cgroup", node.cgroup("asked"), busybox, "asked", "sh", "-c", script],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with ended_after(process):
        assert process.stdout.readline() == "ready\n"
        ctr("tasks", "kill", "--signal", "SIGTERM", "asked")
        assert process.wait(100) == 5


@pytest.fixture
def pod_network():
    """A network namespace whose eth0 has 10.99.0.2, as CNI makes it for a pod."""
    with ended_after(subprocess.Popen(["unshare", "--net", "sleep", "1000"])) as holder:
        namespace = Path(f"/proc/{holder.pid}/ns/net")
        own = Path("/proc/self/ns/net").readlink()
        await_condition("a namespace", lambda: namespace.readlink() != own)
        inside = ["nsenter", f"--net={namespace}", "ip"]
        for command in (
            [
                "ip",
                "link",
                "add",
                "veth0",
                "type",
                "veth",
                "peer",
                "eth0",
                "netns",
                str(holder.pid),
            ],
            ["ip", "address", "add", "10.99.0.1/24", "dev", "veth0"],
            ["ip", "link", "set", "veth0", "up"],
            [*inside, "address", "add", "10.99.0.2/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
            [*inside, "route", "add", "default", "via", "10.99.0.1"],
        ):
            subprocess.run(command, check=True)
        yield namespace


def test_virtual_machine_has_the_address_of_its_pod(node, pod_network):
    image = f"{node.registry}/library/nginx:latest"
    ctr("images", "pull", "--plain-http", image)
    options = (*MACHINE, "--runc-binary", node.vm_runtime, "--with-ns", f"network:{pod_network}")

    def page():
        try:
            with BlockingClient(timeouts=Timeouts(connect=0.5)) as client:
                return client.request("GET", "http://10.99.0.2/").body
        except HTTPError:
            return b""

    with container(node, image, "web", *options, command=("nginx", "-g", "daemon off;")):
        await_condition("nginx's page", lambda: b"Welcome to nginx!" in page())
        command = ["ctr", "tasks", "exec", "--exec-id", "one", "web", "true"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert "for a virtual machine, got 'exec'" in refused.stderr
        ctr("tasks", "kill", "--signal", "SIGQUIT", "web")
        await_condition("nginx's end", lambda: "web" not in pids())

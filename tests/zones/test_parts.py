"""The parts of the test node, each on its own."""

import io
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cri_node import cgroups, pause
from tests.cri_node.cache import Cache
from tests.cri_node.cgroups import Limits
from tests.cri_node.daemons import Daemon, NodeError, await_condition
from tests.cri_node.layers import Layer, digest, image
from tests.cri_node.vm.__main__ import parse, to_signal
from tests.cri_node.vm.cpio import Archive
from tests.cri_node.vm.guest import run_script

from .processes import ended_after


@pytest.fixture
def first(tmp_path):
    """The process id of pause as the first process of a process namespace."""
    program = tmp_path / "pause"
    program.write_bytes(pause.program())
    program.chmod(0o755)
    command = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child", program]
    with ended_after(subprocess.Popen(command)) as outer:
        await_condition("pause", lambda: [call(pid) for pid in children(outer.pid)] == ["128"])
        yield outer, *children(outer.pid)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def call(pid):
    """The number of the system call that a process is in; 128 is rt_sigtimedwait."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_ends_on_sigterm_and_sigint(first, number):
    outer, pid = first
    os.kill(pid, number)
    assert outer.wait(10) == 0


def test_pause_reaps_orphans(first):
    outer, pid = first
    orphan = "(sleep 0.05 & sleep 0.05 &)"
    subprocess.run(
        ["nsenter", f"--target={pid}", "--pid", "--mount", "sh", "-c", orphan], check=True
    )
    await_condition("no child, dead or alive", lambda: not children(pid))
    os.kill(pid, signal.SIGHUP)
    assert outer.poll() is None


def test_layer_of_the_same_files_has_the_same_bytes():
    def made():
        return Layer().directory("etc").file("etc/name", "value").link("name", "etc/name").finish()

    assert made() == made()
    with tarfile.open(fileobj=io.BytesIO(made().data)) as tar:
        assert tar.getnames() == ["etc", "etc/name", "name"]
        assert tar.extractfile("etc/name").read() == b"value"


def test_layer_with_a_file_added_twice_has_the_later_one():
    layer = Layer().file("name", "old").file("name", "new").finish()
    with tarfile.open(fileobj=io.BytesIO(layer.data)) as tar:
        assert [tar.extractfile(member).read() for member in tar] == [b"new"]


def test_image_manifest_names_every_blob():
    layer = Layer().file("name", "value").finish()
    made = image("amd64", [layer], {"Cmd": ["name"]})
    assert digest(layer.data) in made.blobs
    assert all(name.encode() in made.manifest for name in made.blobs)


def test_archive_is_unpacked_by_busybox(tmp_path):
    source = tmp_path / "source"
    (source / "directory").mkdir(parents=True)
    (source / "directory" / "file").write_text("content")
    (source / "link").symlink_to("directory/file")
    (source / "left-out").write_text("")
    archive = Archive()
    archive.file("first", b"odd")
    archive.tree(source, "root", {"left-out"})
    target = tmp_path / "target"
    target.mkdir()
    command = [Cache().busybox, "cpio", "-id"]
    subprocess.run(command, input=archive.finish(), cwd=target, check=True, capture_output=True)
    assert (target / "first").read_bytes() == b"odd"
    assert (target / "root" / "link").read_text() == "content"
    assert not (target / "root" / "left-out").exists()


def test_command_line_of_runc_is_parsed():
    line = ["--root", "/r", "--systemd-cgroup", "create", "--bundle=/b", "--pid-file", "/p", "one"]
    options, rest = parse(line)
    assert options == {
        "--root": "/r", "--systemd-cgroup": "", "--bundle": "/b", "--pid-file": "/p",
    }  # fmt: skip
    assert rest == ["create", "one"]
    assert to_signal("15") == to_signal("TERM") == to_signal("SIGTERM") == signal.SIGTERM


def test_script_of_a_guest_quotes_its_arguments():
    process = {"args": ["echo", "it's"], "cwd": "/a b", "env": ["A=$x y", "not-a-name=1"]}
    script = run_script(process)
    assert "not-a-name" not in script
    rehearsal = script.replace("exec chroot /rootfs /bin/sh -c", "printf %s")
    done = subprocess.run(["sh", "-c", rehearsal], capture_output=True, text=True, check=True)
    assert done.stdout == "cd '/a b' && exec echo 'it'\"'\"'s'"


@pytest.mark.parametrize(
    ("memory", "cpu", "limits"),
    [
        ("67108864", "50000 100000", Limits(64 << 20, 500)),
        ("max", "max 100000", Limits(None, None)),
    ],
)
def test_limits_of_cgroup_version_2_are_written_and_read(
    tmp_path, monkeypatch, memory, cpu, limits
):
    """A directory stands for the kernel's: a machine has one version only."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    [group] = cgroups.create("/pods/one", 1 << 20, 1000, 2000)
    assert cgroups.limits("/pods/one") == Limits(1 << 20, 500)
    for parent in (tmp_path, tmp_path / "pods"):
        assert "+memory" in (parent / "cgroup.subtree_control").read_text()
    (group / "memory.max").write_text(f"{memory}\n")
    (group / "cpu.max").write_text(f"{cpu}\n")
    assert cgroups.limits("/pods/one") == limits


def test_cgroup_is_created_with_limits_and_removed(node):
    path = f"{node.cgroup_parent}/outer/inner"
    made = cgroups.create(path, 8 << 20, 20_000, 100_000)
    assert cgroups.limits(path) == Limits(8 << 20, 200)
    cgroups.remove(f"{node.cgroup_parent}/outer")
    assert not any(directory.exists() for directory in made)


def test_daemon_that_was_not_started_cannot_be_signalled(tmp_path):
    daemon = Daemon("no-such-program", pid_file=tmp_path / "pid", log=tmp_path / "log")
    assert not daemon.runs
    with pytest.raises(NodeError, match="was not started"):
        daemon.send(signal.SIGTERM)
    with pytest.raises(NodeError, match="expected the program no-such-program"):
        daemon.start()


def test_daemon_of_the_node_is_started_ended_and_started_again(tmp_path):
    daemon = Daemon("sleep", "1000", pid_file=tmp_path / "pid", log=tmp_path / "log")
    daemon.start()
    assert "pid" in repr(daemon)
    with pytest.raises(NodeError, match="expected sleep to be down"):
        daemon.start()
    daemon.end(signal.SIGTERM)
    assert not daemon.runs
    daemon.start()
    daemon.end(signal.SIGKILL)
    assert "down" in repr(daemon)


def test_await_condition_that_stays_false_raises_node_error():
    with pytest.raises(NodeError, match=r"expected rain within 0\.02 s"):
        await_condition("rain", lambda: False, 0.02)

"""The process that stands for a container: it runs QEMU and leaves with the guest's exit status."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.cri_node.vm import guest, network
from tests.cri_node.vm.machine import Machine

_PR_SET_PDEATHSIG = 1

# Without a report of the guest, its kernel killed the process, or the machine was killed.
KILLED = 137


@dataclass(frozen=True)
class Settings:
    """Where the parts of a machine lie; from the environment, as no options can be passed."""

    kernel: Path
    modules: Path
    busybox: Path
    runc: str
    qemu: str

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the KAKURI_VM_… variables."""
        values = {name: os.environ[f"KAKURI_VM_{name.upper()}"] for name in cls.__annotations__}
        return cls(
            Path(values["kernel"]), Path(values["modules"]), Path(values["busybox"]),
            values["runc"], values["qemu"],
        )  # fmt: skip


class Supervisor:
    """Runs one container's machine, from `create` on."""

    def __init__(
        self, machine: Machine, settings: Settings, spec: dict[str, Any], memory: int
    ) -> None:
        self._machine, self._settings = machine, settings
        self._spec, self._memory = spec, memory
        self._control = socket.socket(socket.AF_UNIX)
        self._serial, self._guest = socket.socketpair()

    def listen(self) -> None:
        """Bind the socket that `start` and `kill` connect to."""
        with self._machine.entered():
            self._control.bind("control.sock")
        self._control.listen()

    def run(self) -> NoReturn:
        """Wait for `start`, run the machine, and leave with its container's exit status."""
        try:
            starter, _ = self._control.accept()
            starter.recv(64)
            qemu = self._boot()
            threading.Thread(target=self._pass_signals, daemon=True).start()
            status = self._follow(starter)
            qemu.wait()
        except (OSError, KeyError, StopIteration, subprocess.SubprocessError) as error:
            (self._machine.directory / "failure").write_text(repr(error))
            os._exit(255)
        os._exit(status)

    def _boot(self) -> subprocess.Popen[bytes]:
        directory, bundle = self._machine.directory, Path(self._machine.state["bundle"])
        hardware, commands = "", ""
        for namespace in self._spec["linux"]["namespaces"]:
            if namespace["type"] == "network" and namespace.get("path"):
                network.enter(namespace["path"])
                hardware, commands = network.hand_over()
        disk = directory / "disk"
        with disk.open("wb") as file:
            kept = directory.parent / "common-disk"
            file.write(guest.common_disk(self._settings.modules, self._settings.busybox, kept))
            file.write(guest.own_disk(bundle, self._spec, commands))
        libc = ctypes.CDLL(None)
        command = self._command(disk, hardware)
        qemu = subprocess.Popen(
            command,
            pass_fds=[self._guest.fileno()],
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        self._guest.close()
        return qemu

    def _command(self, disk: Path, hardware: str) -> list[str]:
        command = [
            self._settings.qemu,
            *("-accel", "tcg", "-M", "q35", "-cpu", "max", "-smp", "1"),
            *("-m", str(self._memory >> 20)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(self._settings.kernel), "-initrd", str(disk)),
            *("-append", guest.CONSOLE),
            *("-serial", f"file:{self._machine.directory / 'console.log'}"),
        ]
        for number in (1, 2):
            path = f"file,id=s{number},path=/proc/self/fd/{number},append=on"
            command += ["-chardev", path, "-serial", f"chardev:s{number}"]
        channel = f"socket,id=s3,fd={self._guest.fileno()}"
        command += ["-chardev", channel, "-serial", "chardev:s3"]
        if hardware:
            tap = f"tap,id=n0,ifname={network.TAP},script=no,downscript=no"
            device = f"virtio-net-pci,netdev=n0,mac={hardware},romfile="
            command += ["-netdev", tap, "-device", device]
        return command

    def _pass_signals(self) -> None:
        while True:
            killer, _ = self._control.accept()
            with killer:
                self._serial.sendall(killer.recv(64) + b"\n")

    def _follow(self, starter: socket.socket) -> int:
        status = KILLED
        with self._serial.makefile("r") as lines:
            for line in lines:
                word, _, value = line.strip().partition(" ")
                if word == "up":
                    starter.sendall(b"up")
                    starter.close()
                elif word == "exit":
                    status = int(value)
        starter.close()
        return status


def spawn(
    machine: Machine,
    settings: Settings,
    spec: dict[str, Any],
    memory: int,
    groups: list[Path],
) -> int:
    """Fork a supervisor into a control group; return its process id once it accepts connections."""
    supervisor = Supervisor(machine, settings, spec, memory)
    supervisor.listen()
    waiting, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(go)
        os.read(waiting, 1)  # the state is saved when this ends
        os.close(waiting)
        supervisor.run()
    try:
        for group in groups:
            (group / "cgroup.procs").write_text(str(pid))
        machine.save(pid, Path(spec["bundle"]), groups)
    finally:
        os.close(waiting)
        os.close(go)
    sys.stdout.flush()
    return pid

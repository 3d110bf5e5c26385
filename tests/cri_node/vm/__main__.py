"""The runtime's command line, as far as containerd's shim for runc uses it.

Usage: python -m tests.cri_node.vm [--root DIRECTORY] create|start|kill|delete|state|ps … ID
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from tests.cri_node import cgroups
from tests.cri_node.vm import supervisor
from tests.cri_node.vm.machine import Machine, RuntimeFailure
from tests.cri_node.vm.supervisor import Settings

# Options that take a value; all others are flags.
VALUES = {
    "--bundle", "--console-socket", "--format", "--log", "--log-format", "--pid-file", "--process",
    "--resources", "--root",
}  # fmt: skip

# Of a container without a limit, in bytes.
MEMORY = 256 << 20

# What QEMU itself may take beside the guest's memory, in bytes.
OVERHEAD = 192 << 20

KIND = "io.kubernetes.cri.container-type"


def parse(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split a command line into options by name and what else there is."""
    options: dict[str, str] = {}
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, value = argument.partition("=")
        if not argument.startswith("--"):
            rest.append(argument)
        elif equals or name not in VALUES:
            options[name] = value
        else:
            options[name] = next(left)
    return options, rest


def create(machine: Machine, settings: Settings, options: dict[str, str]) -> None:
    """Prepare a machine, and write the process id that stands for the container."""
    bundle = Path(options["--bundle"])
    spec = read_spec(bundle)
    resources = spec["linux"].get("resources", {})
    limit, cpu = resources.get("memory", {}).get("limit"), resources.get("cpu", {})
    memory = limit if limit and limit > 0 else MEMORY
    user = spec["process"].get("user", {}).get("uid", 0)
    if user:
        raise RuntimeFailure(f"expected user 0 in a virtual machine, got {user}")
    machine.directory.mkdir(parents=True)
    groups = cgroups.create(
        spec["linux"]["cgroupsPath"], memory + OVERHEAD, cpu.get("quota"), cpu.get("period")
    )
    pid = supervisor.spawn(machine, settings, {**spec, "bundle": str(bundle)}, memory, groups)
    Path(options["--pid-file"]).write_text(str(pid))


def delete(machine: Machine) -> None:
    """End the machine if it runs, and remove all of it."""
    if machine.runs:
        machine.kill(signal.SIGKILL)
    machine.remove_groups()
    shutil.rmtree(machine.directory)


def show(machine: Machine, identity: str) -> str:
    """Return the state with the names of the OCI runtime specification."""
    state = machine.state
    status = "running" if machine.runs else "stopped"
    return json.dumps(
        {
            "ociVersion": "1.0.2",
            "id": identity,
            "status": status,
            "pid": state["pid"],
            "bundle": state["bundle"],
        }
    )


def read_spec(bundle: Path) -> dict[str, Any]:
    """Read a bundle's config.json."""
    spec: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    return spec


def to_signal(text: str) -> signal.Signals:
    """Read a signal as runc does: by number, or by name with or without SIG."""
    if text.isdigit():
        return signal.Signals(int(text))
    return signal.Signals[f"SIG{text.removeprefix('SIG')}"]


def act(
    machine: Machine, settings: Settings, options: dict[str, str], arguments: list[str]
) -> None:
    """Do what a command line asks of a virtual machine; RuntimeFailure if it can't be done."""
    verb, identity, *more = arguments
    match verb:
        case "create":
            create(machine, settings, options)
        case "start":
            machine.start()
        case "kill":
            machine.kill(to_signal(more[0] if more else "TERM"))
        case "delete":
            delete(machine)
        case "state":
            print(show(machine, identity))
        case "ps":
            print(json.dumps([machine.state["pid"]]))
        case _:
            raise RuntimeFailure(f"expected a command for a virtual machine, got {verb!r}")


def main() -> None:
    """Do what the shim asks for, or leave it to runc."""
    settings = Settings.from_environment()
    options, arguments = parse(sys.argv[1:])
    verb, identity = [*arguments, "", ""][:2]
    machine = Machine(Path(options.get("--root", "/run/kakuri-vm")) / "vm" / identity)
    if verb == "create":
        annotations = read_spec(Path(options["--bundle"])).get("annotations", {})
        ours = annotations.get(KIND) == "container"
    else:
        ours = bool(identity) and machine.exists
    if not ours:
        os.execv(settings.runc, [settings.runc, *sys.argv[1:]])
    try:
        act(machine, settings, options, arguments)
    except RuntimeFailure as error:
        # The shim looks for the reason in one of both, depending on the command.
        if "--log" in options:
            with Path(options["--log"]).open("a") as log:
                log.write(json.dumps({"level": "error", "msg": str(error)}) + "\n")
        sys.exit(str(error))


if __name__ == "__main__":
    main()

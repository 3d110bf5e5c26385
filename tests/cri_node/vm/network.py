"""Hand a pod's address over to the virtual machine in it."""

import ctypes
import json
import os
import subprocess
from typing import Any

_CLONE_NEWNET = 0x40000000

TAP = "zone-tap"
_BRIDGE = "zone-bridge"


def enter(namespace: str) -> None:
    """Move this process into a network namespace, by the path of its file."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)
    finally:
        os.close(descriptor)


def hand_over() -> tuple[str, str]:
    """Bridge eth0 to a tap device and take the address from it.

    Returns the hardware address of the machine's eth0, and commands that assign the IP address to it.
    """
    device = _ask("addr", "show", "eth0")[0]
    address = next(info for info in device["addr_info"] if info["family"] == "inet")
    routes = [route["gateway"] for route in _ask("route") if route["dst"] == "default"]
    # The node's bridge has learnt eth0's own; a locally administered one must not be the same.
    first = "06" if device["address"].startswith("02") else "02"
    hardware = first + device["address"][2:]
    _ip("link", "add", _BRIDGE, "type", "bridge")
    _ip("tuntap", "add", TAP, "mode", "tap")
    _ip("addr", "flush", "dev", "eth0", "scope", "global")
    for name in ("eth0", TAP):
        _ip("link", "set", name, "master", _BRIDGE)
        _ip("link", "set", name, "up")
    _ip("link", "set", _BRIDGE, "up")
    commands = [
        f"ip addr add {address['local']}/{address['prefixlen']} dev eth0",
        f"ip link set eth0 mtu {device['mtu']} up",
        *(f"ip route add default via {gateway}" for gateway in routes),
    ]
    return hardware, "".join(f"{command}\n" for command in commands)


def _ask(*arguments: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(_ip("-json", *arguments))
    return answer


def _ip(*arguments: str) -> str:
    command = ["ip", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

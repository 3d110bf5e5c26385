r"""Test doubles for programs that use a CRI runtime: a fake, and a fault-injecting proxy.

    async with FakeCri(images={"web:1": "present", "job:1": FakeImage(exit_code=3)}) as runtime:
        runtime.faults.set("RunPodSandbox", "1*finish-then-error(UNAVAILABLE)->2*delay(100)")
        await start_zone(runtime.endpoint)      # the program under test
        await runtime.calls.wait_for("StartContainer")
        runtime.write("my-zone", b"hello\n")
        runtime.exit("my-zone", 137, "OOMKilled")
        await runtime.restart("dead")           # as after a reboot of the node
        assert runtime.container("my-zone").exit_code == 137

`CriProxy(Path("/run/containerd/containerd.sock"))` injects the same `faults` in front of a real
runtime, and records the same `calls`. `parse_faults` documents the syntax of faults.
"""

from kakuri_cri.testing._calls import Calls, CriCall
from kakuri_cri.testing._cri_proxy import CriProxy
from kakuri_cri.testing._fake_cri import FakeCri
from kakuri_cri.testing._faults import Fault, Faults, Outcome, parse_faults
from kakuri_cri.testing._images import FakeImages
from kakuri_cri.testing._logs import LogWriter, log_line
from kakuri_cri.testing._node import FakeNode
from kakuri_cri.testing._objects import FakeContainer, FakeImage, FakeSandbox

__all__ = [
    "Calls",
    "CriCall",
    "CriProxy",
    "FakeContainer",
    "FakeCri",
    "FakeImage",
    "FakeImages",
    "FakeNode",
    "FakeSandbox",
    "Fault",
    "Faults",
    "LogWriter",
    "Outcome",
    "log_line",
    "parse_faults",
]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

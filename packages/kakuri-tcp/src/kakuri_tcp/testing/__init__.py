"""Tools for tests: connections without a network, and a network with faults."""

from kakuri_tcp.testing._memory import MemoryTransport, pair
from kakuri_tcp.testing._proxy import FaultProxy, Faults
from kakuri_tcp.testing._script import End, Expect, Send, Step, play
from kakuri_tcp.testing._waiting import run_pending, until

__all__ = [
    "End",
    "Expect",
    "FaultProxy",
    "Faults",
    "MemoryTransport",
    "Send",
    "Step",
    "pair",
    "play",
    "run_pending",
    "until",
]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

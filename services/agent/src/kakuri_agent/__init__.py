"""Kakuri's node agent: it runs the workloads of one machine."""

from kakuri_agent._agent import Agent
from kakuri_agent._capacity import Capacity, InsufficientCapacity
from kakuri_agent._reconciler import Reconciler
from kakuri_agent._version import __version__
from kakuri_agent.runtimes._protocol import (
    NoLog,
    Observer,
    Runtime,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent.runtimes._sidecar import SidecarZones
from kakuri_agent.runtimes._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent.runtimes._zone_operations import Refused, ZoneOperations
from kakuri_agent.runtimes._zone_runtime import ZoneRuntime

__all__ = [
    "Agent",
    "Capacity",
    "InsufficientCapacity",
    "NoLog",
    "Observer",
    "Outcome",
    "Reconciler",
    "Refused",
    "Runtime",
    "RuntimeFault",
    "RuntimeUnavailable",
    "SidecarZones",
    "SimulatedRuntime",
    "UnknownCursor",
    "ZoneOperations",
    "ZoneRuntime",
    "__version__",
    "read_script",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

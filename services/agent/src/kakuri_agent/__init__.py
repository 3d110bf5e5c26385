"""Kakuri's node agent: it runs the workloads of one machine.

Names are imported when they are first used: the command loads only the runtime that it runs.
"""

from kakuri_daemon import lazy_names

from kakuri_agent._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_agent._agent import Agent
    from kakuri_agent._capacity import Capacity, InsufficientCapacity
    from kakuri_agent._reconciler import Reconciler
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

_MODULES = {
    "_agent": ("Agent",),
    "_capacity": (
        "Capacity",
        "InsufficientCapacity",
    ),
    "_reconciler": ("Reconciler",),
    "runtimes._protocol": (
        "NoLog",
        "Observer",
        "Runtime",
        "RuntimeFault",
        "RuntimeUnavailable",
        "UnknownCursor",
    ),
    "runtimes._sidecar": ("SidecarZones",),
    "runtimes._simulated": (
        "Outcome",
        "SimulatedRuntime",
        "read_script",
    ),
    "runtimes._zone_operations": (
        "Refused",
        "ZoneOperations",
    ),
    "runtimes._zone_runtime": ("ZoneRuntime",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Kakuri's node agent: it runs the workloads of one machine.

Names are imported when they are first used: the command loads only the runtime that it runs.
"""

from importlib import import_module
from sys import modules

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

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import_module(f"{__name__}.{_HOMES[name]}")
        _publish()
        return globals()[name]


def _publish() -> None:
    """Bind the names of each loaded module here; tracebacks show the public name."""
    for name, home in _HOMES.items():
        value = getattr(modules.get(f"{__name__}.{home}"), name, None)
        if value is not None:
            globals()[name] = value
            if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
                value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

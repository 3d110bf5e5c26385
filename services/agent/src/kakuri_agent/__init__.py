"""Kakuri's node agent: it runs the workloads of one machine."""

from kakuri_agent._agent import Agent
from kakuri_agent._runtime import Observer, Runtime, ZoneStatus
from kakuri_agent._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent._version import __version__

__all__ = [
    "Agent",
    "Observer",
    "Outcome",
    "Runtime",
    "SimulatedRuntime",
    "ZoneStatus",
    "__version__",
    "read_script",
]

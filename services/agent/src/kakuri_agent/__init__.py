"""Kakuri's node agent: it runs the workloads of one machine."""

from kakuri_agent._agent import Agent
from kakuri_agent._capacity import Capacity, DoesNotFit
from kakuri_agent._reconciler import Reconciler
from kakuri_agent._runtime import (
    LogPart,
    LogRequest,
    NoLog,
    Observer,
    Runtime,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent._sidecar import SidecarRuntime
from kakuri_agent._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent._version import __version__

__all__ = [
    "Agent",
    "Capacity",
    "DoesNotFit",
    "LogPart",
    "LogRequest",
    "NoLog",
    "Observer",
    "Outcome",
    "Reconciler",
    "Runtime",
    "RuntimeFault",
    "RuntimeUnavailable",
    "SidecarRuntime",
    "SimulatedRuntime",
    "UnknownCursor",
    "__version__",
    "read_script",
]

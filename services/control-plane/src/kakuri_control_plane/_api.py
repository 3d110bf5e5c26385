"""The HTTP API: workloads in JSON, carried out by the agent.

The control plane keeps no state. Every answer about a workload is the agent's, asked at that
moment, so there is nothing here that could be stale or lost.
"""

from dataclasses import dataclass
from typing import Annotated

from kakuri_control_plane._guard import Guard
from kakuri_control_plane._problems import agent_problem, problem
from kakuri_http import Request, Response, Router
from kakuri_json import JSONSyntaxError, StructureError, convert, decode, encode
from kakuri_registry import Range, Workload, WorkloadState
from kakuri_rpc import AgentClient, RPCError, State, Status

RUNTIME_CLASSES = ("edera-zone",)
"""The runtime classes that a workload may ask for."""

MAX_PAGE = 500
"""Workloads in one page, as the agent protocol allows."""

READY_SECONDS = 1.0

JSON = "application/json"

NOT_JSON = ("multipart/", "image/", "audio/", "video/", "font/", "text/html", "text/xml", "application/xml")
"""Media types whose content can't be JSON. Any other is taken for it: curl -d names a form."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A workload's state as the API tells it."""

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None

    @classmethod
    def of(cls, status: Status) -> "WorkloadView":
        """Put an agent's status into the words of the API."""
        state = status.state.workload_state
        return cls(status.id, state, status.reason, status.message, status.exit_code)

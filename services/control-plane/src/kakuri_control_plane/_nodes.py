"""The HTTP API of nodes. There is one: that of the agent."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from kakuri_daemon.api import json_response
from kakuri_http import Request, Response, problem
from kakuri_rpc import AgentClient, AgentTimeout, AgentUnreachable, Node

from kakuri_control_plane._views import Time, date_time_or_none

NODE_NAME = "[!-.0-~]{1,253}"
"""The name of a node: a host name, or whatever an operator chose."""

DEFAULT_NAME = "node"
"""The name of a node whose agent does not report one."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node.

    Attributes:
        name: Its name.
        state: `ready`, or `unavailable` while it can start nothing.
        version: The version of its agent.
        runtime: The kind of its runtime, such as `sidecar`, `cri` or `simulated`.
        simulated: Whether workloads are only simulated.
        runtime_available: Whether its container runtime answers and can run zones.
        workloads: The number of workloads, ended ones included.
        message: What is wrong, or what an operator should know.
        handlers: The container runtime's handler for each runtime class.
        memory_mb: Memory for all workloads together, in units of 2**20 bytes.
        memory_mb_used: Memory that workloads have reserved.
        cpu_millicores: CPU for all workloads together; 1000 are one core.
        cpu_millicores_used: CPU that workloads have reserved.
        store: Where the agent keeps workloads: `sqlite` or `memory`.
        started_at: When the agent started.
        event_index: The index of the latest event.
        last_heard: When the agent answered last.
        store_id: The random id of the agent's store. Indexes of events are valid only for the
            store that issued them.
        reason: Why there is a message, as a short code such as `Simulated`.
    """

    __json__: ClassVar = {"omit_defaults": True}

    name: str
    state: Literal["ready", "unavailable"]
    version: str
    runtime: str
    simulated: bool
    runtime_available: bool
    workloads: int
    message: str | None = None
    handlers: dict[str, str] | None = None
    memory_mb: int | None = None
    memory_mb_used: int | None = None
    cpu_millicores: int | None = None
    cpu_millicores_used: int | None = None
    store: str | None = None
    started_at: Time | None = None
    event_index: int | None = None
    last_heard: Time | None = None
    store_id: str | None = None
    reason: str | None = None

    @classmethod
    def of(cls, node: Node, last_heard: float | None, fault: str | None = None) -> "NodeView":
        """Return the view of a node.

        Args:
            node: Its latest description.
            last_heard: When its agent answered last.
            fault: Why the agent does not answer, if it does not.
        """
        is_ready = fault is None and node.runtime_available
        return cls(
            name=node.name or DEFAULT_NAME,
            state="ready" if is_ready else "unavailable",
            version=node.version,
            runtime=node.runtime,
            simulated=node.simulated,
            runtime_available=node.runtime_available,
            workloads=node.workloads,
            message=fault or node.message,
            handlers=node.runtime_handlers,
            memory_mb=node.memory_mb,
            memory_mb_used=node.memory_mb_used,
            cpu_millicores=node.cpu_millicores,
            cpu_millicores_used=node.cpu_millicores_used,
            store=node.store,
            started_at=date_time_or_none(node.started_at),
            event_index=node.event_index,
            last_heard=date_time_or_none(last_heard),
            store_id=node.store_id,
            reason=node.reason if fault is None else "AgentUnreachable",
        )


@dataclass(frozen=True, slots=True)
class NodePage:
    """All nodes.

    Attributes:
        nodes: The nodes.
    """

    nodes: list[NodeView]


class Nodes:
    """The handlers of requests about nodes."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._latest: Node | None = None

    async def list_nodes(self, _request: Request) -> Response:
        """Return the nodes."""
        return json_response(NodePage([await self._view()]))

    async def get_node(self, request: Request) -> Response:
        """Return one node."""
        node = await self._view()
        name = request.params["name"]
        if name != node.name:
            return problem(404, code="not_found", detail=f"no node {name!r}")
        return json_response(node)

    async def _view(self) -> NodeView:
        """Return the node as it is, or as it was when its agent answered last.

        Raises:
            RPCError: The agent does not answer, and has not answered before.
        """
        fault = None
        try:
            self._latest = await self._agent.describe_node()
        except (AgentUnreachable, AgentTimeout) as error:
            if self._latest is None:
                raise
            fault = str(error)
        return NodeView.of(self._latest, self._agent.metrics.last_reply, fault)

"""Checks whether the node has a workload's runtime class."""

from kakuri_json import Fault, ValidationError
from kakuri_rpc import AgentClient
from kakuri_workload import DEFAULT_RUNTIME_CLASS, printable

from kakuri_control_plane._presence import Presence

MAX_SHOWN = 400
"""Characters of an error's list of classes."""


class RuntimeClasses:
    """The runtime classes of the node, cached: only for another one is the agent asked."""

    def __init__(self, agent: AgentClient, presence: Presence) -> None:
        self._agent = agent
        self._presence = presence
        self._known = frozenset((DEFAULT_RUNTIME_CLASS,))

    def forget(self) -> None:
        """Clear the cache, so that the next check asks the agent."""
        self._known = frozenset()

    async def check(self, runtime_class: str) -> None:
        """Check that workloads may have a class.

        Raises:
            ValidationError: The node does not have it.
            RPCError: The agent can't be asked.
        """
        if runtime_class in self._known:
            return
        node = await self._presence.track(self._agent.describe_node())
        self._known = node.runtime_classes
        if runtime_class not in self._known:
            expected = printable(" or ".join(map(repr, sorted(self._known))), MAX_SHOWN)
            message = f"expected {expected}, got {runtime_class!r}"
            raise ValidationError((Fault("$.runtime_class", message),))

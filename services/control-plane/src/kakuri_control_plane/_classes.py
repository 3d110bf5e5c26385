"""The runtime classes of the node: the check of a workload's class, and the default one."""

from kakuri_json import Fault, ValidationError
from kakuri_rpc import AgentClient, Node
from kakuri_workload import DEFAULT_RUNTIME_CLASS, printable

MAX_SHOWN = 400
"""Characters of an error's list of classes."""


class RuntimeClasses:
    """The runtime classes of the node, cached; the agent is asked about any other class."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._known = frozenset((DEFAULT_RUNTIME_CLASS,))
        self._default: str | None = None

    def forget(self) -> None:
        """Clear the cache, so that the agent is asked next time."""
        self._known = frozenset()
        self._default = None

    def knows(self, runtime_class: str) -> bool:
        """Return whether the node is known to have a class."""
        return runtime_class in self._known

    async def check(self, runtime_class: str) -> None:
        """Check that workloads may have a class.

        Raises:
            ValidationError: The node does not have it.
            RPCError: The agent can't be asked.
        """
        if runtime_class not in self._known:
            node = await self._describe()
            if runtime_class not in node.runtime_classes:
                raise self._fault(repr(runtime_class))

    async def default(self) -> str:
        """Return the class of workloads that name none.

        It is the node's only class, or else Edera's.

        Raises:
            ValidationError: The node has several classes, and Edera's is not one of them.
            RPCError: The agent can't be asked.
        """
        if self._default is not None:
            return self._default
        node = await self._describe()
        if len(self._known) == 1:
            (default,) = self._known
        elif DEFAULT_RUNTIME_CLASS in self._known:
            default = DEFAULT_RUNTIME_CLASS
        else:
            raise self._fault("nothing")
        if node.simulated or node.runtime_handlers:  # otherwise they are not known yet
            self._default = default
        return default

    async def _describe(self) -> Node:
        node = await self._agent.describe_node()
        self._known = node.runtime_classes
        return node

    def _fault(self, given: str) -> ValidationError:
        expected = printable(" or ".join(map(repr, sorted(self._known))), MAX_SHOWN)
        return ValidationError((Fault("$.runtime_class", f"expected {expected}, got {given}"),))

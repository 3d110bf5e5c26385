"""Pages that streams read from the agent: events that the hub no longer has, and first states.

With a filter that admits few events, one stream may read all 10,000 that the agent keeps, in ten
pages or more, each as expensive as dozens of ordinary requests. The states of 100,000 workloads
take a hundred such pages. So all streams share one `AgentTurns` of one page at a time, and other
requests are answered between two pages.
"""

from functools import partial

from kakuri_rpc import AgentClient, Changes, Status, WorkloadList

from kakuri_control_plane._agent_turns import AgentTurns


class AgentPages:
    """Reads the events of one agent and the states of its workloads for one stream."""

    def __init__(self, agent: AgentClient, turns: AgentTurns, user: str) -> None:
        """Create a reader; nothing is sent yet.

        Args:
            agent: The client of the agent.
            turns: The turns of all streams.
            user: The stream's user, as `user_of` returns it.
        """
        self._agent = agent
        self._turns = turns
        self._user = user

    async def events_after(self, index: int) -> Changes:
        """Return the events after an index, as many as the agent sends at once.

        Raises:
            TooManyStreams: No turn in time, because too many streams are reading pages.
            AgentError: The code is `compacted` if the events after the index are not kept.
            RPCError: The agent can't be asked.
        """
        return await self._turns.run(self._user, partial(self._agent.get_changes, index))

    async def states_after(self, workload_id: str, label: str | None) -> WorkloadList:
        """Return the states of the workloads after an id, as many as the agent sends at once.

        Args:
            workload_id: The id; empty for the first page.
            label: Only of workloads with this label, as `key=value`.

        Raises:
            TooManyStreams: No turn in time, because too many streams are reading pages.
            RPCError: The agent can't be asked.
        """
        listing = partial(self._agent.list_workloads, after=workload_id, label=label, detail=True)
        return await self._turns.run(self._user, listing)

    async def state_of(self, workload_id: str) -> Status:
        """Return the state of one workload with all details.

        Raises:
            TooManyStreams: No turn in time, because too many streams are reading pages.
            AgentError: The code is `not_found` if there is no such workload.
            RPCError: The agent can't be asked.
        """
        return await self._turns.run(
            self._user, partial(self._agent.get_status, workload_id, detail=True)
        )

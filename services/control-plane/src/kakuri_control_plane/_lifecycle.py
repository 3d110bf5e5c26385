"""Stopping, starting again, restarting and removing workloads."""

from kakuri_daemon import current_trace
from kakuri_daemon.api import json_response
from kakuri_http import Request, Response
from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    Desired,
    ErrorCode,
    RPCError,
    Status,
)

from kakuri_control_plane._content import NoOptions, StopOptions, read_options, refuse_content
from kakuri_control_plane._event_hub import EventHub
from kakuri_control_plane._headers import VersionMismatch, entity_tag, expected_versions
from kakuri_control_plane._queries import RemovalQuery
from kakuri_control_plane._views import RemovedWorkload, WorkloadView


class Lifecycle:
    """The handlers of requests that end a workload's run or begin another one."""

    def __init__(self, agent: AgentClient, hub: EventHub) -> None:
        self._agent = agent
        self._hub = hub

    async def stop(self, request: Request) -> Response:
        """Stop a workload: 202 while it ends, 200 if it has ended already."""
        options = read_options(request, StopOptions)
        status = await self._agent.stop_workload(
            request.params["id"],
            grace_seconds=options.grace_seconds,
            expected_version=await self._expected_version(request),
            with_version=True,
            trace=current_trace(),
        )
        return _answer(status, 200 if status.desired is None else 202)

    async def start(self, request: Request) -> Response:
        """Run an ended workload again: 202, or 200 if it is running already."""
        read_options(request, NoOptions)
        status = await self._agent.rerun_workload(
            request.params["id"],
            expected_version=await self._expected_version(request),
            with_version=True,
            trace=current_trace(),
        )
        return _answer(status, 200 if status.existing else 202)

    async def restart(self, request: Request) -> Response:
        """End a workload's run, if it has one, and begin the next one: 202."""
        options = read_options(request, StopOptions)
        status = await self._agent.restart_workload(
            request.params["id"],
            grace_seconds=options.grace_seconds,
            expected_version=await self._expected_version(request),
            with_version=True,
            trace=current_trace(),
        )
        return _answer(status, 202)

    async def delete(self, request: Request, query: RemovalQuery) -> Response:
        """Stop and remove a workload: 202, or 200 with the receipt if the caller waited for it."""
        refuse_content(request, "the options of a removal are in its query")
        status = await self._agent.remove_workload(
            request.params["id"],
            grace_seconds=query.grace_seconds,
            expected_version=await self._expected_version(request),
            with_version=True,
            trace=current_trace(),
        )
        latest = await self._removal_within(query.wait, status) if query.wait else status
        if latest is None:
            return json_response(RemovedWorkload.of(await self._tombstone(status)))
        return _answer(latest, 202)

    async def _expected_version(self, request: Request) -> int | None:
        """Return the version that the agent has to check, by the request's If-Match.

        Raises:
            HeaderError: The field is not valid.
            VersionMismatch: The workload has none of its versions.
            RPCError: There is no such workload, or the agent can't be asked.
        """
        versions = expected_versions(request)
        if versions is None:
            return None
        if len(versions) == 1:
            return next(iter(versions))
        workload_id = request.params["id"]
        status = await self._agent.get_status(workload_id, with_version=True)
        if status.version not in versions:
            raise VersionMismatch(workload_id, versions, status.version)
        return status.version

    async def _removal_within(self, seconds: float, status: Status) -> Status | None:
        """Wait until a workload is removed; return its latest status if that takes longer."""

        async def ask() -> Status | None:
            return await self._removal_status(status)

        last: Status | None = status
        try:
            last = await self._hub.await_reply(status.id, seconds, ask, lambda reply: reply is None)
            # No event reports that the zone of an ended workload can't be removed.
            return None if last is None else await self._removal_status(last)
        except RPCError:
            return last  # an error would look as if the removal had been refused

    async def _removal_status(self, status: Status) -> Status | None:
        """Return the status of a workload that is being removed; None once it is removed.

        Return the earlier `status` if the agent does not answer: it continues when it is back.
        """
        try:
            latest = await self._agent.get_status(status.id, with_version=True)
        except AgentError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        except (AgentUnreachable, AgentTimeout):
            return status
        return latest if latest.desired is Desired.REMOVED else None  # the id is in use again

    async def _tombstone(self, status: Status) -> Status:
        """Return what the agent kept of a removed workload, or its last status before that."""
        try:
            return await self._agent.get_status(status.id, removed=True)
        except RPCError:
            return status


def _answer(status: Status, code: int) -> Response:
    headers = None if status.version is None else {"ETag": entity_tag(status.version)}
    return json_response(WorkloadView.of(status), code, headers)

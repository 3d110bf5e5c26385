"""The client: the control plane's side of the protocol."""

from collections.abc import Collection
from typing import Self
from weakref import WeakSet

from kakuri_tcp import Endpoint, LineClient, LineClientLimits
from kakuri_workload import LogSelection, Workload

from kakuri_rpc._call import Call, check_seconds
from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._events import MAX_EVENTS, Changes, WatchChanges
from kakuri_rpc._fields import MAX_PAGE, State
from kakuri_rpc._log import LOG_LIMITS, AgentLog, LogSlots
from kakuri_rpc._messages import History, Log, Node, Status, WorkloadList
from kakuri_rpc._metrics import Metrics, ReadMetrics
from kakuri_rpc._requests import (
    DescribeNode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    StopWorkload,
    status_request,
)
from kakuri_rpc._traces import AgentTraces
from kakuri_rpc._watch import AgentWatch

DEFAULT_TIMEOUT = 5.0
"""Seconds to wait for a reply. Agents answer from memory, so one that takes longer is stuck."""


class AgentClient:
    """A client of one agent.

        async with AgentClient("127.0.0.1:9000") as agent:
            await agent.start_workload(workload)
            status = await agent.get_status(workload.id)

    One connection carries any number of concurrent requests; metrics and each log have their own
    connections. The client connects on the first request, and reconnects after losing the
    connection. Use it in one event loop only, and close it or use it as a context manager.

    If the connection breaks before the reply, the request is sent once more, except for reruns and
    restarts. Requests are idempotent, but the reply is the one to the second request: a workload
    may be `existing` although this call started it, or not found although this call removed it.

    Every method that sends a request does so immediately, and returns a `Call` to await for the
    reply. Awaiting it raises:

    - AgentError: the agent refused the request or failed; see its `code`.
    - AgentUnreachable: the request could not be sent, or got no reply after all retries.
    - AgentTimeout: there was no reply in time; it is unknown whether the agent acted.
    - UnexpectedReply: the reply does not match the request.
    - ClientClosed: the client was closed.

    Attributes:
        timeout: Seconds for the reply to a request, including connecting.
        metrics: Counts the requests of this client, of its logs and of its watches.
    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        trusted_uids: Collection[int] | None = (),
    ) -> None:
        """Create a client; nothing is sent yet.

        Args:
            endpoint: Where the agent listens.
            timeout: Seconds for the reply to a request, including connecting.
            trusted_uids: Users whose agents on this machine are trusted besides root and this
                process's user; None to trust every agent on loopback.

        Raises:
            kakuri_tcp.EndpointError: The text is not an endpoint.
            TypeError: An argument has the wrong type.
            ValueError: The timeout is not above 0.
        """
        self._endpoint = Endpoint.of(endpoint)
        check_seconds(timeout, "timeout")
        if not timeout > 0:
            raise ValueError(f"expected seconds above 0 as timeout, got {timeout!r}")
        self._trusted_uids = trusted_uids
        self._lines = self._new_lines()
        # Replies keep the order of their requests, and these may wait for the runtime.
        self._runtime_lines = self._new_lines()
        self.timeout = timeout
        self.metrics: CallMetrics = CallMetrics()
        self._traces = AgentTraces()
        self._logs = LogSlots(evicts_own=False)
        self._followed = LogSlots(evicts_own=True)
        self._watches: WeakSet[AgentWatch] = WeakSet()

    def __repr__(self) -> str:
        return f"<AgentClient over {self._lines!r}, {self.open_logs} logs>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def start_workload(
        self,
        workload: Workload,
        *,
        dry_run: bool = False,
        with_version: bool = False,
        trace: str | None = None,
        encoded: bytes | None = None,
    ) -> Call[Status]:
        """Start a workload, and return its status; `existing` is set if the agent already knew it.

        Args:
            workload: The workload.
            dry_run: Perform all checks of a start, and change nothing.
            with_version: Whether to include the workload's version in the status.
            trace: The trace id of the request that caused this one.
            encoded: The workload as encoded by `kakuri_json.encode`, if the caller already has it.
        """
        lines = self._runtime_lines if dry_run else self._lines
        request = StartWorkload(workload, dry_run, with_version, trace)
        return Call(lines, request, Status, self.timeout, self.metrics, self._traces, encoded)

    def get_status(
        self,
        workload_id: str,
        *,
        detail: bool = False,
        removed: bool = False,
        with_version: bool = False,
    ) -> Call[Status]:
        """Return the status of a workload.

        Args:
            workload_id: The workload.
            detail: Whether to include all details in the status, such as the specification.
            removed: Whether to return the status of the latest removed workload with this id.
            with_version: Whether to include the workload's version, which `detail` implies.
        """
        if detail or removed or with_version:
            request = GetStatus(workload_id, detail, removed, with_version)
            return Call(self._lines, request, Status, self.timeout, self.metrics)
        request, line = status_request(workload_id)
        return Call(self._lines, request, Status, self.timeout, self.metrics, line=line)

    def get_history(self, workload_id: str, *, removed: bool = False) -> Call[History]:
        """Return the transitions of a workload, or of the latest removed one with this id."""
        return Call(
            self._lines, GetHistory(workload_id, removed), History, self.timeout, self.metrics
        )

    def stop_workload(
        self,
        workload_id: str,
        *,
        grace_seconds: int = 10,
        expected_version: int | None = None,
        with_version: bool = False,
        trace: str | None = None,
    ) -> Call[Status]:
        """Stop a workload: terminate it, kill it after the grace period, and keep its record.

        Args:
            workload_id: The workload.
            grace_seconds: Seconds between the signal and the kill, 0 to 3600.
            expected_version: Raise AgentError (`version_mismatch`) for any other version.
            with_version: Whether to include the workload's version in the status.
            trace: The trace id of the request that caused this one.
        """
        request = StopWorkload(workload_id, grace_seconds, expected_version, with_version, trace)
        return Call(self._lines, request, Status, self.timeout, self.metrics, self._traces)

    def remove_workload(
        self,
        workload_id: str,
        *,
        grace_seconds: int = 10,
        expected_version: int | None = None,
        with_version: bool = False,
        trace: str | None = None,
    ) -> Call[Status]:
        """Stop a workload and remove its record. The arguments are those of `stop_workload`."""
        request = RemoveWorkload(workload_id, grace_seconds, expected_version, with_version, trace)
        return Call(self._lines, request, Status, self.timeout, self.metrics, self._traces)

    def rerun_workload(
        self,
        workload_id: str,
        *,
        expected_version: int | None = None,
        with_version: bool = False,
        trace: str | None = None,
    ) -> Call[Status]:
        """Run an ended workload again, and return its status; `existing` is set if it is running.

        The request is not retried if the connection breaks, because the workload could run twice.

        Args:
            workload_id: The workload.
            expected_version: Raise AgentError (`version_mismatch`) for any other version.
            with_version: Whether to include the workload's version in the status.
            trace: The trace id of the request that caused this one.
        """
        request = RerunWorkload(workload_id, expected_version, with_version, trace)
        return Call(self._lines, request, Status, self.timeout, self.metrics, self._traces)

    def restart_workload(
        self,
        workload_id: str,
        *,
        grace_seconds: int = 10,
        expected_version: int | None = None,
        with_version: bool = False,
        trace: str | None = None,
    ) -> Call[Status]:
        """End the current run of a workload, then begin its next attempt.

        The request is not retried if the connection breaks. The arguments are those of
        `stop_workload`.
        """
        request = RestartWorkload(workload_id, grace_seconds, expected_version, with_version, trace)
        return Call(self._lines, request, Status, self.timeout, self.metrics, self._traces)

    def list_workloads(
        self,
        *,
        state: State | None = None,
        after: str = "",
        limit: int = MAX_PAGE,
        label: str | None = None,
        detail: bool = False,
        removed: bool = False,
    ) -> Call[WorkloadList]:
        """Return a page of statuses in the order of their ids.

        Args:
            state: Only workloads in this state.
            after: Only ids after this one: `next` of the previous page.
            limit: Statuses on the page, 1 to MAX_PAGE.
            label: Only workloads with this label, as `key=value`.
            detail: Whether to include all details in each status, such as the specification.
            removed: Whether to return removed workloads: the latest of each id.
        """
        request = ListWorkloads(state, after, limit, label, detail, removed)
        return Call(self._lines, request, WorkloadList, self.timeout, self.metrics)

    def get_changes(self, after: int | None = None, *, limit: int = MAX_EVENTS) -> Call[Changes]:
        """Return the events after an index without waiting; use `open_watch` to wait for events.

        Args:
            after: The index; None to get only the current index.
            limit: Maximum number of events to return; there may be more.
        """
        request = WatchChanges(after, limit=limit)
        return Call(self._lines, request, Changes, self.timeout, self.metrics)

    def open_watch(self) -> AgentWatch:
        """Return a reader of events with its own connection; the caller closes it."""
        watch = AgentWatch(self._new_lines(), timeout=self.timeout, metrics=self.metrics)
        self._watches.add(watch)
        return watch

    def describe_node(self) -> Call[Node]:
        """Return the agent's description of its node."""
        return Call(self._lines, DescribeNode(), Node, self.timeout, self.metrics)

    def read_metrics(self, after: str | None = None) -> Call[Metrics]:
        """Return a page of the metrics of the node and of all its zones.

        Metrics have their own connection. If the agent no longer keeps the page, AgentError has the
        code `compacted`; begin again with the first page.

        Args:
            after: `next` of the previous page; None for the first page.
        """
        return Call(self._runtime_lines, ReadMetrics(after), Metrics, self.timeout, self.metrics)

    def open_log(
        self,
        workload_id: str,
        *,
        tail: int | None = None,
        after: str | None = None,
        bounded: bool = False,
        follow: bool = False,
        removed: bool = False,
        records: LogSelection | None = None,
        reader: str = "",
        trace: str | None = None,
    ) -> AgentLog:
        """Return a reader of a workload's log; the caller closes it.

        At most MAX_OPEN_LOGS logs are followed at a time, and as many are read without following.
        When all slots are taken, the log that has had no data for the longest time is closed: among
        followed logs, one of the reader with the most logs; among the others, one of another reader
        that has more logs than this one.

        Args:
            workload_id: The workload.
            tail: Begin with this number of lines from the end; by default, at the beginning.
            after: Begin after this cursor; `tail` is ignored then.
            bounded: Stop at the end that the log has at the first read.
            follow: Whether the caller will wait for future output.
            removed: Whether to read the kept end of the log of the latest removed workload.
            records: Which records to read instead of the bytes that the container wrote. `tail`
                then counts selected lines.
            reader: The reader of the log, such as the address of a client.
            trace: The trace id of the request that caused the read.

        Raises:
            TooManyLogs: All slots are taken, and none can be freed.
        """
        return AgentLog(
            self._new_lines(LOG_LIMITS),
            workload_id,
            tail,
            after,
            bounded=bounded,
            removed=removed,
            records=records,
            reader=reader,
            trace=trace,
            traces=self._traces,
            timeout=self.timeout,
            metrics=self.metrics,
            slots=self._followed if follow else self._logs,
        )

    async def read_log(
        self,
        workload_id: str,
        *,
        tail: int | None = None,
        after: str | None = None,
        wait_seconds: float = 0.0,
        removed: bool = False,
        trace: str | None = None,
    ) -> Log:
        """Return one piece of a workload's log; use `open_log` for more than one.

        Args:
            workload_id: The workload.
            tail: Begin with this number of lines from the end; by default, at the beginning.
            after: Begin after this cursor; `tail` is ignored then.
            wait_seconds: Seconds to wait for output, 0 to 30, in addition to the client's timeout.
            removed: Whether to read the kept end of the log of the latest removed workload.
            trace: The trace id of the request that caused the read.

        Raises:
            TooManyLogs: All slots for logs are taken.
        """
        async with self.open_log(
            workload_id, tail=tail, after=after, removed=removed, trace=trace
        ) as log:
            return await log.read(wait_seconds=wait_seconds)

    @property
    def open_logs(self) -> int:
        """The number of logs that are open."""
        return len(self._logs) + len(self._followed)

    async def close(self) -> None:
        """Close all connections; pending requests fail. Closing again has no effect."""
        await self._lines.close()
        await self._runtime_lines.close()
        for log in (*self._logs.taken(), *self._followed.taken()):
            await log.close()
        for watch in list(self._watches):
            await watch.close()

    def _new_lines(self, limits: LineClientLimits | None = None) -> LineClient:
        return LineClient(self._endpoint, limits=limits, trusted_uids=self._trusted_uids)

"""An agent whose zones write logs: `python -m tests.page.node DIRECTORY OPTION…`.

Zones change their states as a script says, as in every agent with the simulated runtime. This
one reports addresses, digests and isolation as a container runtime does, and the log of a zone is
the file DIRECTORY/ID, in the form of `kakuri_workload.write_record`. A test appends lines to it. The
message of a zone is in DIRECTORY/ID.message. A stop fails with the error in DIRECTORY/ID.stop-error.
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kakuri_agent._cli import main
from kakuri_agent.runtimes import _simulated
from kakuri_workload import (
    Isolation,
    LogChunk,
    LogRequest,
    WorkloadState,
    read_records,
    select_records,
    write_record,
)

LINE = re.compile(rb"[^\n]*\n")

POLL_SECONDS = 0.01
"""Seconds between two checks of a file that is followed."""


class WritingRuntime(_simulated.SimulatedRuntime):
    """Simulates zones that have logs, and reports them as real."""

    name = "cri"
    is_simulated = False
    directory = Path()

    def __init__(self, outcomes=None):
        super().__init__(outcomes)
        self.handlers = {"edera-zone": "edera"}

    def start(self, spec):
        """Start a zone, which pulls its image until its start delay is over."""
        super().start(spec)
        zone = self._zones[spec.id]
        if (
            zone.state is WorkloadState.PENDING
            and self._outcome_of(spec.workload.image).start_delay
        ):
            self._zones[spec.id] = replace(zone, reason="Pulling")
            self._notify(spec.id)

    def stop(self, zone_id, grace_seconds):
        """End a zone, unless a file has the error of its stop."""
        error = self.directory / f"{zone_id}.stop-error"
        if not error.exists():
            super().stop(zone_id, grace_seconds)
        elif zone_id not in self.end_failures:
            self.end_failures = {**self.end_failures, zone_id: error.read_text()}
            self._notify(zone_id)

    async def read_log(self, zone_id, request: LogRequest):
        """Return a part of a zone's file; a cursor is a number of lines."""
        path = self.directory / zone_id
        deadline = time.monotonic() + request.wait
        while True:
            zone = self._zones.get(zone_id)
            ended = zone is None or zone.state.is_terminal or request.bounded
            lines = LINE.findall(path.read_bytes()) if path.exists() else []
            part = _part(lines, request, has_ended=ended)
            if part.examined or ended or time.monotonic() >= deadline:
                return part
            await asyncio.sleep(POLL_SECONDS)

    def _notify(self, zone_id):
        zone = self._zones[zone_id]
        if zone.state is WorkloadState.RUNNING:
            now = time.time()
            isolation = Isolation(
                handler="edera",
                kernel="6.16.2",
                host_kernel="6.12.43",
                profile=f"sha256:{'5f' * 32}",
                checked_at=now,
            )
            digest = f"sha256:{'4a' * 32}"
            zone = replace(
                zone, address="10.88.7.2", started_at=now, image_digest=digest, isolation=isolation
            )
        elif zone.state.is_terminal:
            zone = replace(zone, ended_at=time.time())
        message = self.directory / f"{zone_id}.message"
        if message.exists():
            zone = replace(zone, message=message.read_text())
        self._zones[zone_id] = zone
        super()._notify(zone_id)


def _part(lines: list[bytes], request: LogRequest, *, has_ended: bool) -> LogChunk:
    """Return the part of a log that a request asks for."""
    start = _tail(lines, request) if request.after is None else int(request.after)
    end, size = start, 0
    while end < len(lines) and (size := size + len(lines[end])) <= request.limit:
        end += 1
    data = b"".join(_selected(b"".join(lines[start:end]), request))
    return LogChunk(data, str(end), has_ended and end == len(lines), examined=end - start)


def _tail(lines: list[bytes], request: LogRequest) -> int:
    """Return the number of the line at which the last `tail` selected lines begin."""
    if request.tail is None:
        return 0
    start, found = len(lines), 0
    while start > 0 and found < request.tail:
        start -= 1
        found += len(list(_selected(lines[start], request)))
    return start


def _selected(data: bytes, request: LogRequest) -> Iterator[bytes]:
    """Yield what a request asks for of records: their texts, or those that it selects as a whole."""
    if request.records is None:
        return (record.text for record in read_records(data))
    return map(write_record, select_records(read_records(data), request.records))


if __name__ == "__main__":
    WritingRuntime.directory = Path(sys.argv.pop(1))
    _simulated.SimulatedRuntime = WritingRuntime
    main()

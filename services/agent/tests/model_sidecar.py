"""A model of a sidecar and its runtime in memory, by the contract of the sidecar's API.

It outlives the agents that use it, and reports if an agent runs an attempt twice.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from kakuri_http import ConnectFailed, Response, problem
from kakuri_json import decode, encode
from kakuri_workload import (
    RuntimeHealth,
    WorkloadState,
    ZoneChanged,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
HEARTBEAT = 5.0

IMAGES = ("server", "job", "crash", "oom", "missing", "broken")
"""What a zone does, by its image: run, succeed, fail in two ways, or not start for two reasons."""


@dataclass
class Zone:
    spec: ZoneSpec
    status: ZoneStatus
    answer: asyncio.Future
    is_starting: bool = True
    work: asyncio.Task | None = field(default=None, repr=False)


class ModelSidecar:
    """Zones that outlive agents; `rng` decides how long operations take and which fail."""

    def __init__(
        self, rng: random.Random, note, report_violation, wall_time, *, fault_rate: float = 0.05
    ) -> None:
        self.zones: dict[str, Zone] = {}
        self.runs: Counter = Counter()
        self._fault_rate = fault_rate
        self._rng = rng
        self._note, self._report_violation, self._wall_time = note, report_violation, wall_time
        self._streams: list[asyncio.Queue] = []
        self._created = 0
        self._agent = None

    # Requests of an agent.

    async def request(self, method, path, body, agent):
        if self._fails():
            raise ConnectFailed("connection refused")
        await self._pause(0.02)
        path, _, _ = path.partition("?")
        zone_id = path.split("/")[2] if path != "/zones" else None
        if self._fails():
            return _unavailable()
        if path.endswith("/log"):
            return problem(404, code="not_found", detail="no log")
        if self._agent not in (None, agent):
            return problem(409, code="stale_agent", detail="another agent has taken over")
        if method == "POST" and zone_id is None:
            answer = await self._start(decode(body, type=ZoneSpec))
        elif method == "POST":
            answer = await self._stop(zone_id)
        elif method == "GET":
            zone = self.zones.get(zone_id)
            answer = problem(404, code="not_found", detail="no zone")
            if zone is not None:
                answer = Response(200, encode(replace(zone.status, spec=zone.spec)))
        else:
            answer = await self._remove(zone_id)
        if self._fails():
            return _unavailable()  # it was carried out, but the agent does not learn that
        return answer

    async def _start(self, spec):
        known = self.zones.get(spec.id)
        if known is not None:
            if replace(known.spec, attempt=0) != replace(spec, attempt=0):
                return problem(409, code="conflict", detail="another spec")
            if known.spec.attempt == spec.attempt:
                return await asyncio.shield(known.answer) if known.is_starting else _is(known, 200)
            if known.spec.attempt > spec.attempt or not known.status.state.is_terminal:
                return problem(409, code="conflict", detail="another attempt")
        self._created += 1
        status = ZoneStatus(
            spec.id,
            PENDING,
            "Pulling",
            attempt=spec.attempt,
            spec_hash=str(hash(spec.workload.image)),
        )
        zone = Zone(spec, status, asyncio.get_running_loop().create_future())
        self.zones[spec.id] = zone
        self._publish(zone)
        zone.work = asyncio.ensure_future(self._run_zone(zone, self._created))
        return await asyncio.shield(zone.answer)

    async def _stop(self, zone_id):
        zone = self.zones.get(zone_id)
        if zone is None:
            return problem(404, code="not_found", detail="no zone")
        if zone.is_starting:
            zone.work.cancel()
            return self._fail_start(zone, "Stopped")
        if not zone.status.state.is_terminal:
            await self._pause(1.0)
            if not zone.status.state.is_terminal:
                zone.work.cancel()
                self._end(zone, FAILED, "Error", 137)
        return _is(zone, 200)

    async def _remove(self, zone_id):
        zone = self.zones.get(zone_id)
        if zone is not None:
            if zone.is_starting:
                zone.work.cancel()
                self._fail_start(zone, "Stopped")
            else:
                await self._pause(1.0)
                zone.work.cancel()
                if self.zones.get(zone_id) is zone:
                    del self.zones[zone_id]
                    self._send(ZoneGone(zone_id))
        return Response(204)

    # What zones do by themselves.

    async def _run_zone(self, zone, number):
        image = zone.spec.workload.image
        await self._pause(0.5)
        if image == "missing":
            self._fail_start(zone, "ImagePullFailed")
            return
        sandbox, container = {"pod_sandbox_id": f"s{number}"}, {"container_id": f"c{number}"}
        for step, made in (
            ("CreatingSandbox", {}), ("CreatingContainer", sandbox), ("Starting", container)
        ):  # fmt: skip
            zone.status = replace(zone.status, reason=step, **made)
            self._publish(zone)
            await self._pause(0.2)
        if image == "broken":
            self._fail_start(zone, "StartError")
            return
        self._run(zone)
        if image != "server":
            await self._pause(3.0 if self._rng.random() < 0.9 else 1300.0)
            ends = {"job": (SUCCEEDED, None, 0), "crash": (FAILED, "Error", 3)}
            self._end(zone, *ends.get(image, (FAILED, "OOMKilled", 137)))

    def _run(self, zone):
        run = zone.spec.workload.labels.get("gen"), zone.spec.attempt
        self.runs[run] += 1
        self._note(f"zone {zone.spec.id} runs: generation {run[0]}, attempt {run[1]}")
        if self.runs[run] > 1:
            self._report_violation(f"{zone.spec.id} attempt {run[1]} ran twice")
        now = self._wall_time()
        zone.is_starting = False
        zone.status = replace(
            zone.status, state=RUNNING, reason=None, address="10.0.0.2", started_at=now
        )
        zone.answer.set_result(_is(zone, 201))
        self._publish(zone)

    def _end(self, zone, state, reason, code):
        now = self._wall_time()
        self._note(f"zone {zone.spec.id} ends: {state.value} {code}")
        zone.status = replace(zone.status, state=state, reason=reason, exit_code=code, ended_at=now)
        self._publish(zone)

    def _fail_start(self, zone, code):
        """Fail a start; everything that it created is removed."""
        self._note(f"zone {zone.spec.id} does not start: {code}")
        zone.is_starting = False
        if not zone.answer.done():
            zone.answer.set_result(
                problem(502, code=code, detail=f"it is {zone.spec.workload.image}")
            )
        del self.zones[zone.spec.id]
        self._send(ZoneGone(zone.spec.id))
        return Response(
            200, encode(replace(zone.status, state=FAILED, reason=code, container_id=None))
        )

    def close(self):
        for zone in self.zones.values():
            if zone.work is not None:
                zone.work.cancel()

    # The stream of events.

    def watch(self, agent):
        self._agent = agent
        stream = asyncio.Queue()
        self._streams.append(stream)
        stream.put_nowait(RuntimeHealth(available=True))
        for zone in self.zones.values():
            stream.put_nowait(ZoneChanged(zone.status))
        stream.put_nowait(ZonesListed())
        return stream

    def unwatch(self, stream):
        if stream in self._streams:
            self._streams.remove(stream)

    def break_streams(self):
        for stream in self._streams:
            stream.put_nowait(None)
        self._streams.clear()

    def _publish(self, zone):
        self._send(ZoneChanged(zone.status))

    def _send(self, event):
        for stream in self._streams:
            stream.put_nowait(event)

    async def _pause(self, longest):
        await asyncio.sleep(self._rng.random() * longest)

    def _fails(self):
        return self._rng.random() < self._fault_rate


def _is(zone, status):
    return Response(status, encode(zone.status), content_type="application/json")


def _unavailable():
    return problem(503, code="RuntimeUnavailable", detail="the runtime sleeps")

"""A container runtime in memory, for zone nodes that are killed with their agents.

It is the fake runtime of kakuri-cri without its socket: calls arrive through `CriLink`, which knows
when an agent is killed. What a call has begun continues, as in containerd.
"""

import asyncio
import secrets
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace

from kakuri_agent.runtimes._node_zones import NodeZones
from kakuri_cri import ChannelError, Runtime, api
from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_cri.testing._objects import Refusal
from kakuri_json import decode
from kakuri_protobuf import decode as decode_message
from kakuri_protobuf import encode as encode_message
from kakuri_tcp import Endpoint
from kakuri_workload import WorkloadState, ZoneSpec
from kakuri_zones import MonitorTimes, Settings, zone_node
from kakuri_zones._image_collection import ImageCollector
from kakuri_zones._images import Images
from kakuri_zones._pulling import Puller
from kakuri_zones._table import ZoneTable
from kakuri_zones._zones import Zones

IMAGES = {
    "server": FakeImage(state="present"),
    "job": FakeImage(state="present"),
    "crash": FakeImage(state="present"),
    "oom": FakeImage(state="present"),
    "missing": FakeImage(state="missing"),
    "broken": FakeImage(state="present", start_error="exec: not found"),
}
ENDS = {"job": (0, ""), "crash": (3, ""), "oom": (137, "OOMKilled")}
"""How containers end by themselves, by image: exit code and reason."""

CHANGING = (
    "RunPodSandbox", "CreateContainer", "StartContainer", "StopContainer", "StopPodSandbox",
    "RemoveContainer", "RemovePodSandbox",
)  # fmt: skip
CALL_FAILPOINTS = tuple(f"{call}.{moment}" for call in CHANGING
                   for moment in ("before", "under-way", "after"))  # fmt: skip

METHODS = {
    method.path: method
    for service in (api.RuntimeService, api.ImageService)
    for name, method in vars(service).items()
    if not name.startswith("_")
}

LABEL = "kakuri.dev/workload-id"


class ModelCri:
    """Sandboxes and containers that outlive agents."""

    def __init__(self, rng, note, report_violation, directory, *, fault_rate=0.02) -> None:
        self.cri = FakeCri(images=IMAGES)  # never entered, so it has no socket
        self.runs: Counter = Counter()
        self.rng = rng
        self._note, self._report_violation = note, report_violation
        self._fault_rate = fault_rate
        self._behaviours = self.cri._behaviours()
        self._settings = Settings(
            cri=Endpoint.parse("unix:/nowhere"), log_dir=directory / "logs", has_hosts=False,
            monitor=MonitorTimes(interval=10.0, without_events=10.0),
            rotate_interval=60.0, heartbeat=5.0, dns_servers=("10.0.0.1",),
        )  # fmt: skip

    @property
    def zones(self):
        """The zones by workload: the newest container of each, or the sandbox if it has none."""
        found = {each.labels[LABEL]: None for each in self.cri.sandboxes}
        for container in self.cri.containers:
            state = WorkloadState.RUNNING if container.is_running else WorkloadState.PENDING
            if container.ended.is_set():
                state = WorkloadState.FAILED
            spec = decode(container.config.annotations["kakuri.dev/spec"].encode(), type=ZoneSpec)
            zone = SimpleNamespace(spec=spec, status=SimpleNamespace(state=state))
            found[container.labels[LABEL]] = zone
        return found

    def break_streams(self):
        """Do nothing: an agent's streams end with its process."""

    def close(self):
        self.cri._runtime.forget()
        self.cri._server.remove()

    def fails(self):
        return self.rng.random() < self._fault_rate

    async def carry_out(self, name, data):
        """Carry out a call; return the encoded answer."""
        method = next(each for each in METHODS.values() if each.path.endswith(f"/{name}"))
        request = decode_message(data, type=method.request)
        pause = self.rng.random() * 0.3
        container = None
        if name == "StartContainer":
            container = self.cri._runtime.containers.get(request.container_id)
        before = None if container is None else container.started_at
        answer = await self._behaviours[name](request, lambda: asyncio.sleep(pause))
        if container is not None and container.started_at != before:
            self._started(container)
        return encode_message(answer)

    def _started(self, container):
        spec = decode(container.config.annotations["kakuri.dev/spec"].encode(), type=ZoneSpec)
        run = spec.workload.labels["gen"], spec.attempt
        self.runs[run] += 1
        self._note(f"zone {spec.id} runs: generation {run[0]}, attempt {run[1]}")
        if self.runs[run] > 1:
            self._report_violation(f"{spec.id} attempt {run[1]} ran twice")
        if spec.workload.image in ENDS:
            code, reason = ENDS[spec.workload.image]
            seconds = self.rng.random() * (3.0 if self.rng.random() < 0.9 else 1300.0)
            end = self.cri._runtime.end
            asyncio.get_running_loop().call_later(seconds, end, container, code, reason)

    @asynccontextmanager
    async def node(self, agent_run):
        """Manage the zones for one agent run; yield the operations on them."""
        async with (
            Runtime(CriLink(agent_run, self)) as runtime,
            zone_node(runtime, self._settings) as node,
        ):
            yield FailpointZones(agent_run, NodeZones(node, self._settings.handlers))


class CriLink:
    """The channel from one agent run to the runtime, for kakuri_cri.Runtime."""

    def __init__(self, agent_run, model: ModelCri) -> None:
        self._agent_run, self._model = agent_run, model

    async def call(self, path, request, *, timeout):
        name = path.rpartition("/")[2]
        self._reach_call(name, "before")
        if self._model.fails():
            raise ChannelError("UNAVAILABLE", "connection refused")
        work = asyncio.ensure_future(self._model.carry_out(name, request))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(self._model.rng.random() * 0.05)
        self._reach_call(name, "under-way")
        try:
            async with asyncio.timeout(timeout):
                answer = await asyncio.shield(work)
        except Refusal as refusal:
            raise ChannelError(refusal.code.name, str(refusal)) from None
        except TimeoutError:
            raise ChannelError("DEADLINE_EXCEEDED", "no answer") from None
        self._reach_call(name, "after")
        if self._model.fails():
            raise ChannelError("UNAVAILABLE", "connection reset")  # it was done all the same
        return answer

    async def stream(self, path, request, *, timeout):
        self._reach_call("GetContainerEvents", "before")
        async for event in self._model.cri._runtime.events.listen():
            yield encode_message(event)

    async def close(self):
        pass

    def _reach_call(self, name, moment):
        self._agent_run.reach(f"{name}.{moment}")


class FailpointZones:
    """The operations of a zone node, with the failpoints of their agent run."""

    def __init__(self, agent_run, zones: NodeZones) -> None:
        self._agent_run, self._zones = agent_run, zones

    def __getattr__(self, name):
        return getattr(self._zones, name)

    async def start(self, spec, on_begin):
        return await self._run("start", spec.id, self._zones.start(spec, on_begin), spec)

    async def stop(self, zone_id, grace_seconds, *pause):
        return await self._run("stop", zone_id, self._zones.stop(zone_id, grace_seconds, *pause))

    async def remove(self, zone_id, grace_seconds, *pause):
        return await self._run(
            "remove", zone_id, self._zones.remove(zone_id, grace_seconds, *pause)
        )

    async def _run(self, command, zone_id, operation, spec=None):
        try:
            self._agent_run.reach(f"{command}.before")
            self._agent_run.system.check_command(self._agent_run, command, zone_id, spec)
            under_way = asyncio.get_running_loop().call_later(
                self._agent_run.system.rng.random() * 0.05, self._reach, f"{command}.under-way"
            )
        except BaseException:
            operation.close()
            raise
        try:
            result = await operation
        finally:
            under_way.cancel()
        self._agent_run.reach(f"{command}.after")
        return result

    def _reach(self, name):
        """Reach a failpoint in a callback of the loop, where Killed must not be raised."""
        if not self._agent_run.is_killed:
            self._agent_run.reach_without_raising(name)


@contextmanager
def seeded_ids(rng):
    """Derive the ids of sandboxes and containers, by which they are sorted, from a generator."""
    token_hex = secrets.token_hex
    secrets.token_hex = lambda size: rng.randbytes(size).hex()
    try:
        yield
    finally:
        secrets.token_hex = token_hex


@contextmanager
def virtual_clocks(clock):
    """Replace time.monotonic with another clock in the parts of a zone node."""
    saved = []
    for cls in (Zones, ZoneTable, Images, ImageCollector, Puller):
        init = cls.__init__
        saved.append((init, init.__defaults__, init.__kwdefaults__))
        if init.__defaults__:
            init.__defaults__ = tuple(
                clock if getattr(each, "__name__", "") == "monotonic" else each
                for each in init.__defaults__
            )
        if init.__kwdefaults__ and "clock" in init.__kwdefaults__:
            init.__kwdefaults__ = init.__kwdefaults__ | {"clock": clock}
    try:
        yield
    finally:
        for init, defaults, keywords in saved:
            init.__defaults__, init.__kwdefaults__ = defaults, keywords

"""Scenarios in which agents are killed one after the other.

The agents share a state directory, and a sidecar or container runtime.

A kill leaves what SIGKILL leaves: the files as they are at that moment, and the requests that the
sidecar has received. The rest of the killed agent is cut off, so that nothing it still does has any
effect. Time is virtual and randomness is seeded, so a seed repeats the same scenario.

At times the disk is full for new workloads, or accepts no writes; and it may have only some sectors
of the last write. Replies of an agent whose disk accepts no writes guarantee nothing, so the
clients of a scenario do not get them.
"""

import asyncio
import inspect
import logging
import random
import shutil
import traceback
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import structlog
from kakuri_agent import Agent, Capacity, SidecarZones, ZoneRuntime
from kakuri_http import ConnectFailed, HTTPError
from kakuri_json import decode, encode
from kakuri_registry import (
    STORE_FAILPOINTS,
    WRITER_FAILPOINTS,
    SQLiteStore,
    StoreFailed,
    StoreWriter,
    WorkloadRegistry,
)
from kakuri_tcp import Endpoint
from kakuri_workload import DesiredState, WorkloadState, ZonesListed, ZoneSpec

from .crash_clients import Client
from .crash_disk import TORN, TornWrite
from .crash_history import ClientHistory, Violation
from .model_cri import CALL_FAILPOINTS, ModelCri, seeded_ids, virtual_clocks
from .model_sidecar import HEARTBEAT, IMAGES, ModelSidecar
from .virtual_time import Stalled, VirtualLoop, VirtualThread

AGENT = "Kakuri-Agent"
COMMANDS = {"POST": "start", "DELETE": "remove"}
COMMAND_FAILPOINTS = tuple(
    f"{command}.{moment}"
    for command in ("start", "stop", "remove")
    for moment in ("before", "under-way", "after")
)
AGENT_FAILPOINTS = (
    "agent.opened", "agent.loaded", "agent.before-request", "agent.before-answer",
    "agent.after-answer",
)  # fmt: skip
FAILPOINTS = (*STORE_FAILPOINTS, TORN, *WRITER_FAILPOINTS, *COMMAND_FAILPOINTS, *AGENT_FAILPOINTS)
"""The failpoints at which an agent may be killed; it may also be killed at any other time."""

FINAL_KILL = "the end"  # at the end of a scenario: not counted among the kills
MAX_RUN_SECONDS = 120.0
CONVERGENCE_SECONDS = 2000.0
MEMORY_MB = 400

HEALTHY, FULL, FAILING = "healthy", "full", "failing"
"""States of the disk: FULL refuses new workloads, FAILING every write."""

MAX_DISK_FAULT_SECONDS = 30.0
UNCERTAIN_SECONDS = 10.0
"""How long after a failed write a zone may be stopped before the request is on disk: the agent may
not have noticed yet that the disk accepts writes again."""


class Killed(BaseException):
    """Stands for the end of the process."""


class RecordingStore(SQLiteStore):
    """A store on a disk with faults, which records what is durable."""

    def __init__(self, agent_run, path):
        self._agent_run = agent_run
        self.failures = 0
        self.failed_at = -UNCERTAIN_SECONDS
        super().__init__(path, reserve=0, failpoint=agent_run.reach)
        self._reserve.try_ensure_room = lambda: agent_run.system.disk != FULL

    def load(self):
        loaded = super().load()
        self.durable = {entry.workload.id: entry for entry in loaded.entries}
        return loaded

    def check_room(self):
        self._check_disk()
        super().check_room()

    def write(self, changes):
        self._check_disk()
        super().write(changes)
        self.durable.update({change.workload_id: change.entry for change in changes})

    def _check_disk(self):
        if self._agent_run.system.disk == FAILING:
            self.failures += 1
            self.failed_at = asyncio.get_running_loop().time()
            raise StoreFailed("the disk accepts no writes")

    def _transact(self, changes):
        torn = TornWrite(self._path) if self._agent_run.is_killed_next_at(TORN) else None
        super()._transact(changes)
        if torn is not None:
            self._agent_run.system.is_torn = torn.tear(self._agent_run.system.rng)
        self._agent_run.reach(TORN)


class AgentRun:
    """One agent, from its start until it is killed.

    That is when it reaches a failpoint for the nth time, or at any time.
    """

    def __init__(self, system, directory: Path, failpoint: str | None, count: int) -> None:
        self.system = system
        self.directory = directory
        self.snapshot: Path | None = None
        self.end = asyncio.get_running_loop().create_future()
        self.agent = self.store = self._writer = self._runtime = None
        self.tasks: set[asyncio.Future] = set()
        self._failpoint, self._count = failpoint, count
        self._stack = AsyncExitStack()

    @property
    def is_killed(self):
        return self.end.done()

    async def start(self):
        system = self.system
        self.store = RecordingStore(self, self.directory / "sidecar.sqlite")
        system.store = self.store
        self.reach("agent.opened")
        loaded = self.store.load()
        self.reach("agent.loaded")
        was_torn, system.is_torn = system.is_torn, False
        for problem in loaded.problems:
            if not (was_torn and "not complete" in problem.message):
                raise Violation(f"the store has problems: {problem}")
        self.registry = WorkloadRegistry.load(loaded)
        system.history.check_events(self.registry.journal)
        system.check_after_start(self.registry)
        self._writer = StoreWriter(
            self.registry, self.store, failpoint=self.reach, executor=system.thread
        )
        self._runtime = ZoneRuntime(await self._open_zones())
        self.capacity = Capacity(memory_mb=MEMORY_MB)
        self.agent = Agent(
            self.registry, self._writer, self._runtime, self.capacity,
            clock=system.clock,
        )  # fmt: skip

    async def _open_zones(self):
        if isinstance(self.system.outside, ModelCri):
            return await self._stack.enter_async_context(self.system.outside.node(self))
        zones = SidecarZones(Endpoint.parse("unix:/nowhere"))
        zones._commands = zones._reads = Link(self, self.system.outside)
        return zones

    def is_killed_next_at(self, name):
        """Return whether the agent is killed the next time it reaches a failpoint."""
        return not self.is_killed and (name, 1) == (self._failpoint, self._count)

    def reach(self, name):
        """Reach a failpoint. Raises Killed if the agent is killed there, or was before."""
        if self.is_killed or self.reach_without_raising(name):
            raise Killed(name)

    def reach_without_raising(self, name):
        """Reach a failpoint where nothing may be raised; return whether the agent is killed."""
        self.system.reached[name] += 1
        if name == self._failpoint:
            self._count -= 1
            if self._count == 0:
                self.kill(name)
        return self.is_killed

    def kill(self, name):
        self.system.note(f"KILLED at {name}")
        if name != FINAL_KILL:
            self.system.kills[name] += 1
        self.snapshot = self.directory.with_name(f"{self.directory.name}-{self.system.history.now}")
        shutil.copytree(self.directory, self.snapshot)
        self.end.set_result(name)

    async def call(self, request):
        """Return the reply; None if the agent is killed, or its disk accepts no writes."""
        was_blocked, failures = self._is_blocked, self.store.failures
        try:
            self.reach("agent.before-request")
            reply = self.agent.handle(request)
            if inspect.isawaitable(reply):
                work = asyncio.ensure_future(reply)
                self.tasks.add(work)
                await asyncio.wait((work, self.end), return_when=asyncio.FIRST_COMPLETED)
                self.tasks.discard(work)
                if self.is_killed:
                    self.tasks.add(work)
                    return None
                reply = work.result()
                if callable(reply):
                    reply = reply()
            self.reach("agent.before-answer")
        except Killed:
            return None
        self.system.history.follow(self.registry.journal)
        is_uncertain = was_blocked or self._is_blocked or self.store.failures > failures
        return None if is_uncertain else reply

    @property
    def _is_blocked(self):
        """Whether the store accepts no writes; one that is full refuses only new workloads."""
        return isinstance(self._writer.error, StoreFailed)

    async def clean_up(self):
        """Clean up after a killed agent; nothing it still does reaches files or sidecar."""
        if self.agent is not None:
            self.agent.close()
            await self._runtime.close()
        with suppress(Killed):
            await self._stack.aclose()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self._writer is not None:  # closing it would wait for writes that never end
            self.registry.subscribe(None)
            self._writer._probe.close()
            if self._writer._retry is not None:
                self._writer._retry.cancel()
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.directory)


def _command_of(path, body):
    """Return the id of the zone of a command, and the spec if the command is to start it."""
    if path == "/zones":
        spec = decode(body, type=ZoneSpec)
        return spec.id, spec
    return path.partition("?")[0].split("/")[2], None


class Link:
    """The HTTP client of one agent run, connected to the model of the sidecar."""

    def __init__(self, agent_run: AgentRun, sidecar: ModelSidecar) -> None:
        self._agent_run, self._sidecar = agent_run, sidecar

    async def request(self, method, path, *, headers=None, body=b"", timeouts=None):
        agent_run = self._agent_run
        if method == "GET":
            return await self._sidecar.request(method, path, body, (headers or {}).get(AGENT))
        command = "stop" if "/stop" in path else COMMANDS[method]
        agent_run.reach(f"{command}.before")
        agent_run.system.check_command(agent_run, command, *_command_of(path, body))
        work = asyncio.ensure_future(self._sidecar.request(method, path, body, headers[AGENT]))
        await asyncio.sleep(agent_run.system.rng.random() * 0.05)
        agent_run.reach(f"{command}.under-way")
        response = await asyncio.shield(work)
        agent_run.reach(f"{command}.after")
        return response

    @asynccontextmanager
    async def stream(self, method, path, *, headers, timeouts):
        if self._agent_run.is_killed:
            raise Killed
        if self._agent_run.system.rng.random() < 0.1:
            raise ConnectFailed("connection refused")
        events = self._sidecar.watch(headers[AGENT])
        try:
            yield EventStream(events, self._agent_run.system.rng)
        finally:
            self._sidecar.unwatch(events)

    async def close(self):
        pass


class EventStream:
    status = 200

    def __init__(self, events, rng):
        self._events, self._rng = events, rng

    async def __aiter__(self):
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    event = await self._events.get()
            except TimeoutError:
                event = ZonesListed()
            if event is None:
                return
            await asyncio.sleep(self._rng.random() * 0.1)
            yield encode(event) + b"\n"


class System:
    """Everything that outlives an agent: state directory, sidecar, clients and their replies."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        *,
        runs: int = 8,
        clients: int = 3,
        pace: float | None = None,
        healthy_seconds: float = 30.0,
        runtime: str = "sidecar",
    ) -> None:
        """Create a scenario.

        Args:
            directory: An empty directory.
            seed: Seed of all randomness.
            runs: Number of agents that are killed.
            clients: Number of clients.
            pace: Factor of the pauses of clients; random if it is None.
            healthy_seconds: How long the disk is healthy between two faults, on average.
            runtime: The runtime of the agents: a "sidecar" that outlives them, or "cri".
        """
        self.rng = random.Random(seed)
        self.pace = pace or self.rng.choice((1.0, 1.0, 0.1))
        self._healthy_seconds = healthy_seconds
        self.kinds = [{"image": image} for image in IMAGES]
        self._clock_offset = 0
        self.disk = HEALTHY
        self.is_torn = False
        self.seed = seed
        self.trace: list[str] = []
        self.reached: Counter = Counter()
        self.kills: Counter = Counter()
        self.history = ClientHistory()
        self.violations: list[str] = []
        self._directory = directory
        self._runtime = runtime
        self._number_of_runs, self._clients = runs, clients
        self.specs: defaultdict = defaultdict(dict)  # what each client has last started, by id
        self._posted: dict[str, int] = {}  # the largest attempt that was asked for
        self.agent_run: AgentRun | None = None
        self.is_up: asyncio.Event
        self.store: SQLiteStore | None = None
        self.outside: ModelSidecar | ModelCri
        self.thread: VirtualThread

    def run(self) -> None:
        """Run the scenario. Raises Violation, with the trace."""
        random.seed(self.seed)  # the jitter of back-offs
        slow = self.rng.choice((0.001, 0.01, 0.1, 0.5))  # the disk
        loop = VirtualLoop(lambda: self.rng.random() * slow)
        self.thread = VirtualThread(loop)
        loop.set_exception_handler(lambda _, context: self._check_error(context.get("exception")))
        structlog.configure(
            [self._check_log], wrapper_class=structlog.make_filtering_bound_logger("error")
        )
        logging.getLogger("kakuri_registry").disabled = True  # faults of the disk are expected
        try:
            with (
                virtual_clocks(loop.time),
                seeded_ids(random.Random(self.seed)),
                asyncio.Runner(loop_factory=lambda: loop) as runner,
            ):
                runner.run(self._run())
        except (Violation, Stalled) as error:
            trace = "\n".join(self.trace[-150:])
            raise Violation(f"seed {self.seed}: {error!r}\n{trace}") from error
        finally:
            logging.getLogger("kakuri_registry").disabled = False
            structlog.reset_defaults()
            if self.store is not None:  # of an agent that was running when the scenario ended
                self.store.close()

    def _check_log(self, _logger, _method, event):
        self._check_error(event.get("exc_info") or RuntimeError(str(event)))
        raise structlog.DropEvent

    def _check_error(self, error):
        """Report an exception that was not handled; those of killed agents are expected."""
        if error is not None and not isinstance(error, Killed | HTTPError):
            text = "".join(traceback.format_exception(error))
            if "Killed" not in text:
                self.report_violation(text)

    def report_violation(self, text):
        """Record a violation where none can be raised."""
        self.note(f"VIOLATION {text}")
        self.violations.append(text)

    def clock(self):
        """Return the wall-clock time; the clock is set at random times."""
        if self.rng.random() < 0.02:
            self._clock_offset = self.rng.choice((0, -3600, 3600, 86_400 * 365))
        return self.wall_time()

    def wall_time(self):
        return 1_700_000_000 + self._clock_offset + asyncio.get_running_loop().time()

    def note(self, text):
        self.trace.append(f"{asyncio.get_running_loop().time():9.3f} {text}")

    async def _vary_disk(self):
        """Make the disk full or failing at random times."""
        rng = self.rng
        while True:
            self.disk = HEALTHY
            await asyncio.sleep(rng.expovariate(1 / self._healthy_seconds))
            self.disk = rng.choice((FULL, FAILING))
            self.note(f"the disk is {self.disk}")
            await asyncio.sleep(MAX_DISK_FAULT_SECONDS * rng.random() ** 2)
            self.note("the disk is healthy")

    async def _run(self):
        self.is_up = asyncio.Event()
        disk = asyncio.ensure_future(self._vary_disk())
        if self._runtime == "cri":
            self.outside = ModelCri(self.rng, self.note, self.report_violation, self._directory)
        else:
            self.outside = ModelSidecar(self.rng, self.note, self.report_violation, self.wall_time)
        with closing(self.outside):
            await self._run_agents(disk)

    async def _run_agents(self, disk):
        directory = self._directory / "state"
        directory.mkdir()
        clients = [Client(self, name) for name in range(self._clients)]
        tasks = [asyncio.ensure_future(client.run()) for client in clients]
        for _ in range(self._number_of_runs):
            failpoints = (*FAILPOINTS, *CALL_FAILPOINTS) if self._runtime == "cri" else FAILPOINTS
            failpoint = self.rng.choice((None, *failpoints))
            agent_run = await self._begin(directory, failpoint, self.rng.choice((1, 1, 2, 3, 5, 9)))
            done, _ = await asyncio.wait(
                (agent_run.end, *tasks), timeout=MAX_RUN_SECONDS * self.rng.random() ** 2,
                return_when=asyncio.FIRST_COMPLETED,
            )  # fmt: skip
            for task in set(tasks) & done:
                task.result()
            if not agent_run.is_killed:
                agent_run.kill("any-time")
            self.is_up.clear()
            await agent_run.clean_up()
            directory = agent_run.snapshot
            if self.rng.random() < 0.3:
                self.outside.break_streams()
            await asyncio.sleep(self.rng.random() * 2)
        disk.cancel()
        self.disk = HEALTHY
        agent_run = await self._begin(directory, None, 0)
        await asyncio.sleep(3.0)
        for client in clients:
            client.is_stopping = True
        await asyncio.gather(*tasks)
        await self._converge(agent_run)
        agent_run.kill(FINAL_KILL)
        await agent_run.clean_up()
        shutil.rmtree(agent_run.snapshot)

    async def _begin(self, directory, failpoint, count):
        self.note("agent starts")
        agent_run = AgentRun(self, directory, failpoint, count)
        with suppress(Killed):
            await agent_run.start()
            self.agent_run = agent_run
            self.is_up.set()
        return agent_run

    async def _converge(self, agent_run):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONVERGENCE_SECONDS
        while unconverged := self._unconverged(agent_run):
            if loop.time() > deadline:
                raise Violation(f"does not converge: {unconverged}")
            await asyncio.sleep(1.0)
        self.check_registry(agent_run.registry)
        self.history.check_answers()
        used = sum(e.workload.memory_mb for e in agent_run.registry if not e.state.is_terminal)
        if used != agent_run.capacity.memory_mb_used:
            raise Violation(f"{agent_run.capacity} is reserved, {used} MB are used")

    def _unconverged(self, agent_run):
        """Return descriptions of the zones and entries that do not have their desired state."""
        zones = self.outside.zones
        found = [
            f"zone {each} without a workload" for each in zones if each not in agent_run.registry
        ]
        for entry in agent_run.registry:
            zone = zones.get(entry.workload.id)
            is_running = zone is not None and zone.status.state is WorkloadState.RUNNING
            is_same = (
                zone is not None
                and zone.spec.attempt == entry.attempt
                and zone.spec.workload.labels == entry.workload.labels
            )
            if entry.desired is DesiredState.REMOVE:
                is_right = False
            elif entry.state.is_terminal:
                is_right = not is_running
            elif entry.state is WorkloadState.RUNNING:
                is_right = is_running and is_same and entry.desired is DesiredState.RUN
            else:
                is_right = entry.run.reason == "BackOff" and entry.desired is DesiredState.RUN
            if not is_right:
                found.append(f"{entry} with {zone}")
        return found

    # Invariants.

    def check_after_start(self, registry):
        self.check_registry(registry)
        for entry in registry:
            posted = self._posted.get(entry.workload.labels["gen"], 0)
            if entry.attempt < posted:
                raise Violation(f"attempt {posted} was started, and is {entry.attempt}: {entry}")

    def check_registry(self, registry):
        if self.violations:
            raise Violation(self.violations[0])
        self.history.check_registry(registry)

    def check_command(self, agent_run, command, zone_id, spec):
        """Check a command that an agent begins; `spec` is that of the zone to start."""
        self.note(f"command {command} for zone {zone_id}")
        if spec is not None:
            gen = spec.workload.labels["gen"]
            self._posted[gen] = max(spec.attempt, self._posted.get(gen, 0))
            entry = agent_run.store.durable.get(spec.id)
            if entry is None or entry.attempt < spec.attempt:
                self.report_violation(f"{spec} is started before the attempt is on disk")
            return
        entry, known = agent_run.store.durable.get(zone_id), agent_run.registry.get(zone_id)
        if entry is None or known is None or known.state.is_terminal:
            return
        if asyncio.get_running_loop().time() - agent_run.store.failed_at < UNCERTAIN_SECONDS:
            return
        zone = self.outside.zones.get(zone_id)
        has_ended = (
            entry.state.is_terminal
            or zone is None
            or zone.spec.attempt < entry.attempt
            or zone.status.state.is_terminal
        )
        if command == "stop" and has_ended:
            return  # it is repeated after the run has ended, and the next attempt waits for it
        if entry.desired is DesiredState.RUN or (
            command == "remove" and entry.desired is not DesiredState.REMOVE
        ):
            self.report_violation(
                f"{zone_id} gets the command {command} before the request is on disk"
            )

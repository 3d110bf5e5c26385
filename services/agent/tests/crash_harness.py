"""Agents that are killed, one after the other, on one folder and in front of one sidecar, or of
one container runtime.

A kill is what SIGKILL leaves behind: the files as they are at that moment, and requests that the
sidecar has got already. Everything else of the agent is cut off: whatever its remains still do,
nobody sees. Time is virtual and chance is seeded, so a seed is a whole story that can be told again.

The disk is full at times, so that it takes no new workloads, or takes nothing at all; and it may
have got only some sectors of what was written last. What is answered while it takes nothing is no
promise, and so to the clients of a story it is no answer.
"""

import asyncio
import inspect
import logging
import random
import shutil
import traceback
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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
from .model_cri import CALL_STEPS, ModelCri, virtual_clocks
from .model_sidecar import HEARTBEAT, IMAGES, ModelSidecar
from .virtual_time import Stalled, VirtualLoop, VirtualThread

AGENT = "Kakuri-Agent"
COMMANDS = {"POST": "start", "DELETE": "remove"}
COMMAND_STEPS = tuple(
    f"{command}.{moment}"
    for command in ("start", "stop", "remove")
    for moment in ("before", "under-way", "after")
)
AGENT_STEPS = (
    "agent.opened", "agent.loaded", "agent.before-request", "agent.before-answer",
    "agent.after-answer",
)  # fmt: skip
STEPS = (*STORE_FAILPOINTS, TORN, *WRITER_FAILPOINTS, *COMMAND_STEPS, *AGENT_STEPS)
"""The moments at which an agent may be killed; another is any time at all."""

THE_END = "the end"  # of a story: not counted among the kills
LONGEST_LIFE = 120.0
SETTLING = 2000.0
MEMORY_MB = 400

WELL, FULL, FAILING = "well", "full", "failing"
"""What the disk can be. It is full for new workloads; when it fails, for all."""

LONGEST_ILLNESS = 30.0
DOUBT_SECONDS = 10.0
"""How long after a failed write a zone may be told to end before that is on disk: the next write
may have begun before."""


class Killed(BaseException):
    """The process ends here."""


class RecordingStore(SQLiteStore):
    """Knows what has come to the disk, which is not always well."""

    def __init__(self, life, path):
        self._life = life
        self.failures = 0
        self.failed_at = -DOUBT_SECONDS
        super().__init__(path, reserve=0, failpoint=life.step)

    def load(self):
        loaded = super().load()
        self.durable = {entry.workload.id: entry for entry in loaded.entries}
        return loaded

    def write(self, changes):
        if self._life.world.disk == FAILING:
            self.failures += 1
            self.failed_at = asyncio.get_running_loop().time()
            raise StoreFailed("the disk takes nothing")
        super().write(changes)
        self.durable.update({change.workload_id: change.entry for change in changes})

    def _has_room(self):
        return self._life.world.disk != FULL

    def _transact(self, changes):
        torn = TornWrite(self._path) if self._life.is_about_to(TORN) else None
        super()._transact(changes)
        if torn is not None:
            self._life.world.is_torn = torn.tear(self._life.world.chance)
        self._life.step(TORN)


class Life:
    """One agent, from its start until it is killed at the n-th time of a step, or at a time."""

    def __init__(self, world, folder: Path, step: str | None, count: int) -> None:
        self.world = world
        self.folder = folder
        self.corpse: Path | None = None
        self.end = asyncio.get_running_loop().create_future()
        self.agent = self.store = self._writer = self._runtime = None
        self.tasks: set[asyncio.Future] = set()
        self._step, self._count = step, count
        self._stack = AsyncExitStack()

    @property
    def is_over(self):
        return self.end.done()

    async def begin(self):
        world = self.world
        self.store = RecordingStore(self, self.folder / "sidecar.sqlite")
        world.store = self.store
        self.step("agent.opened")
        loaded = self.store.load()
        self.step("agent.loaded")
        was_torn, world.is_torn = world.is_torn, False
        for problem in loaded.problems:
            if not (was_torn and "not complete" in problem.message):
                raise Violation(f"the store has problems: {problem}")
        self.registry = WorkloadRegistry.load(loaded)
        world.check_after_start(self.registry)
        self._writer = StoreWriter(
            self.registry, self.store, failpoint=self.step, executor=world.thread
        )
        self._runtime = ZoneRuntime(await self._open_zones())
        self.capacity = Capacity(memory_mb=MEMORY_MB)
        self.agent = Agent(
            self.registry, self._writer, self._runtime, self.capacity,
            clock=world.clock,
        )  # fmt: skip

    async def _open_zones(self):
        if isinstance(self.world.outside, ModelCri):
            return await self._stack.enter_async_context(self.world.outside.node(self))
        zones = SidecarZones(Endpoint.parse("unix:/nowhere"))
        zones._commands = zones._reads = Link(self, self.world.outside)
        return zones

    def is_about_to(self, name):
        """Whether life ends when it comes to this step."""
        return not self.is_over and (name, 1) == (self._step, self._count)

    def step(self, name):
        """Come to a step; Killed is raised if life ends there, or is over already."""
        if self.is_over or self.step_aside(name):
            raise Killed(name)

    def step_aside(self, name):
        """Come to a step where nothing may be raised; return whether life ends there."""
        self.world.steps[name] += 1
        if name == self._step:
            self._count -= 1
            if self._count == 0:
                self.kill(name)
        return self.is_over

    def kill(self, name):
        self.world.note(f"KILLED at {name}")
        if name != THE_END:
            self.world.kills[name] += 1
        self.corpse = self.folder.with_name(f"{self.folder.name}-{self.world.history.now}")
        shutil.copytree(self.folder, self.corpse)
        self.end.set_result(name)

    async def ask(self, request):
        """Have a request answered; None if the agent is killed first, or can't promise anything."""
        was_stuck, failures = self._is_stuck, self.store.failures
        try:
            self.step("agent.before-request")
            reply = self.agent.handle(request)
            if inspect.isawaitable(reply):
                work = asyncio.ensure_future(reply)
                self.tasks.add(work)
                await asyncio.wait((work, self.end), return_when=asyncio.FIRST_COMPLETED)
                self.tasks.discard(work)
                if self.is_over:
                    self.tasks.add(work)
                    return None
                reply = work.result()
                if callable(reply):
                    reply = reply()
            self.step("agent.before-answer")
        except Killed:
            return None
        is_in_doubt = was_stuck or self._is_stuck or self.store.failures > failures
        return None if is_in_doubt else reply

    @property
    def _is_stuck(self):
        """Whether the store takes nothing; one that is full has only refused new workloads."""
        return isinstance(self._writer.error, StoreFailed)

    async def bury(self):
        """Take the remains away; what they still do reaches neither files nor sidecar."""
        if self.agent is not None:
            self.agent.close()
            await self._runtime.close()
        with suppress(Killed):
            await self._stack.aclose()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self._writer is not None:  # closing it would wait for answers that never come
            self.registry.subscribe(None)
            if self._writer._retry is not None:
                self._writer._retry.cancel()
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.folder)


def _command_of(path, body):
    """Return the id of the zone that a command is for, and its spec if it is to start."""
    if path == "/zones":
        spec = decode(body, type=ZoneSpec)
        return spec.id, spec
    return path.partition("?")[0].split("/")[2], None


class Link:
    """The way from one agent to the sidecar, as the runtime's HTTP client sees it."""

    def __init__(self, life: Life, sidecar: ModelSidecar) -> None:
        self._life, self._sidecar = life, sidecar

    async def request(self, method, path, *, headers, body=b"", timeouts=None):
        command = "stop" if "/stop" in path else COMMANDS[method]
        life = self._life
        life.step(f"{command}.before")
        life.world.check_command(life, command, *_command_of(path, body))
        work = asyncio.ensure_future(self._sidecar.request(method, path, body, headers[AGENT]))
        await asyncio.sleep(life.world.chance.random() * 0.05)
        life.step(f"{command}.under-way")
        response = await asyncio.shield(work)
        life.step(f"{command}.after")
        return response

    @asynccontextmanager
    async def stream(self, method, path, *, headers, timeouts):
        if self._life.is_over:
            raise Killed
        if self._life.world.chance.random() < 0.1:
            raise ConnectFailed("connection refused")
        events = self._sidecar.watch(headers[AGENT])
        try:
            yield EventStream(events, self._life.world.chance)
        finally:
            self._sidecar.unwatch(events)

    async def close(self):
        pass


class EventStream:
    status = 200

    def __init__(self, events, chance):
        self._events, self._chance = events, chance

    async def __aiter__(self):
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    event = await self._events.get()
            except TimeoutError:
                event = ZonesListed()
            if event is None:
                return
            await asyncio.sleep(self._chance.random() * 0.1)
            yield encode(event) + b"\n"


class World:
    """Everything that outlives an agent: folder, sidecar, clients and what they were told."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        lives: int = 8,
        clients: int = 3,
        pace: float | None = None,
        health: float = 30.0,
        runtime: str = "sidecar",
    ) -> None:
        """Take a story's seed and what it is made of.

        `pace` is a factor of how long clients pause, drawn by lot if it is None; `health` is how
        long the disk is well, on average, in seconds. `runtime` is the agents': a "sidecar" that
        outlives them, or "cri".
        """
        self.chance = random.Random(seed)
        self.pace = pace or self.chance.choice((1.0, 1.0, 0.1))
        self._health = health
        self.kinds = [{"image": image} for image in IMAGES]
        self._clock_offset = 0
        self.disk = WELL
        self.is_torn = False
        self.seed = seed
        self.trace: list[str] = []
        self.steps: Counter = Counter()
        self.kills: Counter = Counter()
        self.history = ClientHistory()
        self.violations: list[str] = []
        self._folder = folder
        self._runtime = runtime
        self._lives, self._clients = lives, clients
        self.specs: defaultdict = defaultdict(dict)  # what each client has last started, by id
        self._posted: dict[str, int] = {}  # the largest attempt that was asked for
        self.life: Life | None = None
        self.is_up: asyncio.Event
        self.store: SQLiteStore | None = None
        self.outside: ModelSidecar | ModelCri
        self.thread: VirtualThread

    def run(self) -> None:
        """Live through all of it. Raises Violation, with the trace."""
        random.seed(self.seed)  # the jitter of back-offs
        slow = self.chance.choice((0.001, 0.01, 0.1, 0.5))  # the disk
        loop = VirtualLoop(lambda: self.chance.random() * slow)
        self.thread = VirtualThread(loop)
        loop.set_exception_handler(lambda _, context: self._judge(context.get("exception")))
        structlog.configure(
            [self._judge_log], wrapper_class=structlog.make_filtering_bound_logger("error")
        )
        logging.getLogger("kakuri_registry").disabled = True  # its faults are part of the story
        try:
            with virtual_clocks(loop.time), asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._run())
        except (Violation, Stalled) as error:
            trace = "\n".join(self.trace[-150:])
            raise Violation(f"seed {self.seed}: {error!r}\n{trace}") from error
        finally:
            logging.getLogger("kakuri_registry").disabled = False
            structlog.reset_defaults()
            if self.store is not None:  # of a life whose story broke off
                self.store.close()

    def _judge_log(self, _logger, _method, event):
        self._judge(event.get("exc_info") or RuntimeError(str(event)))
        raise structlog.DropEvent

    def _judge(self, error):
        """Take a fault that nobody handled; what is left of the killed may have any."""
        if error is not None and not isinstance(error, Killed | HTTPError):
            text = "".join(traceback.format_exception(error))
            if "Killed" not in text:
                self.complain(text)

    def complain(self, text):
        """Note a violation from where none can be raised."""
        self.note(f"VIOLATION {text}")
        self.violations.append(text)

    def clock(self):
        """The wall clock, which somebody sets now and then."""
        if self.chance.random() < 0.02:
            self._clock_offset = self.chance.choice((0, -3600, 3600, 86_400 * 365))
        return self.wall_time()

    def wall_time(self):
        return 1_700_000_000 + self._clock_offset + asyncio.get_running_loop().time()

    def note(self, text):
        self.trace.append(f"{asyncio.get_running_loop().time():9.3f} {text}")

    async def _have_a_disk(self):
        """Let the disk be full or fail now and then."""
        chance = self.chance
        while True:
            self.disk = WELL
            await asyncio.sleep(chance.expovariate(1 / self._health))
            self.disk = chance.choice((FULL, FAILING))
            self.note(f"the disk is {self.disk}")
            await asyncio.sleep(LONGEST_ILLNESS * chance.random() ** 2)
            self.note("the disk is well")

    async def _run(self):
        self.is_up = asyncio.Event()
        disk = asyncio.ensure_future(self._have_a_disk())
        if self._runtime == "cri":
            self.outside = ModelCri(self.chance, self.note, self.complain, self._folder)
        else:
            self.outside = ModelSidecar(self.chance, self.note, self.complain, self.wall_time)
        folder = self._folder / "state"
        folder.mkdir()
        clients = [Client(self, name) for name in range(self._clients)]
        tasks = [asyncio.ensure_future(client.run()) for client in clients]
        for _ in range(self._lives):
            steps = (*STEPS, *CALL_STEPS) if self._runtime == "cri" else STEPS
            step = self.chance.choice((None, *steps))
            life = await self._begin(folder, step, self.chance.choice((1, 1, 2, 3, 5, 9)))
            done, _ = await asyncio.wait(
                (life.end, *tasks), timeout=LONGEST_LIFE * self.chance.random() ** 2,
                return_when=asyncio.FIRST_COMPLETED,
            )  # fmt: skip
            for task in set(tasks) & done:
                task.result()
            if not life.is_over:
                life.kill("any-time")
            self.is_up.clear()
            await life.bury()
            folder = life.corpse
            if self.chance.random() < 0.3:
                self.outside.break_streams()
            await asyncio.sleep(self.chance.random() * 2)
        disk.cancel()
        self.disk = WELL
        life = await self._begin(folder, None, 0)
        await asyncio.sleep(3.0)
        for client in clients:
            client.is_to_end = True
        await asyncio.gather(*tasks)
        await self._settle(life)
        life.kill(THE_END)
        await life.bury()
        shutil.rmtree(life.corpse)
        self.outside.close()

    async def _begin(self, folder, step, count):
        self.note("agent starts")
        life = Life(self, folder, step, count)
        with suppress(Killed):
            await life.begin()
            self.life = life
            self.is_up.set()
        return life

    async def _settle(self, life):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLING
        while restless := self._restless(life):
            if loop.time() > deadline:
                raise Violation(f"does not settle: {restless}")
            await asyncio.sleep(1.0)
        self.check_registry(life.registry)
        self.history.check_answers()
        used = sum(e.workload.memory_mb for e in life.registry if not e.state.is_terminal)
        if used != life.capacity.memory_mb_used:
            raise Violation(f"{life.capacity} is promised, {used} MB are used")

    def _restless(self, life):
        """What is not as it should be, yet."""
        zones = self.outside.zones
        found = [f"zone {each} of nobody" for each in zones if each not in life.registry]
        for entry in life.registry:
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

    # What must always be so.

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

    def check_command(self, life, command, zone_id, spec):
        """Take note of what an agent begins; `spec` is of what it starts."""
        self.note(f"zone {zone_id} is to {command}")
        if spec is not None:
            gen = spec.workload.labels["gen"]
            self._posted[gen] = max(spec.attempt, self._posted.get(gen, 0))
            entry = life.store.durable.get(spec.id)
            if entry is None or entry.attempt < spec.attempt:
                self.complain(f"{spec} is started before that is on disk")
            return
        entry, known = life.store.durable.get(zone_id), life.registry.get(zone_id)
        if entry is None or known is None or known.state.is_terminal:
            return
        if asyncio.get_running_loop().time() - life.store.failed_at < DOUBT_SECONDS:
            return
        if entry.desired is DesiredState.RUN or (
            command == "remove" and entry.desired is DesiredState.STOP
        ):
            self.complain(f"{zone_id} is to {command} before that is on disk")

"""Agents as processes that are killed, in front of a container runtime, with or without a sidecar.

Their disk is small and sometimes full, and their wall clock jumps now and then.
"""

import asyncio
import errno
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_json import decode, encode
from kakuri_registry import SQLiteStore, WorkloadRegistry
from kakuri_rpc import ErrorCode, ErrorReply, ListWorkloads, RemoveWorkload, Reply, StartWorkload
from kakuri_sidecar import sidecar_service
from kakuri_tcp import Endpoint
from kakuri_workload.testing import workload
from kakuri_zones import Settings

from services.agent.tests.crash_clients import Client
from services.agent.tests.crash_disk import TORN
from services.agent.tests.crash_history import ClientHistory, Violation
from tools.members import ROOT

from .forked_agents import FAILPOINTS
from .processes import clean_environment

WAIT_SECONDS = 120

POLL_SECONDS = 0.002
"""Pause while an agent starts or dies, which else would have to share its core."""

UNSHARE = ["unshare", "--mount"]
if os.geteuid() != 0:
    UNSHARE += ["--user", "--map-root-user"]
DISK = 'mount -t tmpfs -o size=24m,mode=0700 none "$0" && exec "$@"'
"""Run a command that sees a disk of 24 MiB in a directory. That needs root, or a kernel that allows user
namespaces."""

IMAGES = {
    "server": FakeImage(state="present"),
    "job": FakeImage(state="present", exit_code=0),
    "crash": FakeImage(state="present", exit_code=3),
    "oom": FakeImage(state="present", exit_code=137),
    "missing": FakeImage(state="missing"),
    "broken": FakeImage(state="present", start_error="exec: not found"),
}


class Forker:
    """Starts agents as processes, with a small disk mounted at their directory `state`."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "agent.log"
        state = directory / "state"
        state.mkdir()
        command = [*UNSHARE, "sh", "-c", DISK, state]
        with self._log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*command, sys.executable, "-m", "tests.e2e.forked_agents"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                env=clean_environment(PYTHONPATH=str(ROOT)),
            )  # fmt: skip
        self.disk = Path(f"/proc/{self._process.pid}/root{state}")
        """The small disk, as it is seen from outside."""
        self._filling = self.disk / "filling"

    def fill(self) -> None:
        """Fill the disk."""
        with self._filling.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Free the disk again."""
        self._filling.unlink(missing_ok=True)

    def start(self, *options: str) -> int:
        """Start an agent and return its process id."""
        self._process.stdin.write("\t".join(options) + "\n")
        self._process.stdin.flush()
        pid = self._process.stdout.readline()
        assert pid, f"no agent can be forked: {self._log.read_text()}"
        return int(pid)

    def close(self):
        with self._process:
            self._process.stdin.close()


class AgentProcess:
    """An agent over a Unix socket; clients call it."""

    def __init__(
        self,
        forker: Forker,
        directory: Path,
        *options: str,
        die_at: str | None = None,
        has_jumping_clock: bool = False,
    ) -> None:
        """Start it; with `die_at`, it dies at a failpoint, the n-th time: FAILPOINT:COUNT."""
        self.socket = directory / "agent.sock"
        self.is_killed = False
        self.die_at = die_at
        self.pid = forker.start(
            *(["clock=jumping"] if has_jumping_clock else []),
            *([] if die_at is None else [f"die-at={die_at}"]),
            "--listen", f"unix:{self.socket}",
            "--state-dir", str(directory / "state"),
            "--log-level", "error",
            *options,
        )  # fmt: skip

    async def await_ready(self):
        """Wait until it answers, or has died at its failpoint."""
        async with asyncio.timeout(WAIT_SECONDS):
            while await self.call(ListWorkloads()) is None:
                if not self.is_alive:
                    assert self.die_at is not None, "the agent has ended"
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def call(self, request):
        """Return the answer to a request over its own connection; None if there is none."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            await asyncio.sleep(0)
            return None
        try:
            writer.write(encode(request) + b"\n")
            line = await reader.readline()
        except OSError:
            return None
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return decode(line, type=Reply) if line.endswith(b"\n") else None

    def reach(self, name):
        pass

    @property
    def is_alive(self):
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def pause(self, seconds):
        """Stop it for a while, as if its machine swapped or migrated."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        self.is_killed = True
        with suppress(ProcessLookupError):  # it may have died at its failpoint
            os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + WAIT_SECONDS
        while self.is_alive:
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)


class Node:
    """What clients see of agents that are killed and started again.

    `runtime` has the options that choose an agent's runtime. `running` returns the ids of the
    workloads that run, as the container runtime reports them; `kinds` are the fields of the
    workloads that clients submit.
    """

    def __init__(
        self,
        directory: Path,
        runtime: Sequence[str],
        running: Callable[[], list[str]],
        kinds: Sequence[dict],
        seed: int,
        *,
        pace: float = 0.005,
    ) -> None:
        self.directory, self.kinds = directory, kinds
        self._runtime, self.running = runtime, running
        self.forker = Forker(directory)
        self.rng = random.Random(seed)
        self.pace = pace
        self.history = ClientHistory()
        self.specs: defaultdict = defaultdict(dict)
        self.is_up = asyncio.Event()
        self.agent_run: AgentProcess | None = None
        self.violations: list[str] = []
        self.kills: Counter = Counter()
        self.refused = 0
        self._is_full = False
        self.clients: list[asyncio.Future] = []

    def note(self, text):
        self.refused += "the disk is full" in text

    def report_violation(self, text):
        self.violations.append(text)

    async def start(self, die_at=None):
        self.agent_run = AgentProcess(
            self.forker, self.directory, *self._runtime,
            "--memory-mb", "400", "--cpu-millicores", "64000", "--memory-floor-mb", "0",
            die_at=die_at, has_jumping_clock=True,
        )  # fmt: skip
        await self.agent_run.await_ready()
        self.is_up.set()

    async def kill(self):
        """Kill the agent, and check its database."""
        self.is_up.clear()
        died = not self.agent_run.is_alive
        self.kills[self.agent_run.die_at.partition(":")[0] if died else "any-time"] += 1
        self.agent_run.kill()
        async with asyncio.timeout(WAIT_SECONDS):
            while any(call.end is None for calls in self.history.calls.values() for call in calls):
                await asyncio.wait(self.clients, timeout=0.001)
        left = self.directory / "left"
        left.mkdir(exist_ok=True)
        for file in self.forker.disk.glob("sidecar.sqlite*"):
            if file.suffix != ".reserve":
                shutil.copy(file, left)
        store = SQLiteStore(left / "sidecar.sqlite")
        try:
            loaded = store.load()
        finally:
            store.close()
            shutil.rmtree(left)
        # A kill in the middle of a write leaves a transaction that was never acknowledged.
        damage = [each for each in loaded.problems if "not complete" not in each.message]
        if damage or self.violations:
            raise Violation(f"{damage} {self.violations}")
        self.history.check_registry(WorkloadRegistry.load(loaded))

    def _fill(self):
        self.forker.fill()
        self._is_full = True
        self.history.tombstones_since = math.inf

    def _free(self):
        self.forker.free()
        self._is_full = False
        self.history.tombstones_since = self.history.now

    async def _refuses(self):
        """Check that the agent refuses a new workload on the full disk, if it is still alive."""
        reply = await self.agent_run.call(StartWorkload(workload("too-much", memory_mb=1)))
        if reply is not None:
            assert isinstance(reply, ErrorReply), reply
            assert reply.code is ErrorCode.CAPACITY, reply

    async def until(self, condition):
        """Wait for a condition, which may call the agent."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not await condition():
                pass

    async def has_converged(self):
        status = await self.agent_run.call(ListWorkloads())
        names = self.running()
        assert len(names) == len(set(names)), f"doubled: {names}"
        running = sorted(each.id for each in status.workloads if each.state.value == "Running")
        waiting = [each for each in status.workloads
                   if each.state.value == "Pending" and each.reason != "BackOff"]  # fmt: skip
        return running == sorted(names) and not waiting

    async def run_scenario(self, kills: int, clients: int) -> int:
        """Run clients against agents that are killed again and again; return the number of requests.

        Two thirds of them have a failpoint at which they die, if they reach it in time. Some have a
        full disk, from the beginning or from a later moment; others are paused.
        """
        asking = [Client(self, name) for name in range(clients)]
        self.clients = [asyncio.ensure_future(client.run()) for client in asking]
        for number in range(kills):
            if number % 12 == 3:
                self._fill()
            name, count = self.rng.choice(FAILPOINTS), self.rng.choice((1, 1, 2, 3, 5, 9))
            die_at = f"{name}:{count}" if self.rng.random() < 0.67 else None
            await self.start(f"{TORN}:1" if number % 12 == 6 else die_at)
            most = 60 if self.agent_run.die_at is not None else self.rng.choice((0, 1, 3, 10, 30))
            answers = self.history.now + 2 * most
            if number % 12 == 8:
                self._fill()
            if self._is_full:
                await self._refuses()
            if self.rng.random() < 0.1:
                await self.agent_run.pause(0.1)
            async with asyncio.timeout(WAIT_SECONDS):
                while self.history.now < answers and self.agent_run.is_alive:
                    ended, _ = await asyncio.wait(self.clients, timeout=0.001)
                    assert not ended
            await self.kill()
            if number % 12 in (4, 8):
                self._free()
        self._free()
        await self.start()
        for client in asking:
            client.is_stopping = True
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(*self.clients)
        await self.until(self.has_converged)
        await self.kill()
        self.history.check_answers()
        return sum(map(len, self.history.calls.values()))

    async def remove_all(self):
        for each in (await self.agent_run.call(ListWorkloads())).workloads:
            await self.agent_run.call(RemoveWorkload(each.id))

    def close(self):
        if self.agent_run is not None and not self.agent_run.is_killed:
            self.agent_run.kill()
        self.forker.close()


@asynccontextmanager
async def node(directory: Path, seed: int, runtime: str = "sidecar"):
    """Yield a node whose container runtime is a fake; its agents use this runtime."""

    def running():
        return [each.config.labels["kakuri.dev/workload-id"] for each in cri.containers
                if each.is_running]  # fmt: skip

    async with AsyncExitStack() as stack:
        cri = await stack.enter_async_context(FakeCri(images=IMAGES))
        if runtime == "sidecar":
            options = ["--sidecar", f"unix:{directory / 'sidecar.sock'}"]
            sidecar = Endpoint.unix(str(directory / "sidecar.sock"))
            settings = Settings(cri=cri.endpoint, log_dir=directory / "logs")
            await stack.enter_async_context(sidecar_service(sidecar, settings))
        else:
            options = ["--cri", str(cri.endpoint), "--log-dir", str(directory / "logs")]
        kinds = [{"image": image} for image in IMAGES]
        made = Node(directory, ["--runtime", runtime, *options], running, kinds, seed)
        stack.callback(made.close)
        yield made

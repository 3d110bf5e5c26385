"""The clients of a soak: each function is one kind of client, which runs until it is cancelled.

They count their actions in `counts`, by kind and outcome.
"""

import asyncio
import contextlib
import functools
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from .http import ask, connected, exchange, head

LARGE_BYTES = 240_000
"""Size of a large document, just below the largest that is accepted."""

LIST_LINE = b'{"type":"ListWorkloads"}\n'

AGAIN_SECONDS = 0.2
"""Seconds between two attempts of a client that was refused or disconnected."""

WAVE_SECONDS = 5
"""Seconds for which clients that read nothing stay connected, all at the same time."""
PAUSE_SECONDS = 1
"""Seconds between two waves, in which buffers are empty and a leak shows."""


def document(name: str, image: str, size: int = 0, **more: object) -> bytes:
    """Return a workload whose environment has about `size` bytes."""
    env = {f"V{number}": "x" * 4000 for number in range(size // 4010)}
    workload = {"id": name, "image": image, "runtime_class": "edera-zone", "memory_mb": 1,
                "cpu_millicores": 1, "env": env, **more}  # fmt: skip
    return json.dumps(workload).encode()


FAULTY = {
    "cut": document("cut", "job", LARGE_BYTES)[:-1],
    "types": json.dumps({"env": {f"V{number}": number for number in range(20_000)}}).encode(),
    "unknown keys": json.dumps({f"k{number}": None for number in range(15_000)}).encode(),
    "numbers": b'{"args":[' + b"1e5," * 50_000 + b'"x"]}',
    "nested": b'{"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "escapes": b'{"image":"' + rb"\u00e9" * 35_000 + b'\\q"}',
    "no object": b"[" + b"{}," * 70_000 + b"{}]",
}


class Load:
    """The clients of one node."""

    def __init__(self, plane: str, agent: str) -> None:
        self.plane, self.agent = plane, agent
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count()

    def clients(self) -> dict[str, list[Callable[[], Awaitable[None]]]]:
        """Return all clients, by kind."""
        return {
            "jobs": [self.run_jobs] * 2,
            "large-jobs": [self.run_large_jobs],
            "followers": [
                *[lambda: self.follow("talker", 0)] * 16,
                *[lambda: self.follow("talker", 1.0)] * 8,
                *[lambda: self.follow("loop", 0)] * 4,
            ],
            "idle": [
                *[lambda: self.idle(self.plane)] * 300,
                *[lambda: self.idle(self.agent)] * 100,
            ],
            "slow": [*[self.send_slowly] * 50, *[self.send_a_line_slowly] * 20],
            "lists": [
                self.list_in_waves,
                self.list_what_matches_nothing,
            ],
            "refused": [lambda kind=kind: self.refused(kind) for kind in FAULTY],
        }

    async def run(self, kinds: Collection[str] = ()) -> None:
        """Run all clients, or those of some kinds, until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind, clients in self.clients().items():
                for client in clients if not kinds or kind in kinds else ():
                    group.create_task(self._again(client))

    async def _again(self, client: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await client()
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                self.counts[f"cut off: {type(error).__name__}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    # Ordinary clients

    async def run_jobs(self) -> None:
        """Submit small jobs, wait for their end, and delete them."""
        async with connected(self.plane) as (reader, writer):
            while True:
                name = f"small-{next(self._numbers)}"
                status, _ = await exchange(
                    reader, writer, "POST", "/workloads", document(name, "job")
                )
                if status != 201:
                    self.counts[f"job refused: {status}"] += 1
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                while True:
                    _, body = await exchange(reader, writer, "GET", f"/workloads/{name}")
                    if b'"succeeded"' in body:
                        break
                    await asyncio.sleep(0.02)
                await exchange(reader, writer, "DELETE", f"/workloads/{name}")
                self.counts["job done"] += 1
                await asyncio.sleep(0.02)

    async def run_large_jobs(self) -> None:
        """Submit jobs of the largest size, which are left when they have ended."""
        async with connected(self.plane) as (reader, writer):
            while True:
                body = document(f"large-{next(self._numbers)}", "job", LARGE_BYTES)
                status, _ = await exchange(reader, writer, "POST", "/workloads", body)
                self.counts[f"large job: {status}"] += 1
                await asyncio.sleep(0.5)

    async def follow(self, name: str, pause: float) -> None:
        """Follow a log; with a pause, slower than it is written."""
        async with connected(self.plane, limit=4096) as (reader, writer):
            writer.write(head("GET", f"/workloads/{name}/log?follow"))
            while data := await reader.read(64 if pause else 65536):
                self.counts["bytes of followed logs"] += len(data)
                await asyncio.sleep(pause)

    # Slow clients

    async def idle(self, address: str) -> None:
        """Connect and do nothing."""
        async with connected(address) as (reader, _):
            self.counts["idle connections"] += 1
            await reader.read(1)

    async def send_slowly(self) -> None:
        """Send a large body a kilobyte a second."""
        async with connected(self.plane) as (reader, writer):
            writer.write(head("POST", "/workloads", LARGE_BYTES))
            body = document("slow", "job", LARGE_BYTES)
            for start in range(0, LARGE_BYTES, 1024):
                writer.write(body[start : start + 1024])
                await asyncio.sleep(1)
                if reader.at_eof():
                    return

    async def send_a_line_slowly(self) -> None:
        """Send the agent a line that does not end."""
        async with connected(self.agent) as (reader, writer):
            writer.write(b'{"type":"StartWorkload","workload":{"id":"')
            while not reader.at_eof():
                writer.write(b"x" * 10_000)
                await asyncio.sleep(1)

    # Hostile clients

    async def list_in_waves(self) -> None:
        """Repeatedly connect clients that request lists and never read, then disconnect all and pause."""
        requests = {self.plane: head("GET", "/workloads?limit=100"), self.agent: LIST_LINE}
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAVE_SECONDS), asyncio.TaskGroup() as group:
                    for address, request in requests.items():
                        client = functools.partial(self.list_and_read_nothing, address, request)
                        for _ in range(4):
                            group.create_task(self._again(client))
            await asyncio.sleep(PAUSE_SECONDS)

    async def list_and_read_nothing(self, address: str, request: bytes) -> None:
        """Ask for lists as quickly as they can be sent, and read none of the answers."""
        async with connected(address) as (reader, writer):
            reader._transport.pause_reading()
            while True:
                writer.write(request * 100)
                self.counts["lists requested"] += 100
                await writer.drain()
                await asyncio.sleep(0)

    async def list_what_matches_nothing(self) -> None:
        """Ask for lists for which everything has to be examined."""
        async with connected(self.plane) as (reader, writer):
            while True:
                path = "/workloads?state=succeeded&label=no=where"
                status, _ = await exchange(reader, writer, "GET", path)
                self.counts[f"empty list: {status}"] += 1
                await asyncio.sleep(0.01)

    async def refused(self, kind: str) -> None:
        """Submit a large document that is faulty, without a pause."""
        while True:
            status, _ = await ask(self.plane, "POST", "/workloads", FAULTY[kind])
            self.counts[f"faulty document: {status}"] += 1


async def prepare(plane: str, jobs: int, large_jobs: int) -> None:
    """Submit what the clients find: large servers, a talker, a crash loop, and jobs that ended."""
    wanted = [
        *(document(f"server-{number}", "server", LARGE_BYTES) for number in range(8)),
        document("talker", "talker"),
        document("loop", "crash", restart_policy="always"),
        *(document(f"ended-{number}", "job", 1000) for number in range(jobs)),
        *(document(f"ended-large-{number}", "job", LARGE_BYTES) for number in range(large_jobs)),
    ]
    waiting = iter(wanted)

    async def submit() -> None:
        async with connected(plane) as (reader, writer):
            for body in waiting:
                status, answer = await exchange(reader, writer, "POST", "/workloads", body)
                if status != 201:
                    raise SystemExit(f"expected 201, got {status}: {answer[:300]!r}")

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(submit())
    while await count_pending(plane) > 1:  # noqa: ASYNC110 (the crash loop may be)
        await asyncio.sleep(0.1)


async def count_pending(plane: str) -> int:
    """Return how many workloads are pending, of the first page."""
    _, body = await ask(plane, "GET", "/workloads?state=pending&limit=100")
    return len(json.loads(body)["workloads"])

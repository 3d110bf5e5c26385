"""The log store and a runtime that writes: readers get what was written, whatever fails."""

import asyncio
import random

import pytest
from kakuri_cri import CriError, Runtime, api
from kakuri_cri.testing import FakeCri
from kakuri_tcp.testing import until
from kakuri_zones.logs._store import LogStore


class Zone:
    """A running container whose log the store keeps."""

    def __init__(self, runtime, client, store):
        self.runtime, self.client, self.store = runtime, client, store
        self.container = ""
        self.written = b""

    async def start(self, attempt=0):
        location = await self.store.prepare("zone", attempt)
        metadata = api.PodSandboxMetadata(
            name="zone", uid="zone", namespace="kakuri", attempt=attempt
        )
        config = api.PodSandboxConfig(metadata=metadata, log_directory=location.directory)
        sandbox = await self.client.run_pod_sandbox(config, "edera")
        container = api.ContainerConfig(
            metadata=api.ContainerMetadata(name="main", attempt=attempt),
            image=api.ImageSpec(image="web:1"),
            log_path=location.path,
        )
        self.container = await self.client.create_container(sandbox, container, config)
        await self.client.start_container(self.container)

    def write(self, data, stream="stdout"):
        self.written += data
        self.runtime.write(self.container, data, stream)

    async def rotate(self, attempt=0):
        return await self.store.rotate(
            "zone", attempt, lambda: self.client.reopen_container_log(self.container)
        )

    @property
    def has_ended(self):
        return not self.runtime.container(self.container).is_running


@pytest.fixture
async def zone(tmp_path):
    store = LogStore(tmp_path, max_file_bytes=2000, max_files=1000)
    async with (
        FakeCri(images={"web:1": "present"}) as runtime,
        Runtime(runtime.endpoint) as client,
    ):
        zone = Zone(runtime, client, store)
        await zone.start()
        yield zone
    store.close()


async def read_all(zone, limit):
    content, after, has_ended = b"", None, False
    while not has_ended:
        chunk = await zone.store.read(
            "zone", after, limit=limit, wait=30, has_ended=lambda: zone.has_ended
        )
        assert not chunk.has_gap
        assert len(chunk.data) <= limit
        content, after, has_ended = content + chunk.data, chunk.next, chunk.has_ended
    return content


async def follow(zone):
    stream = zone.store.stream("zone", follow=True, has_ended=lambda: zone.has_ended)
    return b"".join([content async for content in stream])


@pytest.mark.parametrize("seed", range(6))
async def test_readers_get_everything_that_is_written_during_rotations(zone, seed):
    chance = random.Random(seed)
    zone.runtime.faults.set(
        "ReopenContainerLog",
        "error(UNAVAILABLE)->delay(1)->finish-then-error(UNAVAILABLE)->2*error(UNKNOWN)->delay(0)",
    )
    readers = [
        asyncio.create_task(read)
        for read in (read_all(zone, 65536), read_all(zone, 100), follow(zone))
    ]
    rotations = failures = 0
    for number in range(60):
        size = chance.choice([0, 1, 10, 100, 300, 20_000])
        zone.write(b"%d " % number + b"x" * size + b"\n" * chance.choice([1, 1, 1, 2]))
        try:
            rotations += await zone.rotate()
        except CriError:
            failures += 1
    zone.write(b"unfinished")
    zone.runtime.exit(zone.container)
    for reader in readers:
        assert await reader == zone.written
    assert rotations > 5
    assert failures == 4
    after = await zone.store.tail("zone", 5)
    tail = [content async for content in zone.store.stream("zone", after)]
    assert b"".join(tail) == b"".join(zone.written.splitlines(keepends=True)[-5:])


async def test_follower_continues_with_the_next_attempt(zone):
    is_over = False
    stream = zone.store.stream("zone", follow=True, has_ended=lambda: is_over)
    zone.write(b"first\n")
    assert await anext(stream) == b"first\n"
    zone.runtime.exit(zone.container, 1)
    await zone.start(attempt=1)
    zone.write(b"second\n")
    assert await anext(stream) == b"second\n"
    is_over = True
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_rotation_for_an_ended_container_is_undone(zone):
    zone.write(b"x" * 3000 + b"\n")
    zone.runtime.exit(zone.container)
    with pytest.raises(CriError, match="container is not running"):
        await zone.rotate()
    assert [path.name for path in (zone.store.root / "zone").iterdir()] == ["0.log"]


async def test_rotation_interrupted_by_a_crash_of_the_runtime_loses_nothing(zone):
    zone.write(b"a" * 3000 + b"\n")
    zone.runtime.faults.set("ReopenContainerLog", "delay(3600000)")
    rotation = asyncio.create_task(zone.rotate())
    await zone.runtime.calls.wait_for("ReopenContainerLog")
    await zone.runtime.crash()
    with pytest.raises(CriError):
        await rotation
    zone.write(b"b\n")
    await zone.runtime.restart()
    await until(lambda: zone.runtime.path.is_socket())
    assert await zone.rotate()
    zone.write(b"c\n")
    zone.runtime.exit(zone.container)
    assert await follow(zone) == zone.written

"""A fake container runtime with resource usage: `python -m tests.observability.cri SOCKET IMAGES`.

It runs until standard input ends. IMAGES is the directory that counts as its image file system. Its
images: `server` runs, `crash` ends at once with 3, `missing` can't be pulled. The more letters
the id of a zone has, the more it uses.
"""

import asyncio
import sys
from pathlib import Path

from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_cri.testing._objects import FakeContainer

IMAGES = {
    "server:1": FakeImage(),
    "crash:1": FakeImage(exit_code=3, output=b"crashed\n"),
    "missing:1": FakeImage(state="missing"),
}
STEP_SECONDS = 0.2
MEGABYTE = 1_000_000


async def use(runtime: FakeCri) -> None:
    """Make every running container use CPU time, memory, disk and network, again and again."""
    step = 0
    while True:
        step += 1
        for container in runtime.containers:
            if container.is_running:
                _use(container, step)
        await asyncio.sleep(STEP_SECONDS)


def _use(container: FakeContainer, step: int) -> None:
    name = container.labels["kakuri.dev/workload-id"]
    weight = len(name)
    container.cpu_nanoseconds = (container.cpu_nanoseconds or 0) + weight * 10_000_000
    container.memory_bytes = weight * 4 * MEGABYTE + (step % (7 + weight)) * MEGABYTE
    container.writable_bytes = weight * MEGABYTE
    sandbox = container.sandbox
    sandbox.received_bytes = (sandbox.received_bytes or 0) + weight * 2000
    sandbox.sent_bytes = (sandbox.sent_bytes or 0) + weight * 5000
    sandbox.processes = 1 + weight
    if container.log is not None:
        container.log.write(b"x" * 99 + b"\n", "stdout")


async def main(path: Path, images: str) -> None:
    async with FakeCri(path, images=IMAGES) as runtime:
        runtime.images.mountpoint = images
        using = asyncio.create_task(use(runtime))
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        using.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

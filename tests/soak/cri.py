"""A fake container runtime as a process: `python -m tests.soak.cri SOCKET`, until standard input ends.

Its images: `server` runs, `talker` runs and writes a line every tenth of a second, `job` ends at
once with 0, `crash` with 3.
"""

import asyncio
import sys
from pathlib import Path

from kakuri_cri.testing import FakeCri, FakeImage

IMAGES = {
    "server": FakeImage(state="present"),
    "talker": FakeImage(state="present"),
    "job": FakeImage(state="present", exit_code=0, output=b"done\n"),
    "crash": FakeImage(state="present", exit_code=3, output=b"crashed\n"),
}
TALK_SECONDS = 0.1


async def talk(runtime: FakeCri) -> None:
    """Make every running talker write a line, again and again."""
    number = 0
    while True:
        await asyncio.sleep(TALK_SECONDS)
        number += 1
        for container in runtime.containers:
            if container.is_running and container.config.image.user_specified_image == "talker":
                name = container.config.labels["kakuri.dev/workload-id"]
                runtime.write(name, f"line {number} {'.' * 200}\n".encode())


async def main(path: Path) -> None:
    async with FakeCri(path, images=IMAGES) as runtime:
        talking = asyncio.create_task(talk(runtime))
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        talking.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""Compares small requests over one connection with asyncio's streams, in one run.

The server is a process of its own. Every caller waits for its reply before it asks again; the
callers share one connection, and replies are matched in order, in all variants.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections import deque

import uvloop
from kakuri_tcp import Endpoint, LineClient, listen_lines

REQUEST = b'{"type":"GetStatus","id":"wl-123"}'
REPLY = b'{"type":"Status","id":"wl-123","state":"Pending"}'
LOCAL = Endpoint.parse("127.0.0.1:0")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def serve_kakuri():
    async with await listen_lines(LOCAL, lambda line: REPLY) as server:
        print(server.endpoint.port, flush=True)
        await asyncio.Event().wait()


async def serve_streams():
    async def serve(reader, writer):
        while await reader.readline():
            writer.write(REPLY + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class StreamsClient:
    """What one would write with streams: a queue of futures, and a task that reads."""

    async def connect(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.waiting = deque()
        self.task = asyncio.create_task(self.read())

    async def read(self):
        while line := await self.reader.readline():
            self.waiting.popleft().set_result(line[:-1])

    async def request(self, line):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.writer.write(line + b"\n")
        await self.writer.drain()
        return await future

    async def close(self):
        self.task.cancel()
        self.writer.close()


class KakuriClient:
    async def connect(self, port):
        self.client = LineClient(Endpoint.tcp("127.0.0.1", port))

    async def request(self, line):
        return await self.client.request(line, timeout=5.0)

    async def close(self):
        await self.client.close()


SERVERS = {"streams": serve_streams, "kakuri": serve_kakuri}
CLIENTS = {"streams": StreamsClient, "kakuri": KakuriClient}


async def load(kind, port, callers, seconds):
    client = CLIENTS[kind]()
    await client.connect(port)
    assert await client.request(REQUEST) == REPLY
    times = []
    end = time.perf_counter() + seconds

    async def call():
        now = time.perf_counter()
        while now < end:
            began = now
            await client.request(REQUEST)
            now = time.perf_counter()
            times.append(now - began)

    began = time.perf_counter()
    await asyncio.gather(*[call() for _ in range(callers)])
    elapsed = time.perf_counter() - began
    await client.close()
    times.sort()
    return len(times) / elapsed, times[len(times) // 2], times[int(len(times) * 0.99)]


def run(kind, loop, callers, seconds):
    command = [sys.executable, __file__, "--serve", kind, "--loop", loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                return runner.run(load(kind, port, callers, seconds))
        finally:
            server.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SERVERS)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--callers", type=int, nargs="*", default=[1, 16, 64, 256])
    options = parser.parse_args()
    if options.serve:
        with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
            runner.run(SERVERS[options.serve]())
    print(f"python {sys.version.split()[0]}; one connection; client and server on a core each")
    print(f"{'library':8} {'loop':8} {'callers':>7} {'requests/s':>11} {'p50 ms':>7} {'p99 ms':>7}")
    for callers in options.callers:
        for loop in LOOPS:
            for kind in SERVERS:
                rate, p50, p99 = run(kind, loop, callers, options.seconds)
                print(
                    f"{kind:8} {loop:8} {callers:7} {rate:11,.0f} {p50 * 1e3:7.2f} {p99 * 1e3:7.2f}"
                )


if __name__ == "__main__":
    main()

"""1 GB in either direction, in pieces of 64 KiB: rate, and growth of memory.

python bench_stream.py [--megabytes 1024]
"""

# ruff: noqa: PLC0415 - each server imports nothing but its own package
import argparse
import asyncio
import subprocess
import sys
import time

from bench_http import DIRECTORY, free_port, title, wait_for
from bench_idle import resident

PIECE = b"x" * 65536
ASK = b"%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n"


async def kakuri(port, count):
    from kakuri_http import Response, Router, serve

    router = Router()
    router.add("GET", "/down", lambda request: Response(200, (PIECE for _ in range(count))))

    async def up(request):
        total = 0
        async for piece in request.stream():
            total += len(piece)
        return Response(200, b"%d" % total)

    router.add("POST", "/up", up, streaming=True, body_limit=1 << 40)
    await serve(f"127.0.0.1:{port}", router)


async def aiohttp(port, count):
    from aiohttp import web

    async def down(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(count):
            await response.write(PIECE)
        return response

    async def up(request):
        total = 0
        async for piece in request.content.iter_any():
            total += len(piece)
        return web.Response(body=b"%d" % total)

    app = web.Application(client_max_size=1 << 40)
    app.router.add_get("/down", down)
    app.router.add_post("/up", up)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def serve_for_ever(name, port, count):
    await globals()[name](port, count)
    print("ready", flush=True)
    await asyncio.Event().wait()


def transfer(port, direction, count):
    """Move the pieces with a plain socket, so that the client is the same for all."""
    import socket

    with socket.create_connection(("127.0.0.1", port)) as connection:
        if direction == "down":
            connection.sendall(ASK % (b"GET /down", b""))
        else:
            connection.sendall(ASK % (b"POST /up", b"Transfer-Encoding: chunked\r\n"))
            chunk = b"10000\r\n" + PIECE + b"\r\n"
            for _ in range(count):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        received = 0
        while data := connection.recv(1 << 20):
            received += len(data)
        assert direction == "up" or received > count * len(PIECE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--serve", nargs=2)
    options = parser.parse_args()
    count = options.megabytes * 16
    if options.serve:
        asyncio.run(serve_for_ever(options.serve[0], int(options.serve[1]), count))
        return
    print("| server | direction | MB/s | memory grew by |\n| --- | --- | ---: | ---: |")
    for name in ("kakuri", "aiohttp"):
        for direction in ("down", "up"):
            port = free_port()
            command = [sys.executable, __file__, "--megabytes", str(options.megabytes)]
            process = subprocess.Popen(
                [*command, "--serve", name, str(port)],
                cwd=DIRECTORY, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                process.stdout.readline()
                wait_for(port)
                before = resident(process.pid)
                began = time.perf_counter()
                transfer(port, direction, count)
                rate = options.megabytes / (time.perf_counter() - began)
                grown = (resident(process.pid) - before) / 1024
            finally:
                process.terminate()
                process.wait()
            print(f"| {title(name)} | {direction} | {rate:,.0f} | {grown:.1f} MiB |", flush=True)


if __name__ == "__main__":
    main()

"""The server that other programs' clients talk to, and how such a program is run."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from kakuri_http2 import Exchange, ServerDriver

LARGE = bytes(range(256)) * 40_000
"""Ten megabytes."""
MANY_FIELDS = tuple((b"x-field-%d" % number, b"value %d" % number) for number in range(200))
TRAILERS = ((b"x-checksum", b"1234"), (b"x-done", b"yes"))


async def answer(exchange: Exchange) -> None:
    """Answer a request by its path."""
    path = exchange.head.path
    if path == b"/digest":
        digest, size = hashlib.sha256(), 0
        while piece := await exchange.read():
            digest.update(piece)
            size += len(piece)
        exchange.respond(200)
        trailers = b",".join(name for name, _ in exchange.trailers)
        text = f"{size} {digest.hexdigest()} {trailers.decode()}\n"
        await exchange.send(text.encode(), end=True)
    elif exchange.head.method == b"HEAD":
        exchange.respond(200, ((b"content-length", b"%d" % len(LARGE)),), end=True)
    elif path == b"/empty":
        exchange.respond(204, end=True)
    elif path == b"/fields":
        exchange.respond(200, MANY_FIELDS)
        await exchange.send(b"%d fields\n" % len(exchange.head.fields), end=True)
    elif path == b"/trailers":
        exchange.respond(103, ((b"link", b"</style.css>"),))
        exchange.respond(200)
        await exchange.send(b"with trailers\n")
        exchange.send_trailers(TRAILERS)
    elif path == b"/large":
        exchange.respond(200, ((b"content-length", b"%d" % len(LARGE)),))
        await exchange.send(LARGE, end=True)
    elif path.startswith(b"/small"):
        exchange.respond(200, ((b"content-length", b"6"),))
        await exchange.send(b"small\n", end=True)
    else:
        exchange.respond(404, end=True)


@asynccontextmanager
async def site(socket: Path | None = None) -> AsyncIterator[str]:
    """Serve on a free port, or on a Unix socket; yield the address `host:port`."""
    loop = asyncio.get_running_loop()
    drivers: list[ServerDriver] = []

    def accept() -> ServerDriver:
        drivers.append(ServerDriver(answer))
        return drivers[-1]

    if socket is None:
        listener = await loop.create_server(accept, "127.0.0.1", 0)
        address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    else:
        listener = await loop.create_unix_server(accept, str(socket))
        address = "localhost"
    try:
        yield address
    finally:
        listener.close()
        for driver in drivers:
            driver.close()
            await driver.closed
        await listener.wait_closed()


class Done(NamedTuple):
    """What a program has written."""

    output: bytes
    errors: str


async def run(*command: str | Path, stdin: bytes = b"") -> Done:
    """Run a program to its end; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode == 0, (output[-2000:], errors[-2000:])
    return Done(output, errors.decode(errors="replace"))

"""The HTTP that a load needs, over plain sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def connected(address: str, limit: int = 1 << 20) -> AsyncIterator:
    """Yield a reader and a writer; the connection is reset at the end, even during a response."""
    if address.startswith("unix:"):
        opening = asyncio.open_unix_connection(address.removeprefix("unix:"), limit=limit)
    else:
        host, _, port = address.rpartition(":")
        opening = asyncio.open_connection(host, int(port), limit=limit)
    reader, writer = await opening
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(method: str, path: str, length: int = 0) -> bytes:
    """Return the head of a request."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
    )


async def exchange(reader, writer, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request on an open connection and return the status and the body of the answer."""
    writer.write(head(method, path, len(body)) + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    status = int(lines[0].split()[1])
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length)


async def ask(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request on its own connection."""
    async with connected(address) as (reader, writer):
        return await exchange(reader, writer, method, path, body)

"""A raw connection to a server, for bytes that no client would send."""

import asyncio
from contextlib import asynccontextmanager

from kakuri_http import Response, Router, serve


def simple_router():
    router = Router()
    router.add("GET", "/things/:id", lambda request: Response(200, request.params["id"].encode()))
    router.add("POST", "/echo", lambda request: Response(200, request.body))
    return router


class Wire:
    """One raw connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def read_all(self):
        return await self.reader.read()

    async def read_head(self):
        return await self.reader.readuntil(b"\r\n\r\n")

    async def read_response(self, method="GET"):
        """Read one response with Content-Length; return status, fields, body."""
        head = (await self.read_head()).decode("latin-1")
        status_line, *lines = head[:-4].split("\r\n")
        fields = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in fields, "no field comes twice"
            fields[name.lower()] = value
        status = int(status_line.split(" ")[1])
        length = int(fields.get("content-length", 0))
        body = b"" if method == "HEAD" else await self.reader.readexactly(length)
        return status, fields, body


@asynccontextmanager
async def wired(router=None, **options):
    """Serve a router and open one raw connection to it."""
    async with (
        await serve("127.0.0.1:0", router or simple_router(), **options) as server,
        connected(server) as wire,
    ):
        wire.server = server
        yield wire


@asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()

"""Users of this machine, and clients that check a server's."""

import asyncio
import os

import pytest
from kakuri_tcp import Connection, LineClient, blocking, connect

OTHER = os.geteuid() + 12345
"""A user who is neither root nor this one."""

UNPRIVILEGED = 65534
EACH_USER = pytest.mark.parametrize(
    "uid", [os.geteuid(), *([UNPRIVILEGED] if os.geteuid() == 0 else [])]
)
"""The users as whom a process of a test can run: only root can start one of another user."""


async def with_connect(endpoint, **options):
    connection = await connect(endpoint, Connection, timeout=5.0, **options)
    connection.abort()


async def with_line_client(endpoint, **options):
    async with LineClient(endpoint, **options) as client:
        assert await client.request(b"hello", timeout=5.0) == b"HELLO"


async def with_blocking(endpoint, **options):
    def open_and_close():
        blocking.connect(endpoint, timeout=5.0, **options).close()

    await asyncio.to_thread(open_and_close)


EACH_CLIENT = pytest.mark.parametrize("client", [with_connect, with_line_client, with_blocking])

"""Our client against nghttp2's server."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager

import pytest
from kakuri_http2 import ClientDriver, Limits, Request


@asynccontextmanager
async def nghttpd(directory, *options, limits=None):
    """Yield our client, connected to nghttpd with a directory of files."""
    (directory / "small").write_bytes(b"small\n")
    (directory / "empty").write_bytes(b"")
    (directory / "large").write_bytes(bytes(range(256)) * 20_000)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"  # where Debian has servers
    command = [
        "nghttpd",
        "--no-tls",
        "-v",
        "-a",
        "127.0.0.1",
        "-d",
        str(directory),
        *options,
        str(port),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PATH": path}
    )
    assert process.stdout is not None
    while b"listen" not in await asyncio.wait_for(process.stdout.readline(), 10):
        pass
    reading = asyncio.ensure_future(process.stdout.read())
    loop = asyncio.get_running_loop()
    try:
        _, driver = await loop.create_connection(lambda: ClientDriver(limits), "127.0.0.1", port)
        async with driver:
            yield driver
    finally:
        process.terminate()
        await process.wait()
        await reading


async def get(driver, path, *, method=b"GET", content=None):
    """Return the response's status, its content and its trailers."""
    request = Request(method, path, b"localhost", end=content is None)
    exchange = await driver.open(request)
    sending = None
    if content is not None:
        sending = asyncio.ensure_future(exchange.send(content, end=True))
    response = await exchange.response()
    pieces = []
    while piece := await exchange.read():
        pieces.append(piece)
    if sending is not None:
        await sending
    return response.status, b"".join(pieces), exchange.trailers


async def test_client_reads_files_of_nghttpd(tmp_path):
    async with nghttpd(tmp_path) as driver:
        for name in ("small", "empty", "large"):
            status, content, _ = await get(driver, f"/{name}".encode())
            assert (status, content) == (200, (tmp_path / name).read_bytes())
        assert (await get(driver, b"/none"))[0] == 404
        assert (await get(driver, b"/large", method=b"HEAD"))[:2] == (200, b"")


async def test_client_reads_with_the_smallest_windows(tmp_path):
    limits = Limits(stream_window=65_535, connection_window=65_535)
    async with nghttpd(tmp_path, limits=limits) as driver:
        results = await asyncio.gather(*[get(driver, b"/large") for _ in range(3)])
    assert {content for _, content, _ in results} == {(tmp_path / "large").read_bytes()}


@pytest.mark.parametrize("options", [(), ("-c", "0"), ("-m", "5"), ("-w", "10", "-W", "10")])
async def test_client_shares_a_connection_among_many_requests(tmp_path, options):
    async with nghttpd(tmp_path, *options) as driver:
        await get(driver, b"/small")  # the server's limits are known then
        results = await asyncio.gather(*[get(driver, b"/small") for _ in range(300)])
        assert driver.connection.open_streams == 0
    assert {(status, content) for status, content, _ in results} == {(200, b"small\n")}


async def test_client_uploads_and_reads_the_echo(tmp_path):
    content = bytes(range(256)) * 8000
    async with nghttpd(tmp_path, "--echo-upload", "-w", "14", "-W", "14") as driver:
        status, echoed, _ = await get(driver, b"/", method=b"POST", content=content)
    assert (status, echoed) == (200, content)


async def test_client_reads_trailers_of_nghttpd(tmp_path):
    async with nghttpd(tmp_path, "--trailer", "x-sum: 7") as driver:
        status, content, trailers = await get(driver, b"/small")
    assert (status, content) == (200, b"small\n")
    assert (b"x-sum", b"7") in trailers

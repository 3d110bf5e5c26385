"""Real peers: curl, httpx and aiohttp as clients; uvicorn, aiohttp and nginx as servers.

curl and nginx are Debian packages; a test that needs one fails where it is missing.
"""

import asyncio
import shutil
import socket
import sys
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest
import trustme
from aiohttp import web
from kakuri_http import Client, ConnectFailed, Limits, Response, Router, serve
from kakuri_tcp import ClientTLS, ServerTLS

BIG = b"0123456789abcdef" * 65536


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"missing program {name!r}; on Debian: apt-get install {name}")
    return found


def router():
    table = Router()

    async def pieces():
        for start in range(0, len(BIG), 100_000):
            yield BIG[start : start + 100_000]

    async def later(request):
        await asyncio.get_running_loop().run_in_executor(None, str)
        return Response(201, request.body, headers={"X-Length": str(len(request.body))})

    table.add("GET", "/small", lambda request: Response(200, b"small", content_type="text/plain"))
    table.add("GET", "/big", lambda request: Response(200, BIG))
    table.add("GET", "/pieces", lambda request: Response(200, pieces()))
    table.add("POST", "/later", later, body_limit=1 << 24)
    return table


@pytest.fixture
async def server():
    async with await serve("127.0.0.1:0", router()) as running:
        yield running


async def curl(*arguments):
    process = await asyncio.create_subprocess_exec(
        program("curl"), "-sS", "--max-time", "20", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output


async def test_server_responds_to_curl(server, tmp_path):
    url = f"http://{server.endpoint}"
    both = await curl(f"{url}/small", f"{url}/small", "-w", "%{num_connects} ")
    assert both == b"small1 small0 "
    assert await curl(f"{url}/pieces") == BIG
    assert (await curl("-I", f"{url}/small")).startswith(b"HTTP/1.1 200 OK\r\n")
    body = tmp_path / "body"
    body.write_bytes(BIG)
    # A large body makes curl ask with Expect: 100-continue.
    sent = await curl("--data-binary", f"@{body}", f"{url}/later", "-H", "Expect: 100-continue")
    assert sent == BIG
    chunked = await curl(
        "-T", str(body), "-X", "POST", f"{url}/later", "-H", "Transfer-Encoding: chunked"
    )
    assert chunked == BIG
    status = await curl(
        "-X", "PUT", f"{url}/small", "-d", "x", "-o", "/dev/null", "-w", "%{http_code}"
    )
    assert status == b"405"
    upgraded = await curl("--http2", f"{url}/small", "-w", " %{http_version}")
    assert upgraded == b"small 1.1"


async def test_server_responds_to_curl_over_tls(tmp_path):
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        certificate
    )
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    tls = ServerTLS(certificate=certificate)
    async with await serve("tls://127.0.0.1:0", router(), tls=tls) as server:
        url = f"https://127.0.0.1:{server.endpoint.port}"
        assert await curl("--cacert", str(trusted), f"{url}/pieces") == BIG
        async with Client(tls=ClientTLS(ca=trusted)) as client:
            assert (await client.request("GET", f"{url}/small")).body == b"small"
            assert (await client.request("POST", f"{url}/later", body=BIG[:500_000])).body == BIG[
                :500_000
            ]
        async with Client() as client:
            with pytest.raises(ConnectFailed, match="certificate"):
                await client.request("GET", f"{url}/small")


async def test_server_responds_to_httpx(server):
    async with httpx.AsyncClient(base_url=f"http://{server.endpoint}", trust_env=False) as client:
        assert (await client.get("/small")).text == "small"
        assert (await client.get("/pieces")).content == BIG
        assert (await client.post("/later", content=BIG)).content == BIG

        async def sent():
            yield b"one"
            yield b"two"

        answer = await client.post("/later", content=sent())
        assert (answer.status_code, answer.headers["x-length"]) == (201, "6")
        assert (await client.head("/small")).headers["content-length"] == "5"
        assert (await client.get("/nowhere")).json()["code"] == "not_found"
    assert server.counters.accepted == 1


async def test_server_responds_to_aiohttp(server):
    async with aiohttp.ClientSession(f"http://{server.endpoint}") as session:
        async with session.get("/pieces") as answer:
            assert await answer.read() == BIG
        async with session.post("/later", data=BIG) as answer:
            assert await answer.read() == BIG
        async with session.options("/small") as answer:
            assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


async def exchange_with(url):
    """Send requests to a server that echoes POST /echo and responds with BIG at /big."""
    async with Client(limits=Limits(body=1 << 24)) as client:
        for _ in range(2):
            assert (await client.request("GET", f"{url}/big")).body == BIG
        head = await client.request("HEAD", f"{url}/big")
        assert (head.status, head.body) == (200, b"")
        assert (await client.request("POST", f"{url}/echo", body=b"whole")).body == b"whole"
        pieces = [BIG[:70_000], BIG[70_000:200_000]]
        assert (await client.request("POST", f"{url}/echo", body=pieces)).body == BIG[:200_000]
        asked = {"Expect": "100-continue"}
        assert (
            await client.request("POST", f"{url}/echo", body=b"asked", headers=asked)
        ).body == b"asked"
        assert (await client.request("GET", f"{url}/nowhere")).status == 404
        assert "0 in use, 1 idle" in repr(client)


@asynccontextmanager
async def running(*command, cwd=None):
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.communicate()


UVICORN_APP = f"""
BIG = b"0123456789abcdef" * {len(BIG) // 16}
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status = 200 if scope["path"] in ("/big", "/echo") else 404
    await send({{"type": "http.response.start", "status": status, "headers": []}})
    content = BIG if scope["path"] == "/big" else body
    half = len(content) // 2
    await send({{"type": "http.response.body", "body": content[:half], "more_body": True}})
    await send({{"type": "http.response.body", "body": content[half:]}})
"""


async def test_client_gets_responses_of_uvicorn(tmp_path):
    (tmp_path / "echo_app.py").write_text(UVICORN_APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        descriptor = str(listener.fileno())
        listener.set_inheritable(True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "uvicorn", "--fd", descriptor, "echo_app:app",
            cwd=tmp_path, pass_fds=[listener.fileno()],
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await exchange_with(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            await process.wait()


async def test_client_gets_responses_of_aiohttp():
    async def echo(request):
        return web.Response(body=await request.read())

    async def big(request):
        return web.Response(body=BIG)

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/echo", echo)
    app.router.add_get("/big", big)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await exchange_with(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type application/octet-stream;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    server {{
        listen unix:{directory}/socket;
        root {directory}/files; client_max_body_size 20m;
        location /echo {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1;
                          proxy_set_header Connection ""; }}
    }}
}}
"""


async def test_client_gets_responses_of_nginx(tmp_path):
    """Requests pass from the client to nginx and on to the server."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/big").write_bytes(BIG)
    behind = Router()
    behind.add("POST", "/echo", lambda request: Response(200, request.body))
    async with await serve("127.0.0.1:0", behind) as server:
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(NGINX.format(directory=tmp_path, port=server.endpoint.port))
        async with running(
            program("nginx"), "-p", str(tmp_path), "-c", str(configuration)
        ) as process:
            async with asyncio.timeout(20):
                # The socket is there before nginx listens on it; this file is not.
                while not (tmp_path / "pid").exists():
                    assert process.returncode is None
                    await asyncio.get_running_loop().run_in_executor(None, str)
            limits = Limits(body=1 << 24)
            async with Client(f"unix:{tmp_path}/socket", limits=limits) as client:
                assert (await client.request("GET", "/big")).body == BIG
                assert (await client.request("HEAD", "/big")).headers["content-length"] == str(
                    len(BIG)
                )
                assert (await client.request("POST", "/echo", body=b"whole")).body == b"whole"
                pieces = [BIG[:70_000], BIG[70_000:200_000]]
                assert (await client.request("POST", "/echo", body=pieces)).body == BIG[:200_000]
                assert (await client.request("GET", "/nowhere")).status == 404
                assert "0 in use, 1 idle" in repr(client)

"""The configuration of docs/reverse-proxy.md, run by the real nginx."""

import asyncio
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from kakuri_rpc import ErrorCode, ErrorReply, Log, ReadLog, StartWorkload, State, Status, serve
from kakuri_tcp import Endpoint

from .processes import DEADLINE, clean_environment

DOCUMENT = (Path(__file__).parents[2] / "docs/reverse-proxy.md").read_text()
(CONFIGURATION,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT, re.DOTALL)

MAIN = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    {servers}
}}
"""
NAME = "kakuri.example.com"
TOKEN = "5f" * 32
WORKLOAD = (
    '{"id":"test-1","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'
)


class Agent:
    """An agent whose workload writes a line, and another one on request."""

    def __init__(self):
        self.asked = []
        self.may_write_on = asyncio.Event()

    def __call__(self, request):
        self.asked.append(request)
        if isinstance(request, ReadLog):
            return self._read(request)
        if isinstance(request, StartWorkload):
            return Status(request.workload.id, State.PENDING)
        return ErrorReply(ErrorCode.NOT_FOUND, "no such workload")

    async def _read(self, request):
        if request.after is None:
            return Log(b"first\n", "1", ended=False)
        await self.may_write_on.wait()
        return Log(b"second\n", "2", ended=True)


@pytest.fixture
async def agent(tmp_path):
    handler = Agent()
    async with await serve(Endpoint.unix(f"{tmp_path}/agent.sock"), handler):
        yield handler


@pytest.fixture
async def proxy(tmp_path, agent, start):
    """Start the control plane and nginx; return the curl command that reaches nginx."""
    await asyncio.to_thread(
        start, "kakuri-control-plane", "--listen", f"unix:{tmp_path}/api.sock",
        "--agent", f"unix:{tmp_path}/agent.sock", "--allowed-host", NAME,
    )  # fmt: skip
    prepare(tmp_path)
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert nginx, "nginx is missing (nginx-light of Debian)"
    process = await asyncio.create_subprocess_exec(
        nginx, "-p", str(tmp_path), "-c", f"{tmp_path}/nginx.conf", env=clean_environment()
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while not (tmp_path / "pid").exists():  # written once it listens
                assert process.returncode is None, (tmp_path / "error.log").read_text()
                await asyncio.get_running_loop().run_in_executor(None, str)
        yield [
            "curl", "-sS", "-N", "--max-time", str(DEADLINE), "--cacert", f"{tmp_path}/tls/certificate.pem",
            "--unix-socket", f"{tmp_path}/proxy.sock",
        ]  # fmt: skip
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def prepare(directory):
    """Write the configuration of the document with the paths of the test."""
    (directory / "tls").mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", f"{directory}/tls/key.pem", "-out", f"{directory}/tls/certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True
    ).stdout
    (directory / "users").write_text(f"ops:{hashed}")
    (directory / "tokens").write_text(f'"~^Bearer {TOKEN}$" off;\n')
    servers = CONFIGURATION
    for written, ours in [
        ("unix:/run/kakuri-api/api.sock", f"unix:{directory}/api.sock"),
        ("listen 443 ssl;", f"listen unix:{directory}/proxy.sock ssl;"),
        ("/etc/kakuri/", f"{directory}/"),
    ]:
        assert written in servers
        servers = servers.replace(written, ours)
    (directory / "nginx.conf").write_text(MAIN.format(directory=directory, servers=servers))


async def ask(proxy, path, *options):
    """Ask with curl and return the status and the body."""
    process = await asyncio.create_subprocess_exec(
        *proxy, "-w", "\n%{http_code}", *options, f"https://{NAME}{path}",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    body, _, status = output.decode().rpartition("\n")
    return int(status), body


async def test_proxy_accepts_only_requests_with_the_password(proxy, agent):
    post = ("-d", WORKLOAD)
    for credentials in ((), ("-u", "ops:wrong"), ("-u", "nobody:secret")):
        assert (await ask(proxy, "/workloads", *credentials, *post))[0] == 401
    assert agent.asked == []
    assert await ask(proxy, "/workloads", "-u", "ops:secret", *post) == (201, WORKLOAD)
    assert len(agent.asked) == 1


async def test_proxy_accepts_a_token_in_place_of_the_password(proxy, agent):
    post = ("-d", WORKLOAD)
    for token in (f"{TOKEN}0", TOKEN[1:], TOKEN.upper(), ""):
        refused = await ask(proxy, "/workloads", "-H", f"Authorization: Bearer {token}", *post)
        assert refused[0] == 401
    assert agent.asked == []
    token = ("-H", f"Authorization: Bearer {TOKEN}")
    assert await ask(proxy, "/workloads", *token, *post) == (201, WORKLOAD)


async def test_proxy_passes_host_and_origin_so_that_foreign_pages_are_refused(proxy):
    user = ("-u", "ops:secret")
    assert (await ask(proxy, "/healthz", *user))[0] == 200
    own = f"https://{NAME}"
    assert (await ask(proxy, "/healthz", *user, "-H", f"Origin: {own}"))[0] == 200
    with_port = ("-H", f"Host: {NAME}:8443", "-H", f"Origin: {own}:8443")
    assert (await ask(proxy, "/healthz", *user, *with_port))[0] == 200
    foreign_page = ("-H", "Origin: https://evil.example")
    assert (await ask(proxy, "/healthz", *user, *foreign_page))[0] == 403
    rebound_name = ("-H", "Host: evil.example")
    assert (await ask(proxy, "/healthz", *user, *rebound_name))[0] == 421


async def test_proxy_passes_a_followed_log_on_as_it_is_written(proxy, agent):
    process = await asyncio.create_subprocess_exec(
        *proxy, "-u", "ops:secret", f"https://{NAME}/workloads/test-1/log?follow",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        assert await process.stdout.readline() == b"first\n"
        agent.may_write_on.set()  # not before the first line has arrived
        assert await process.stdout.read() == b"second\n"
        assert await process.wait() == 0

"""The sidecar's server: who may send requests to it, and how it ends."""

import asyncio
import os
import runpy
from contextlib import asynccontextmanager

import grpc
import pytest
from kakuri_cri import MAX_METADATA_RECEIVED, MAX_RECEIVED
from kakuri_http import Client
from kakuri_sidecar import GrpcioChannel, _service, sidecar_service
from kakuri_tcp import Endpoint, LocalAccess
from kakuri_zones.testing import quick_settings
from structlog.testing import capture_logs

OTHER = os.geteuid() + 12345
OTHER_SITE = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def listen(runtime, tmp_path):
    """Return a context manager that runs a sidecar at an endpoint, and its client."""

    @asynccontextmanager
    async def start(endpoint, **options):
        settings = quick_settings(cri=runtime.endpoint, log_dir=tmp_path / "logs")
        async with (
            sidecar_service(Endpoint.parse(endpoint), settings, drain=1.0, **options) as at,
            Client(at) as client,
        ):
            client.endpoint = at
            yield client

    return start


async def test_request_that_another_site_sent_is_403(listen, tmp_path):
    for endpoint in ("127.0.0.1:0", f"unix:{tmp_path}/s.sock"):
        async with listen(endpoint) as client:
            response = await client.request("GET", "/zones", headers=OTHER_SITE)
            assert response.status == 403
            assert (await client.request("GET", "/zones")).status in (200, 503)


async def status_for(host, address):
    """Return the status of a request with any Host, at a port or a socket."""
    open_connection = asyncio.open_connection
    if not isinstance(address, tuple):
        address, open_connection = (address,), asyncio.open_unix_connection
    reader, writer = await open_connection(*address)
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("host", "status"), [("example.com", 421), ("192.0.2.1", 421), ("127.0.0.1", 200)]
)
async def test_host_at_a_port_must_be_loopback(listen, host, status):
    async with listen("127.0.0.1:0") as client:
        endpoint = client.endpoint
        assert await status_for(host, (endpoint.host, endpoint.port)) == status


async def test_host_at_a_socket_may_be_any(listen, tmp_path):
    async with listen(f"unix:{tmp_path}/s.sock"):
        assert await status_for("example.com", tmp_path / "s.sock") == 200


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
@pytest.mark.parametrize("uids", [None, ()])
async def test_port_that_every_user_can_reach_is_warned_about(listen, tmp_path, scheme, uids):
    endpoint = "127.0.0.1:0" if scheme == "tcp" else f"unix:{tmp_path}/s.sock"
    with capture_logs() as logs:
        async with listen(endpoint, local_access=LocalAccess(uids=uids)):
            pass
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    expected = "every client that can reach this address controls its zones"
    assert (expected in warnings) == (scheme == "tcp" and uids is None)


async def test_another_user_may_not_connect_to_the_port(listen, monkeypatch):
    monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: OTHER)
    async with listen("127.0.0.1:0") as client:
        assert (await client.request("GET", "/zones")).status == 403
    async with listen("127.0.0.1:0", local_access=LocalAccess(uids=[OTHER])) as client:
        assert (await client.request("GET", "/zones")).status in (200, 503)


async def test_requests_in_progress_have_ten_seconds_at_the_end(runtime, tmp_path, monkeypatch):
    options = {}

    @asynccontextmanager
    async def serving(listen, _router, **given):
        options.update(given)
        yield listen

    monkeypatch.setattr(_service, "serving", serving)
    settings = quick_settings(cri=runtime.endpoint, log_dir=tmp_path / "logs")
    async with sidecar_service(Endpoint.unix(f"{tmp_path}/s.sock"), settings):
        pass
    assert options == {"local_access": LocalAccess(mode=0o600, uids=()), "drain_seconds": 10.0}


def test_module_runs_the_command(monkeypatch):
    called = []
    monkeypatch.setattr("kakuri_sidecar._cli.main", lambda: called.append(True))
    runpy.run_module("kakuri_sidecar.__main__", run_name="__main__")
    assert called == [True]


# The channel to the runtime


def test_channel_reconnects_like_the_kubelet_and_repeats_no_call(monkeypatch):
    made = {}

    def insecure_channel(target, *, options):
        made[target] = dict(options)

    monkeypatch.setattr(grpc.aio, "insecure_channel", insecure_channel)
    GrpcioChannel("unix:/run/a.sock")
    assert made["unix:/run/a.sock"] == {
        "grpc.default_authority": "localhost",
        "grpc.max_receive_message_length": MAX_RECEIVED,
        "grpc.max_metadata_size": MAX_METADATA_RECEIVED,
        "grpc.absolute_max_metadata_size": MAX_METADATA_RECEIVED,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 3000,
        "grpc.min_reconnect_backoff_ms": 5000,
        "grpc.enable_retries": 0,
        "grpc.use_local_subchannel_pool": 1,
        "grpc.enable_http_proxy": 0,
    }
    GrpcioChannel(Endpoint.unix("/run/b.sock"), max_received=7)
    assert made["unix:/run/b.sock"]["grpc.max_receive_message_length"] == 7

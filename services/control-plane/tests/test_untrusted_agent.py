"""Another user who listens in the agent's place is given nothing."""

import asyncio
import json
import os
from contextlib import asynccontextmanager

import pytest
from kakuri_control_plane._cli import control_plane_service
from kakuri_tcp import Endpoint, _trusted_servers

from .fake_agent import CheckedClient

ANY_PORT = Endpoint.parse("127.0.0.1:0")
OTHER = os.geteuid() + 12345
SECRET = (
    b'{"id":"x","image":"a","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1,'
    b'"env":{"DB_PASSWORD":"hunter2"}}'
)


@asynccontextmanager
async def squatter_on(kind, tmp_path, received):
    """Listen in the agent's place, on a Unix socket or a port."""

    async def squat(reader, writer):
        received.append(await reader.read(65536))
        writer.close()

    if kind == "unix":
        agent = Endpoint.unix(f"{tmp_path}/agent.sock")
        server = await asyncio.start_unix_server(squat, agent.path)
    else:
        server = await asyncio.start_server(squat, "127.0.0.1", 0)
        agent = Endpoint.parse(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield agent


@asynccontextmanager
async def answer_of(tmp_path, monkeypatch, kind, agent_uid):
    """Submit a workload to an agent of OTHER; yield the response and what that user received."""
    received = []
    monkeypatch.setattr(_trusted_servers, "unix_credentials", lambda connected: (1, OTHER, OTHER))
    monkeypatch.setattr(_trusted_servers, "server_user", lambda connected: OTHER)
    async with (
        squatter_on(kind, tmp_path, received) as agent,
        control_plane_service(ANY_PORT, agent, agent_uid=agent_uid) as endpoint,
        CheckedClient(endpoint) as client,
    ):
        yield await client.request("POST", "/workloads", body=SECRET), received


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("agent_uid", [None, OTHER + 1])
async def test_workload_is_not_sent_to_an_agent_of_another_user(
    tmp_path, monkeypatch, kind, agent_uid
):
    async with answer_of(tmp_path, monkeypatch, kind, agent_uid) as (answer, received):
        assert answer.status == 503
        problem = json.loads(answer.body)
        assert problem["code"] == "agent_unreachable"
        assert f"user {OTHER} listens there" in problem["detail"]
    assert not any(received)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_workload_is_sent_to_the_agent_of_the_user_that_an_option_names(
    tmp_path, monkeypatch, kind
):
    async with answer_of(tmp_path, monkeypatch, kind, OTHER) as (_, received):
        assert any(b"hunter2" in each for each in received)

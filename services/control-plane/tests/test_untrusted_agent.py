"""Another user who listens in the agent's place is given nothing."""

import asyncio
import json
import os

from kakuri_control_plane._cli import control_plane_service
from kakuri_tcp import Credentials, Endpoint
from kakuri_tcp import _peers as peers

from .fake_agent import CheckedClient

SECRET = (
    b'{"id":"x","image":"a","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1,'
    b'"env":{"DB_PASSWORD":"hunter2"}}'
)


async def test_workload_is_not_sent_to_an_agent_of_another_user(tmp_path, monkeypatch):
    received = []

    async def squat(reader, writer):
        received.append(await reader.read(65536))
        writer.close()

    other = os.geteuid() + 12345
    monkeypatch.setattr(peers, "credentials_of", lambda connected: Credentials(1, other, other))
    agent = Endpoint.unix(f"{tmp_path}/agent.sock")
    squatter = await asyncio.start_unix_server(squat, agent.path)
    async with (
        squatter,
        control_plane_service(Endpoint.parse("127.0.0.1:0"), agent) as endpoint,
        CheckedClient(endpoint) as client,
    ):
        answer = await client.request("POST", "/workloads", body=SECRET)
    assert answer.status == 503
    problem = json.loads(answer.body)
    assert problem["code"] == "agent_unreachable"
    assert f"user {other} listens there" in problem["detail"]
    assert not any(received)

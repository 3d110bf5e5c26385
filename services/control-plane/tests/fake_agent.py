"""A control plane over a real socket, with an agent that replies what each test wants."""

import json
from contextlib import asynccontextmanager

from kakuri_control_plane import control_plane_service
from kakuri_http import Client
from kakuri_rpc import serve
from kakuri_tcp import Endpoint

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOAD = {
    "id": "wl-1",
    "image": "nginx:latest",
    "runtime_class": "edera-zone",
    "memory_mb": 512,
    "cpu_millicores": 500,
}


class Api:
    """Calls the control plane and keeps what the agent was asked."""

    def __init__(self, client, endpoint, asked):
        self.client, self.endpoint, self.asked = client, endpoint, asked

    async def __call__(self, method, path, document=None, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.request(
            method,
            f"http://{self.endpoint}{path}",
            body=b"" if document is None else body,
            headers=fields,
        )
        return response.status, json.loads(response.body), response.headers


@asynccontextmanager
async def api(reply, *, allowed_hosts=()):
    """Start a control plane whose agent replies with `reply`, or with what it returns."""
    asked = []

    def answer(request):
        asked.append(request)
        return reply(request) if callable(reply) else reply

    async with (
        await serve(ANY_PORT, answer) as agent,
        control_plane_service(ANY_PORT, agent.endpoint, 5.0, allowed_hosts) as endpoint,
        Client() as client,
    ):
        yield Api(client, endpoint, asked)

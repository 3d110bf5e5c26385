"""A control plane over a real socket, with an agent that replies what each test wants."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

from kakuri_control_plane import control_plane_service
from kakuri_http import Client
from kakuri_rpc import serve
from kakuri_tcp import Endpoint

from tests.openapi.checker import check_response

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOAD = {
    "id": "wl-1",
    "image": "nginx:latest",
    "runtime_class": "edera-zone",
    "memory_mb": 512,
    "cpu_millicores": 500,
}


class CheckedClient(Client):
    """A client of a control plane that compares each response with the API's document."""

    async def request(self, method, url, **options):
        response = await super().request(method, url, **options)
        check_response(method, url, response.status, dict(response.headers), response.body)
        return response


class Api:
    """Calls the control plane, and records the requests that its agent gets, with their traces."""

    def __init__(self, client, endpoint, asked, traces=(), *, is_possible=True):
        self.client, self.endpoint = client, endpoint
        self.asked, self.traces = asked, traces
        self.is_possible = is_possible

    async def __call__(self, method, path, document=None, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.request(
            method,
            f"http://{self.endpoint}{path}",
            body=b"" if document is None else body,
            headers=fields,
        )
        if self.is_possible:
            check_response(method, path, response.status, dict(response.headers), response.body)
        return response.status, json.loads(response.body), response.headers


@asynccontextmanager
async def api(reply, *, allowed_hosts=(), is_possible=True):
    """Start a control plane whose agent replies with `reply`, or with what it returns.

    Args:
        reply: A reply, or a function that makes one of a request.
        allowed_hosts: Names of the control plane.
        is_possible: Whether a real agent can give these replies. If so, the responses have to
            comply with the OpenAPI document.
    """
    asked, traces = [], []

    def answer(request):
        trace = getattr(request, "trace", None)
        traces.append(trace)
        asked.append(request if trace is None else replace(request, trace=None))
        return reply(request) if callable(reply) else reply

    async with (
        await serve(ANY_PORT, answer) as agent,
        control_plane_service(ANY_PORT, agent.endpoint, 5.0, allowed_hosts) as endpoint,
        Client() as client,
    ):
        yield Api(client, endpoint, asked, traces, is_possible=is_possible)

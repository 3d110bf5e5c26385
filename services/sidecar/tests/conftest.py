from contextlib import asynccontextmanager
from dataclasses import dataclass

import kakuri_json
import pytest
from kakuri_cri.testing import FakeCri
from kakuri_http import Client, Timeouts
from kakuri_sidecar import sidecar_service
from kakuri_tcp import Endpoint
from kakuri_workload import ZoneEvent, ZoneStatus
from kakuri_workload.testing import zone_spec
from kakuri_zones.testing import ZoneWaiter, quick_settings


@dataclass
class Problem:
    status: int
    code: str
    detail: str
    errors: list


class Sidecar(ZoneWaiter):
    """A sidecar and a client of it."""

    def __init__(self, client, settings):
        self.client = client
        self.settings = settings

    @staticmethod
    def spec(zone="z", image="app:1", **fields):
        return zone_spec(zone, **{"image": image, "memory_mb": 64, **fields})

    async def request(self, method, path, body=b"", **headers):
        return await self.client.request(method, path, body=body, headers=headers)

    async def get(self, path):
        return await self.request("GET", path)

    async def post(self, zone="z", image="app:1", **fields):
        """Start a zone; return the status code and the zone's status, or the problem."""
        spec = self.spec(zone, image, **fields)
        answer = await self.request("POST", "/zones", kakuri_json.encode(spec))
        if answer.status in (200, 201):
            return answer.status, kakuri_json.decode(answer.body, type=ZoneStatus)
        return self.problem(answer)

    async def stop(self, zone="z", grace=1):
        answer = await self.request("POST", f"/zones/{zone}/stop?grace_seconds={grace}")
        if answer.status == 200:
            return kakuri_json.decode(answer.body, type=ZoneStatus)
        return self.problem(answer)

    async def delete(self, zone="z", grace=0):
        answer = await self.request("DELETE", f"/zones/{zone}?grace_seconds={grace}")
        return 204 if answer.status == 204 else self.problem(answer)

    async def zone(self, zone="z"):
        """Return a zone's status from the list, without a call to the runtime."""
        answer = await self.get("/zones")
        if answer.status != 200:  # not listed yet, but a start may be in progress
            answer = await self.get(f"/zones/{zone}")
            assert answer.status in (200, 404), answer.body
            return (
                kakuri_json.decode(answer.body, type=ZoneStatus) if answer.status == 200 else None
            )
        zones = kakuri_json.loads(answer.body)["zones"]
        found = [each for each in zones if each["id"] == zone]
        return kakuri_json.convert(found[0], type=ZoneStatus) if found else None

    async def spec_of(self, zone="z"):
        """Return the spec of a zone, which only the answer for that zone has."""
        answer = await self.get(f"/zones/{zone}")
        assert answer.status == 200, answer.body
        return kakuri_json.decode(answer.body, type=ZoneStatus).spec

    async def events(self):
        async with self.client.stream("GET", "/zones?watch") as response:
            assert response.status == 200
            rest = b""
            async for piece in response:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield kakuri_json.decode(line, type=ZoneEvent)

    @staticmethod
    def problem(answer):
        document = kakuri_json.loads(answer.body)
        return Problem(
            answer.status, document["code"], document.get("detail", ""), document.get("errors", [])
        )


@pytest.fixture
async def runtime():
    async with FakeCri() as fake:
        yield fake


@pytest.fixture
def run(runtime, tmp_path):
    """Return a context manager that runs a sidecar in front of the runtime."""

    @asynccontextmanager
    async def start(*, is_seen=True, **changes):
        settings = quick_settings(
            **{"cri": runtime.endpoint, "log_dir": tmp_path / "logs", **changes}
        )
        listen = Endpoint.unix(str(runtime.path.with_name("sidecar.sock")))
        async with (
            sidecar_service(listen, settings, drain=1.0) as endpoint,
            Client(endpoint, timeouts=Timeouts(total=30)) as client,
        ):
            sidecar = Sidecar(client, settings)
            if is_seen:
                await sidecar.until_listed()
            yield sidecar

    return start


@pytest.fixture
async def sidecar(run):
    async with run() as started:
        yield started

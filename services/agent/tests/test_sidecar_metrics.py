"""The metrics of zones, as an agent gets them from a sidecar."""

import pytest
from kakuri_agent import RuntimeFault, SidecarZones, ZoneRuntime
from kakuri_agent.runtimes import _sidecar_metrics
from kakuri_http import Response, Router, problem, serve
from kakuri_json import encode
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import MetricFamily, gauge

USAGE = gauge("kakuri_zone_memory_bytes", "Memory.", {("a",): 1.0, ("b",): 2.0}, ("workload",))
CALLS = MetricFamily.of("kakuri_calls", "counter", "Calls.", (), [])


def lines(*families):
    return b"".join(encode(family) + b"\n" for family in families)


@pytest.fixture
async def sidecar(tmp_path):
    """Return a function that starts a sidecar with one response, and returns its zones."""
    opened = []

    async def start(response):
        async def answer(_request):
            return response

        router = Router()
        router.add("GET", "/metrics", answer)
        endpoint = Endpoint.parse(f"unix:{tmp_path / 's.sock'}")
        zones = SidecarZones(endpoint)
        opened.extend([zones, await serve(endpoint, router)])
        return zones

    yield start
    for each in opened:
        await each.close()


async def test_families_of_a_sidecar_arrive_as_they_are(sidecar):
    zones = await sidecar(Response(200, lines(USAGE, CALLS)))
    assert await zones.metrics() == [USAGE, CALLS]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (problem(404, code="not_found", detail="nothing"), "the sidecar answered 404"),
        (Response(200, b"[]\n"), "the sidecar's metrics: "),
        (Response(200, b"{" * 2**20 + b"\n"), "the sidecar's metrics: "),
        (
            Response(200, lines(MetricFamily("kakuri_a", "gauge", "", ("x",), (["1"],), []))),
            "the sidecar's metrics: kakuri_a: expected columns of 0 values",
        ),
    ],
)
async def test_answer_that_is_not_metrics_is_a_fault(sidecar, response, message):
    zones = await sidecar(response)
    with pytest.raises(RuntimeFault, match=message):
        await zones.metrics()


async def test_answer_over_the_limit_is_a_fault(sidecar, monkeypatch):
    monkeypatch.setattr(_sidecar_metrics, "MAX_BYTES", 100)
    zones = await sidecar(Response(200, lines(USAGE, USAGE)))
    with pytest.raises(RuntimeFault, match="more than 100 bytes"):
        await zones.metrics()


async def test_unreachable_sidecar_leaves_only_the_metric_of_the_runtimes_availability(tmp_path):
    runtime = ZoneRuntime(SidecarZones(Endpoint.parse(f"unix:{tmp_path / 'none.sock'}")))
    (family,) = await runtime.metrics()
    assert (family.name, family.values) == ("kakuri_runtime_available", [0.0])
    await runtime.close()


async def test_slow_sidecar_leaves_only_the_metric_of_the_runtimes_availability(
    sidecar, monkeypatch
):
    monkeypatch.setattr("kakuri_agent.runtimes._zone_runtime.METRICS_SECONDS", 0)
    runtime = ZoneRuntime(await sidecar(Response(200, lines(USAGE))))
    assert [family.name for family in await runtime.metrics()] == ["kakuri_runtime_available"]
    await runtime.close()

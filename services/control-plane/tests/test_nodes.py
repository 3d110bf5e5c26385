import pytest
from kakuri_control_plane import control_plane_service
from kakuri_http import Client
from kakuri_rpc import DescribeNode, Node, _call_metrics, serve
from kakuri_tcp import Endpoint

from .fake_agent import ANY_PORT, Api, api

FULL = Node(
    "0.1.0",
    "sidecar",
    simulated=False,
    workloads=2,
    memory_mb=2048,
    memory_mb_used=512,
    cpu_millicores=2000,
    cpu_millicores_used=500,
    runtime_handlers={"edera-zone": "edera"},
    name="n1.example",
    store="sqlite",
    started_at=1795453445.0,
    event_index=4181,
    store_id="5f0c" * 8,
)


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(_call_metrics.time, "time", lambda: 1795453446.0)


async def test_node_has_everything_that_its_agent_reports(now):
    async with api(FULL) as call:
        status, body, _ = await call("GET", "/nodes")
        (node,) = body["nodes"]
        assert (status, call.asked) == (200, [DescribeNode()])
        assert list(node.items()) == [
            ("name", "n1.example"),
            ("state", "ready"),
            ("version", "0.1.0"),
            ("runtime", "sidecar"),
            ("simulated", False),
            ("runtime_available", True),
            ("workloads", 2),
            ("handlers", {"edera-zone": "edera"}),
            ("memory_mb", 2048),
            ("memory_mb_used", 512),
            ("cpu_millicores", 2000),
            ("cpu_millicores_used", 500),
            ("store", "sqlite"),
            ("started_at", "2026-11-23T17:04:05.000000Z"),
            ("event_index", 4181),
            ("last_heard", "2026-11-23T17:04:06.000000Z"),
            ("store_id", "5f0c" * 8),
        ]
        assert (await call("GET", "/nodes/n1.example"))[:2] == (200, node)


async def test_node_without_its_runtime_is_unavailable_with_the_reason():
    node = Node(
        "1", "cri", simulated=False, workloads=0, runtime_available=False, message="refused"
    )
    async with api(node) as call:
        _, body, _ = await call("GET", "/nodes")
        (view,) = body["nodes"]
        assert (view["state"], view["runtime_available"], view["message"], view["name"]) == (
            "unavailable", False, "refused", "node",
        )  # fmt: skip


async def test_simulated_node_is_ready_and_has_reason_and_message():
    message = "nothing really runs: the runtime is simulated"
    node = Node("1", "simulated", True, 0, message=message, reason="Simulated")
    async with api(node) as call:
        _, body, _ = await call("GET", "/nodes/node")
        assert (body["simulated"], body["state"]) == (True, "ready")
        assert (body["reason"], body["message"]) == ("Simulated", message)


@pytest.mark.parametrize("name", ["other", "N1.example", "n1.example."])
async def test_unknown_node_is_404(name):
    async with api(FULL) as call:
        status, body, _ = await call("GET", f"/nodes/{name}")
        assert (status, body["detail"]) == (404, f"no node '{name}'")


@pytest.mark.parametrize("name", ["a%20b", "a%2Fb", "x" * 254])
async def test_name_that_no_node_can_have_is_404_without_a_request_to_the_agent(name):
    async with api(FULL) as call:
        assert (await call("GET", f"/nodes/{name}"))[0] == 404
        assert call.asked == []


async def test_node_whose_agent_is_lost_is_unavailable_and_keeps_what_it_reported(now):
    async with Client() as client:
        agent = await serve(ANY_PORT, lambda _request: FULL)
        async with control_plane_service(ANY_PORT, agent.endpoint) as endpoint:
            call = Api(client, endpoint, [])
            ready = (await call("GET", "/nodes/n1.example"))[1]
            await agent.close()
            status, lost, _ = await call("GET", "/nodes/n1.example")
            assert (status, lost["state"]) == (200, "unavailable")
            assert str(agent.endpoint) in lost.pop("message")
            assert lost == ready | {"state": "unavailable", "reason": "AgentUnreachable"}
            assert (await call("GET", "/nodes"))[1]["nodes"][0]["state"] == "unavailable"


async def test_nodes_are_503_before_the_agent_has_ever_answered():
    no_agent = Endpoint.parse("127.0.0.1:1")
    async with control_plane_service(ANY_PORT, no_agent) as endpoint, Client() as client:
        for path in ("/nodes", "/nodes/n1"):
            status, body, _ = await Api(client, endpoint, [])("GET", path)
            assert (status, body["code"]) == (503, "agent_unreachable")

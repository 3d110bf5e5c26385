import asyncio
import json
import stat
from contextlib import AsyncExitStack

import pytest
from kakuri_cri.testing import FakeImage
from kakuri_http import Client
from kakuri_json import decode, encode
from kakuri_sidecar._api import LINE_BYTES, LINE_SAMPLES, _lines
from kakuri_tcp import Endpoint, ListenFailed
from kakuri_tcp.testing import until
from kakuri_workload import ZoneSpec
from kakuri_workload.metrics import MetricFamily, MetricSample
from kakuri_zones import NodeLocked
from kakuri_zones._labels import spec_hash

WORKLOAD = {
    "id": "z",
    "image": "app:1",
    "runtime_class": "edera-zone",
    "memory_mb": 64,
    "cpu_millicores": 500,
}
SPEC = {"workload": WORKLOAD}


async def test_start_of_the_contracts_example_returns_the_contracts_answer(runtime, sidecar):
    answer = await sidecar.request("POST", "/zones", json.dumps(SPEC).encode())
    document = json.loads(answer.body)
    assert answer.status == 201
    assert answer.headers.get("location") == "/zones/z"
    assert answer.headers.get("content-type") == "application/json"
    started_at = document.pop("started_at")
    assert isinstance(started_at, float)
    assert document == {
        "id": "z",
        "state": "running",
        "pod_sandbox_id": runtime.sandbox("z").id,
        "container_id": runtime.container("z").id,
        "address": runtime.sandbox("z").ip,
        "spec_hash": spec_hash(decode(json.dumps(SPEC), type=ZoneSpec)),
        "image_digest": document["image_digest"],
    }
    assert document["image_digest"].startswith("sha256:")
    document["started_at"] = started_at
    listed = await sidecar.get("/zones")
    assert (listed.status, json.loads(listed.body)) == (200, {"zones": [document]})
    assert listed.headers.get("content-type") == "application/json"
    alone = await sidecar.get("/zones/z")
    assert (alone.status, json.loads(alone.body)) == (200, {**document, "spec": SPEC})


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({"id": "z", "image": "app:1"}, ["memory_mb", "cpu_millicores"]),
        ({**WORKLOAD, "privileged": True}, ["privileged"]),
        ({**WORKLOAD, "runtime_class": "runc"}, ["runtime_class"]),
        ({**WORKLOAD, "id": "../z", "memory_mb": 0}, ["id", "memory_mb"]),
        ({**WORKLOAD, "labels": {"kakuri.dev/workload-id": "x"}}, ["labels"]),
    ],
)
async def test_all_faults_of_a_document_are_reported(runtime, sidecar, document, paths):
    document = {"workload": {"runtime_class": "edera-zone", **document}}
    paths = [f"$.workload.{path}" for path in paths]
    answer = await sidecar.request("POST", "/zones", json.dumps(document).encode())
    problem = sidecar.problem(answer)
    assert (problem.status, problem.code) == (400, "bad_request")
    reported = [each["path"] for each in problem.errors]
    assert len(reported) == len(paths)
    assert all(any(each.startswith(path) for each in reported) for path in paths)
    assert runtime.calls.of("RunPodSandbox") == []


@pytest.mark.parametrize("document", [[], {}, {"attempt": 1}, {**SPEC, "id": "z"}])
async def test_document_that_is_not_a_spec_is_400(runtime, sidecar, document):
    problem = sidecar.problem(
        await sidecar.request("POST", "/zones", json.dumps(document).encode())
    )
    assert (problem.status, problem.code) == (400, "bad_request")
    assert runtime.calls.of("RunPodSandbox") == []


async def test_start_in_the_spelling_of_the_release_before_is_the_same_zone(sidecar):
    earlier = {name: value for name, value in WORKLOAD.items() if name != "runtime_class"}
    first = await sidecar.request("POST", "/zones", json.dumps({**earlier, "attempt": 3}).encode())
    again = await sidecar.request("POST", "/zones", json.dumps({**SPEC, "attempt": 3}).encode())
    assert (first.status, again.status) == (201, 200)
    alone = json.loads((await sidecar.get("/zones/z")).body)
    assert alone["spec"] == {**SPEC, "attempt": 3}


async def test_body_that_is_not_valid_json_is_400(sidecar):
    problem = sidecar.problem(await sidecar.request("POST", "/zones", b"{"))
    assert (problem.status, problem.code) == (400, "bad_request")
    assert "\n" not in problem.detail


async def test_oversized_document_is_413(sidecar):
    document = json.dumps({"workload": {**WORKLOAD, "args": ["x" * 300_000]}}).encode()
    assert (await sidecar.request("POST", "/zones", document)).status == 413


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/zones/nope", 404),
        ("GET", "/zones/NO", 404),
        ("GET", "/zones?what=1", 400),
        ("GET", "/zones?watch=maybe", 400),
        ("GET", "/zones?watch&watch", 400),
        ("GET", "/zones/z?x", 400),
        ("POST", "/zones?x", 400),
        ("POST", "/zones/z/stop?grace_seconds=-1", 400),
        ("POST", "/zones/z/stop?grace_seconds=3601", 400),
        ("POST", "/zones/z/stop?grace_seconds=soon", 400),
        ("POST", "/zones/nope/stop?grace_seconds=3600", 404),
        ("POST", "/zones/nope/stop?grace_seconds=0", 404),
        ("DELETE", "/zones/nope?grace_seconds=3600", 204),
        ("DELETE", "/zones/nope?grace_seconds=3601", 400),
        ("POST", "/zones/nope/stop", 404),
        ("DELETE", "/zones/z?grace=1", 400),
        ("DELETE", "/zones/NO", 404),
        ("DELETE", "/zones/nope", 204),
        ("DELETE", "/zones/nope?receipt", 200),
        ("DELETE", "/zones/nope?receipt=maybe", 400),
        ("PUT", "/zones/z", 405),
        ("GET", "/healthz?x", 400),
    ],
)
async def test_invalid_request_has_its_status(sidecar, method, target, status):
    assert (await sidecar.request(method, target)).status == status


async def test_image_is_checked_and_not_pulled(runtime, sidecar):
    missing = await sidecar.get("/image?image=app:1")
    assert (missing.status, missing.body) == (200, b'{"state":"pull"}')
    assert (await sidecar.get("/image?image=app:1&pull=never")).body == b'{"state":"missing"}'
    runtime.images.set("app:1", FakeImage(state="present"))
    present = json.loads((await sidecar.get("/image?image=app:1")).body)
    assert present["state"] == "present"
    assert present["digest"].startswith("sha256:")
    assert runtime.calls.of("PullImage") == []


@pytest.mark.parametrize("query", ["", "?image=", "?image=A%20B", "?image=app:1&pull=x"])
async def test_check_of_an_invalid_image_is_400(sidecar, query):
    response = await sidecar.request("GET", f"/image{query}")
    assert response.status == 400
    assert json.loads(response.body)["errors"][0]["path"].startswith("query.")


async def test_grace_period_is_ten_seconds_by_default(runtime, sidecar):
    await sidecar.post()
    assert (await sidecar.request("POST", "/zones/z/stop")).status == 200
    assert runtime.calls.of("StopContainer")[0].request.timeout == 10


async def test_removal_with_a_receipt_reports_what_was_removed_and_how_that_was_checked(
    runtime, sidecar
):
    _, zone = await sidecar.post()
    answer = await sidecar.request("DELETE", "/zones/z?grace_seconds=0&receipt")
    assert answer.status == 200
    receipt = json.loads(answer.body)
    assert receipt == {
        "zone": zone.pod_sandbox_id,
        "container": zone.container_id,
        "log_bytes": 0,
        "verified_by": "list",
    }
    assert runtime.sandboxes == []
    again = await sidecar.request("DELETE", "/zones/z?receipt")
    assert json.loads(again.body) == {"log_bytes": 0, "verified_by": "list"}


async def test_503_has_retry_after(runtime, sidecar):
    await runtime.crash()
    answer = await sidecar.request("POST", "/zones", json.dumps(SPEC).encode())
    assert answer.status == 503
    assert answer.headers.get("retry-after") == "1"


async def test_socket_has_mode_0600(runtime, sidecar):
    socket = runtime.path.with_name("sidecar.sock")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


async def test_second_sidecar_does_not_take_the_socket_of_the_first(run, sidecar, tmp_path):
    with pytest.raises(ListenFailed):
        async with run(log_dir=tmp_path / "other"):
            pass


async def test_second_sidecar_with_the_same_log_directory_raises_node_locked(run, sidecar):
    with pytest.raises(NodeLocked, match="another process manages the zones with logs in"):
        async with run():
            pass


async def test_streams_end_with_the_sidecar(runtime, run):
    listen = Endpoint.unix(str(runtime.path.with_name("sidecar.sock")))
    async with Client(listen) as client, AsyncExitStack() as stack:
        async with run():
            response = await stack.enter_async_context(client.stream("GET", "/zones?watch"))
            pieces = aiter(response)
            await anext(pieces)
        async for _ in pieces:
            pass  # ends without an error


async def test_all_watchers_receive_the_same_events(runtime, sidecar):
    async def first_running():
        async for event in sidecar.events():
            if type(event).__name__ == "ZoneChanged" and event.zone.state.value == "running":
                return event.zone
        raise AssertionError("the stream of events ended")

    watching = [asyncio.create_task(first_running()) for _ in range(5)]
    _, zone = await sidecar.post()
    assert await asyncio.gather(*watching) == [zone] * 5


# Agents


@pytest.fixture
def take_over(sidecar):
    """Return a function that opens the stream of events as an agent, and closes it again."""

    async def open_stream(agent):
        watching = sidecar.client.stream("GET", "/zones?watch", headers={"Kakuri-Agent": agent})
        async with watching as response:
            assert response.status == 200

    return open_stream


async def test_requests_of_an_earlier_agent_are_409(runtime, sidecar, take_over):
    await take_over("one")
    body = encode(sidecar.spec())
    answer = await sidecar.request("POST", "/zones", body, **{"Kakuri-Agent": "one"})
    assert answer.status == 201
    await take_over("two")
    for method, path in (
        ("POST", "/zones"), ("POST", "/zones/z/stop"), ("DELETE", "/zones/z"),
    ):  # fmt: skip
        answer = await sidecar.request(method, path, body, **{"Kakuri-Agent": "one"})
        assert (answer.status, json.loads(answer.body)["code"]) == (409, "stale_agent")
    assert runtime.container("z").is_running
    assert await sidecar.delete() == 204  # a client without an agent's id is always accepted


async def test_start_waiting_for_a_removal_is_409_after_a_later_agent_has_started(
    runtime, sidecar, take_over
):
    await take_over("one")
    await sidecar.post()
    runtime.faults.set("RemovePodSandbox", "delay(300)")
    removal = asyncio.ensure_future(sidecar.delete())
    await until(lambda: runtime.calls.of("RemovePodSandbox"))
    body = encode(sidecar.spec())
    start = asyncio.ensure_future(
        sidecar.request("POST", "/zones", body, **{"Kakuri-Agent": "one"})
    )
    await asyncio.sleep(0.05)
    await take_over("two")
    assert await removal == 204
    assert (await start).status == 409
    assert not runtime.containers


# Health


async def test_health_has_the_runtimes_names_and_versions(runtime, sidecar):
    answer = await sidecar.get("/healthz")
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "status": "ok",
        "runtime": {"name": "fake", "version": "1.2.3", "api_version": "v1"},
        "conditions": [
            {"type": "RuntimeReady", "status": True},
            {"type": "NetworkReady", "status": True},
        ],
        "handlers": ["", "edera"],
        "optional": {
            "events": None,  # it has reported none so far
            "runtime_config": True,
            "reopen_container_log": True,
            "image_fs_info": True,
        },
    }


async def test_health_lists_the_calls_that_the_runtime_lacks(runtime, run):
    missing = {"GetContainerEvents", "RuntimeConfig", "ReopenContainerLog", "ImageFsInfo"}
    runtime.unimplemented |= missing
    async with run() as sidecar:
        await until(lambda: not runtime.listeners)
        await sidecar.post()
        answer = json.loads((await sidecar.get("/healthz")).body)
        assert set(answer["optional"].values()) == {False}
        assert answer["status"] == "ok"


@pytest.mark.parametrize("condition", ["RuntimeReady", "NetworkReady"])
async def test_health_of_a_runtime_that_is_not_ready_is_503(runtime, sidecar, condition):
    runtime.node.conditions[condition] = False
    answer = await sidecar.get("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body)["message"].startswith(condition)


async def test_health_shows_only_printable_text_of_the_runtime(runtime, sidecar):
    runtime.node.handlers = ["", "edera", "\x1b[2J\x9b\u202e"]
    answer = await sidecar.get("/healthz")
    assert json.loads(answer.body)["handlers"] == ["", "\\x1b[2J\\x9b\\u202e", "edera"]


async def test_health_of_a_runtime_without_a_configured_handler_is_503(runtime, sidecar):
    runtime.node.handlers = ["", "runc"]
    answer = await sidecar.get("/healthz")
    assert answer.status == 503
    assert "'edera'" in json.loads(answer.body)["message"]
    runtime.node.lists_handlers = False
    assert (await sidecar.get("/healthz")).status == 200


async def test_health_of_a_runtime_that_is_down_is_503(runtime, sidecar):
    await runtime.crash()
    answer = await sidecar.get("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body)["status"] == "unavailable"


async def test_metrics_are_a_family_in_each_line(runtime, sidecar, monkeypatch):
    monkeypatch.setattr("kakuri_zones._stats.WAIT_SECONDS", 60)
    await sidecar.post("z")
    runtime.container("z").memory_bytes = 4096
    answer = await sidecar.get("/metrics")
    assert answer.status == 200
    assert answer.headers.get("content-type") == "application/x-ndjson"
    families = [decode(line, type=MetricFamily) for line in answer.body.splitlines()]
    found = {family.name: family for family in families}
    assert found["kakuri_zone_memory_working_set_bytes"].samples == (MetricSample(("z",), 4096),)
    assert found["kakuri_build_info"].columns[0] == ["sidecar"]
    assert "RunPodSandbox" in found["kakuri_cri_request_duration_seconds"].columns[0]


async def test_line_of_metrics_has_at_most_1000_series_and_512_kib():
    labels = [f"{number:04}" for number in range(1001)]
    many = MetricFamily("many", "gauge", "", ("id",), (labels,), [1.0] * 1001)
    large = MetricFamily("large", "gauge", "", ("id",), (["x" * 512] * 1000,), [1.0] * 1000)
    lines = [line async for line in _lines([many, large])]
    assert [len(decode(line, type=MetricFamily)) for line in lines[:2]] == [1000, 1]
    assert max(map(len, lines)) <= 524_288
    assert sum(len(decode(line, type=MetricFamily)) for line in lines[2:]) == 1000
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert (LINE_SAMPLES, LINE_BYTES) == (1000, 512 * 1024)

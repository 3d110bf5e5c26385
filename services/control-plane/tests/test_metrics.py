"""`GET /metrics`: what is counted, what is asked of the agent, and the text of both formats."""

import asyncio
import random
import string
from contextlib import aclosing, asynccontextmanager

import pytest
from kakuri_control_plane import _metrics, control_plane_service
from kakuri_control_plane._api import Api as ControlPlane
from kakuri_control_plane._exposition import CONTENT_TYPES, OPENMETRICS, TEXT, Exposition
from kakuri_control_plane._metrics import TooManyScrapes
from kakuri_control_plane._worker_metrics import WorkerMetrics
from kakuri_daemon import WorkerPeers
from kakuri_daemon.api import HTTPMetrics
from kakuri_http import AccessEntry, Client, Headers, Request, Response, Route, Router
from kakuri_http import serve as serve_http
from kakuri_rpc import (
    AgentClient,
    DescribeNode,
    ErrorCode,
    ErrorReply,
    Metrics,
    Node,
    ReadMetrics,
    State,
    Status,
    serve,
)
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import MetricFamily, MetricSample, counter, gauge
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from .fake_agent import ANY_PORT, WORKLOAD, Api

NODE = Node("0.1.0", "sidecar", simulated=False, workloads=2, name="n1")
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


class Agent:
    """An agent with pages of metrics."""

    def __init__(self, *pages):
        self.pages = pages
        self.node = NODE

    def __call__(self, request):
        match request:
            case DescribeNode():
                return self.node
            case ReadMetrics(after=after):
                place = int(after or 0)
                following = str(place + 1) if place + 1 < len(self.pages) else None
                return Metrics(list(self.pages[place]), following)
            case _:
                return Status(getattr(request, "id", "wl-1"), State.RUNNING)


class Scraped:
    """A control plane whose metrics are read."""

    def __init__(self, client, endpoint, agent):
        self.client, self.endpoint, self.agent = client, endpoint, agent
        self.call = Api(client, endpoint, [])

    async def text(self, accept=None):
        headers = {} if accept is None else {"Accept": accept}
        response = await self.client.get(f"http://{self.endpoint}/metrics", headers=headers)
        assert response.status == 200
        self.content_type = response.headers["content-type"]
        return response.body.decode()

    async def samples(self):
        """Return the value of each series, by its name and its labels."""
        return values(parse_text(await self.text()))


def values(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def series(name, **labels):
    return (name, *sorted(labels.items()))


@asynccontextmanager
async def scraped(agent=None, **options):
    agent = agent or Agent([])
    async with (
        await serve(ANY_PORT, agent) as server,
        control_plane_service(ANY_PORT, server.endpoint, 5.0, **options) as endpoint,
        Client() as client,
    ):
        yield Scraped(client, endpoint, agent)


async def test_requests_are_counted_by_method_route_and_code():
    async with scraped() as plane:
        await plane.call("POST", "/workloads", WORKLOAD)
        await plane.call("GET", "/workloads/wl-1")
        await plane.call("GET", "/workloads/wl-1")
        await plane.call("GET", "/elsewhere")
        found = await plane.samples()
    assert found[series("kakuri_http_requests_total", method="POST", route="/workloads", code="201")] == 1  # fmt: skip
    one = {"method": "GET", "route": "/workloads/:id"}
    assert found[series("kakuri_http_requests_total", **one, code="200")] == 2
    assert found[series("kakuri_http_requests_total", method="GET", route="none", code="404")] == 1
    duration = "kakuri_http_request_duration_seconds"
    assert found[series(f"{duration}_count", **one, status="2xx")] == 2
    assert found[series(f"{duration}_bucket", **one, status="2xx", le="+Inf")] == 2
    assert found[series("kakuri_http_connections")] == 1


async def test_refused_requests_are_counted_by_their_reason():
    async with scraped() as plane:
        for fields in (
            "Host: evil.example",
            "Host: localhost\r\nSec-Fetch-Site: cross-site",
            "Host: localhost\r\nx: " + "y" * 99_999,
        ):
            reader, writer = await asyncio.open_connection(plane.endpoint.host, plane.endpoint.port)
            writer.write(
                f"GET /workloads HTTP/1.1\r\nConnection: close\r\n{fields}\r\n\r\n".encode()
            )
            await reader.read()
            writer.close()
        found = await plane.samples()
    reasons = {key[1][1]: value for key, value in found.items() if key[0].startswith("kakuri_http_rejected")}  # fmt: skip
    assert reasons == {
        "misdirected": 1,
        "cross_site": 1,
        "limit": 1,
        "connection_limit": 0,
        "forbidden_user": 0,
    }


def test_number_of_series_does_not_depend_on_ids_methods_and_paths():
    chance = random.Random(7)

    def word(length=12):
        return "".join(chance.choices(string.ascii_lowercase, k=length))

    requests = [("GET", f"/workloads/{word()}{path}") for path in ["", "/history"] * 4500]
    requests += [("GET", f"/{word(250)}") for _ in range(500)]
    requests += [(word().upper(), f"/workloads/{word()}") for _ in range(500)]
    router, metrics = ControlPlane(AgentClient(ANY_PORT)).router(), HTTPMetrics()
    count = metrics.counting()
    for method, target in requests:
        found = router.resolve(Request(method, target, Headers(), path=target))
        is_route = isinstance(found, Route)
        status, pattern = (200, found.pattern) if is_route else (found.status, "")
        count(AccessEntry("peer", method, target, status, 0, 0.001, complete=True, pattern=pattern))
    families = {family.name: family for family in metrics.families()}
    counted = families["kakuri_http_requests"].samples
    assert sum(each.value for each in counted) == len(requests) == 10_000
    assert sorted(each.labels for each in counted) == [
        ("GET", "/workloads/:id", "200"),
        ("GET", "/workloads/:id/history", "200"),
        ("GET", "none", "404"),
        ("other", "none", "501"),
    ]
    assert len(families["kakuri_http_request_duration_seconds"]) == 4


async def test_series_of_the_node_have_its_name_and_follow_those_of_this_process():
    zones = gauge("kakuri_zone_processes", "Processes.", {("a",): 3.0}, ("workload",))
    memory = gauge("process_resident_memory_bytes", "Memory.", {("agent",): 5.0}, ("component",))
    async with scraped(Agent([zones, memory])) as plane:
        text = await plane.text()
        found = values(parse_text(text))
    assert found[series("kakuri_zone_processes", node="n1", workload="a")] == 3
    name = "process_resident_memory_bytes"
    assert found[series(name, component="agent", node="n1")] == 5
    assert found[series(name, component="control-plane")] > 1 << 20
    assert text.count(f"# TYPE {name} ") == 1
    assert found[series("kakuri_agent_up", node="n1")] == 1


async def test_agent_that_does_not_answer_leaves_the_series_of_this_process():
    async with await serve(ANY_PORT, lambda _: NODE) as server:
        nowhere = server.endpoint
    async with control_plane_service(ANY_PORT, nowhere, 5.0) as endpoint, Client() as client:
        plane = Scraped(client, endpoint, None)
        await plane.samples()
        found = await plane.samples()
    assert found[series("kakuri_agent_up")] == 0
    name = "kakuri_agent_request_duration_seconds_count"
    assert found[series(name, request="DescribeNode", outcome="unreachable")] == 1
    assert found[series("kakuri_agent_requests_in_flight")] == 0
    assert series("kakuri_http_connections") in found


async def test_agent_that_sends_pages_without_end_is_not_up(monkeypatch):
    monkeypatch.setattr(_metrics, "MAX_PAGES", 3)
    page = Metrics([gauge("a", "", 1.0)], "1")
    async with scraped(lambda each: NODE if each == DescribeNode() else page) as plane:
        found = await plane.samples()
    assert found[series("kakuri_agent_up", node="n1")] == 0
    assert series("kakuri_http_connections") in found


async def test_agent_of_an_earlier_version_is_up_without_series_of_its_own():
    reply = ErrorReply(ErrorCode.BAD_REQUEST, "expected one of 'StartWorkload', got 'ReadMetrics'")
    async with scraped(lambda each: NODE if each == DescribeNode() else reply) as plane:
        found = await plane.samples()
    assert found[series("kakuri_agent_up", node="n1")] == 1
    assert not any(key[0] == "kakuri_workloads" for key in found)


async def test_agent_that_takes_too_long_is_not_up(monkeypatch):
    monkeypatch.setattr(_metrics, "SCRAPE_SECONDS", 0.05)
    hangs = asyncio.Event()

    def answer(request):
        return NODE if request == DescribeNode() else hangs.wait()

    async with scraped(answer) as plane:
        assert (await plane.samples())[series("kakuri_agent_up", node="n1")] == 0


async def test_many_pages_become_one_text_in_which_each_series_is_once():
    zones = [
        gauge("kakuri_zone_processes", "P.", {(f"{page}-{each}",): 1.0 for each in range(1000)}, ("workload",))
        for page in range(12)
    ]  # fmt: skip
    async with scraped(Agent(*([each] for each in zones))) as plane:
        text = await plane.text()
        found = values(parse_text(text))
    names = [key for key in found if key[0] == "kakuri_zone_processes"]
    assert len(names) == 12_000
    assert text.count("# TYPE kakuri_zone_processes ") == 1
    assert text.count("kakuri_zone_processes{") == 12_000


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/html,*/*;q=0.8", TEXT),
        ("application/openmetrics-text;q=0.2,text/plain", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        (PROMETHEUS, OPENMETRICS),
    ],
)
async def test_format_is_the_one_that_the_client_prefers(accept, media_type):
    starts = MetricFamily.of(
        "kakuri_start_duration_seconds",
        "histogram",
        "Starts.",
        ("step",),
        [MetricSample(("pull",), 3.5, (1, 2, 0))],
        (0.5, 2.0),
    )
    ends = counter("kakuri_workload_ends", "Ends.", {('say "hi"\\',): 2.0}, ("reason",))
    async with scraped(Agent([starts, ends])) as plane:
        text = await plane.text(accept)
        content_type = plane.content_type
    assert content_type == CONTENT_TYPES[media_type]
    parse = parse_openmetrics if media_type == OPENMETRICS else parse_text
    found = values(parse(text))
    assert text.endswith("# EOF\n") is (media_type == OPENMETRICS)
    assert text.count("# EOF") == int(media_type == OPENMETRICS)
    name = "kakuri_start_duration_seconds"
    labels = {"step": "pull", "node": "n1"}
    assert found[series(f"{name}_bucket", **labels, le="0.5")] == 1
    assert found[series(f"{name}_bucket", **labels, le="2.0")] == 3
    assert found[series(f"{name}_bucket", **labels, le="+Inf")] == 3
    assert found[series(f"{name}_count", **labels)] == 3
    assert found[series(f"{name}_sum", **labels)] == 3.5
    assert found[series("kakuri_workload_ends_total", reason='say "hi"\\', node="n1")] == 2


def test_family_that_is_repeated_or_changes_its_kind_is_omitted():
    exposition = Exposition(TEXT)
    first, other = gauge("a", "", 1.0), gauge("b", "", 2.0)
    text = exposition.write([first, other]).decode()
    assert exposition.write([gauge("a", "", {("x",): 3.0}, ("l",)), counter("b", "", 4.0)]) == b""
    assert exposition.write([gauge("b", "", {("x",): 5.0}, ("l",))]) == b'b{l="x"} 5.0\n'
    assert values(parse_text(text)) == {("a",): 1, ("b",): 2}


async def test_head_has_the_header_without_asking_the_agent():
    asked = []

    def answer(request):
        asked.append(request)
        return NODE

    async with scraped(answer) as plane:
        response = await plane.client.request("HEAD", f"http://{plane.endpoint}/metrics")
    assert (response.status, response.headers["content-type"]) == (200, CONTENT_TYPES[TEXT])
    assert asked == []


async def test_scrape_beyond_the_limit_is_503():
    may_answer, arrived = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def wait():
        nonlocal waiting
        waiting += 1
        if waiting == _metrics.MAX_SCRAPES:
            arrived.set()
        await may_answer.wait()
        return Metrics([])

    async with scraped(lambda each: NODE if each == DescribeNode() else wait()) as plane:
        url = f"http://{plane.endpoint}/metrics"
        scrapes = [asyncio.create_task(plane.client.get(url)) for _ in range(_metrics.MAX_SCRAPES)]
        await arrived.wait()
        refused = await plane.call("GET", "/metrics")
        assert (refused[0], refused[1]["code"]) == (503, "too_many_scrapes")
        assert (await plane.client.request("HEAD", url)).status == 503
        may_answer.set()
        assert [each.status for each in await asyncio.gather(*scrapes)] == [200] * len(scrapes)
        assert (await plane.client.get(url)).status == 200


async def test_scrape_that_is_read_too_slowly_is_cut_off_and_frees_its_slot(monkeypatch):
    monkeypatch.setattr(_metrics, "READING_SECONDS", 0.0)
    monkeypatch.setattr(_metrics, "MAX_SCRAPES", 1)
    request = Request("GET", "/metrics", Headers())

    async def send(pieces):  # as the server does, to a client that reads one piece
        async with aclosing(pieces):
            async for _ in pieces:
                await asyncio.Event().wait()

    async with AgentClient(Endpoint.parse("unix:/nonexistent/agent")) as agent:
        metrics = ControlPlane(agent, "agent").metrics
        sending = asyncio.create_task(send(metrics.get_metrics(request).body))
        with pytest.raises(TooManyScrapes):
            metrics.get_metrics(request)
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert metrics.get_metrics(request).status == 200
        metrics.close()


async def test_scrapes_of_one_user_leave_a_slot_for_another(monkeypatch):
    monkeypatch.setattr(_metrics, "MAX_SCRAPES", 2)

    def scrape(uid):
        request = Request("GET", "/metrics", Headers())
        request.uid = uid
        return metrics.get_metrics(request)

    async def send(pieces):
        async with aclosing(pieces):
            async for _ in pieces:
                await asyncio.Event().wait()

    async with AgentClient(Endpoint.parse("unix:/nonexistent/agent")) as agent:
        metrics = ControlPlane(agent, "agent").metrics
        sending = [asyncio.create_task(send(scrape(1).body)) for _ in range(2)]
        await asyncio.sleep(0)
        other = scrape(2)
        assert other.status == 200
        with pytest.raises(asyncio.CancelledError):
            await sending[0]
        message = "2 requests for metrics are in progress, which is the limit"
        with pytest.raises(TooManyScrapes, match=message):
            scrape(1)
        sending[1].cancel()
        await asyncio.wait(sending)
        metrics.close()


async def test_scrape_that_loses_its_slot_before_it_is_sent_is_cut_off(monkeypatch):
    monkeypatch.setattr(_metrics, "MAX_SCRAPES", 2)
    async with AgentClient(Endpoint.parse("unix:/nonexistent/agent")) as agent:
        metrics = ControlPlane(agent, "agent").metrics
        request = Request("GET", "/metrics", Headers())
        responses = [metrics.get_metrics(request) for _ in range(2)]
        request = Request("GET", "/metrics", Headers())
        request.uid = 2
        assert metrics.get_metrics(request).status == 200

        async def send():
            async for _ in responses[0].body:
                await asyncio.Event().wait()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(send())
        metrics.close()


async def test_metrics_with_a_query_are_400():
    async with scraped() as plane:
        status, body, _ = await plane.call("GET", "/metrics?name=a")
    assert (status, body["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("status", "code", "pattern", "expected"),
    [
        (421, "misdirected_request", "", {"misdirected": 1}),
        (403, "cross_site", "", {"cross_site": 1}),
        (403, "closed", "", {}),  # another check
        (503, "overloaded", "", {"limit": 1}),
        (503, "agent_unreachable", "", {}),
        (404, "not_found", "", {}),
        (503, "", "/readyz", {}),
    ],
)
def test_rejected_request_is_counted_by_the_code_of_its_problem(status, code, pattern, expected):
    metrics = HTTPMetrics()
    entry = AccessEntry("p", "GET", "/x", status, 0, 0.1, complete=True, pattern=pattern, code=code)
    metrics.counting()(entry)
    requests, _, rejected, _ = metrics.families()
    assert {each.labels[0]: each.value for each in rejected.samples} == expected
    assert sum(each.value for each in requests.samples) == 1


def test_counts_of_exchanges_without_a_response_have_no_status():
    metrics = HTTPMetrics()
    metrics.counting()(
        AccessEntry("p", "GET", "/x", 0, 0, 0.1, complete=False, pattern="/workloads")
    )
    requests, durations, rejected, _ = metrics.families()
    assert [each.labels for each in requests.samples] == [("GET", "/workloads", "none")]
    assert [each.labels for each in durations.samples] == [("GET", "/workloads", "none")]
    assert rejected.samples == ()


async def test_metrics_are_served_alone_at_an_endpoint_of_their_own(tmp_path):
    listen = Endpoint.parse(f"unix:{tmp_path / 'metrics'}")
    async with scraped(metrics_listen=listen) as plane, Client(listen) as client:
        await plane.call("GET", "/workloads/wl-1")
        response = await client.get("/metrics")
        found = values(parse_text(response.body.decode()))
        one = {"method": "GET", "route": "/workloads/:id", "code": "200"}
        assert found[series("kakuri_http_requests_total", **one)] == 1
        assert (await client.get("/workloads/wl-1")).status == 404
        fields = {"Sec-Fetch-Site": "cross-site"}
        assert (await client.get("/metrics", headers=fields)).status == 403
        assert series("kakuri_http_connections") in await plane.samples()


def peers_of(name, directory):
    """Return what a worker of two knows about both."""
    first, second = (Endpoint.unix(f"{directory}/{each}") for each in "12")
    return (
        WorkerPeers("1", first, {"2": second})
        if name == "1"
        else WorkerPeers("2", second, {"1": first})
    )


async def test_metrics_of_all_workers_have_the_name_of_each(tmp_path):
    def worker(name, requests):
        family = counter("kakuri_http_requests", "R.", {("GET",): requests}, ("method",))
        return WorkerMetrics(peers_of(name, tmp_path), lambda: [family])

    first, second = worker("1", 3.0), worker("2", 4.0)
    async with first.serving(), second.serving():
        (family,) = await first.families()
        assert {each.labels: each.value for each in family.samples} == {
            ("GET", "1"): 3,
            ("GET", "2"): 4,
        }
    (family,) = await first.families()  # while the other is replaced
    assert {each.labels: each.value for each in family.samples} == {("GET", "1"): 3}


async def test_worker_that_answers_something_else_has_no_series(tmp_path):
    router = Router()
    router.add("GET", "/families", lambda _: Response(200, b"[1]"))
    metrics = WorkerMetrics(peers_of("1", tmp_path), list)
    async with await serve_http(peers_of("2", tmp_path).listening, router):
        assert await metrics.families() == []


async def test_scrape_of_one_worker_has_the_series_of_all(tmp_path):
    other = WorkerMetrics(peers_of("2", tmp_path), lambda: [gauge("kakuri_log_streams", "", 7.0)])

    async with other.serving(), scraped(peers=peers_of("1", tmp_path)) as plane:
        found = await plane.samples()
    assert found[series("kakuri_log_streams", worker="1")] == 0
    assert found[series("kakuri_log_streams", worker="2")] == 7
    assert found[series("kakuri_agent_up", node="n1")] == 1
    name = "kakuri_agent_request_duration_seconds_count"
    labels = {"request": "DescribeNode", "outcome": "ok", "node": "n1", "worker": "1"}
    assert series(name, **labels) not in found  # it is counted with its end, after this scrape


async def test_other_worker_has_two_seconds_to_answer(tmp_path, monkeypatch):
    given = []
    timeout = asyncio.timeout
    monkeypatch.setattr(
        "kakuri_control_plane._worker_metrics.asyncio.timeout",
        lambda seconds: given.append(seconds) or timeout(seconds),
    )
    first, second = (WorkerMetrics(peers_of(name, tmp_path), list) for name in ("1", "2"))
    async with second.serving():
        assert await first.families() == []
    assert given[:1] == [2.0]

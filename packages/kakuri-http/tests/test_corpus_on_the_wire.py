"""Each request of the corpus over a socket, all connections at once: what handlers see and answer."""

import asyncio
import re
from collections import Counter

from kakuri_http import Limits, Response, Route, Router, serve

from .cases import WAYS, load, raw

CASES = load("requests.json")
RUNS = [(case, way) for way in ("whole", "at random") for case in CASES]
# No timer decides: each client shuts its side after it has sent everything, and the server responds
# to the complete requests, however long all connections together take.
LIMITS = Limits(head_timeout=600.0, body_timeout=600.0, idle_timeout=600.0, linger_timeout=600.0)


class Everything(Router):
    """Has a route for every request."""

    def __init__(self, handler):
        super().__init__()
        self.route = Route("GET", "/", handler)

    def resolve(self, request):
        return self.route


async def converse(server, pieces):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
    try:
        peer = "{}:{}".format(*writer.get_extra_info("sockname"))
        for piece in pieces:
            writer.write(piece)
        writer.write_eof()
        return peer, await reader.read()
    finally:
        writer.close()


async def test_corpus_request_over_a_socket_has_the_expected_response():
    reached = Counter()

    def handler(request):
        reached[request.peer] += 1
        return Response(200, b"seen")

    async with await serve("127.0.0.1:0", Everything(handler), limits=LIMITS) as server:
        results = await asyncio.gather(
            *(converse(server, WAYS[way](raw(case, "request"))) for case, way in RUNS)
        )
    faults = []
    for (case, _), (peer, reply) in zip(RUNS, results, strict=True):
        statuses = [int(code) for code in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", reply)]
        if reached[peer] > case["max_requests"]:
            faults.append((case["name"], "reached the handler", reached[peer]))
        if statuses.count(200) != reached[peer]:
            faults.append((case["name"], "answers", statuses))
        if case["expect"] == "accept" and not reached[peer]:
            faults.append((case["name"], "not accepted", statuses))
        if case["expect"] == "reject" and (reached[peer] or 200 in statuses):
            faults.append((case["name"], "accepted", statuses))
        allowed = {*(case.get("status_if_rejected") or [400]), 408, 200}
        if not set(statuses) <= allowed:
            faults.append((case["name"], "status", statuses))
        if statuses and statuses[-1] >= 400 and b"\r\nConnection: close\r\n" not in reply:
            faults.append((case["name"], "not closed", statuses))
    assert faults == []

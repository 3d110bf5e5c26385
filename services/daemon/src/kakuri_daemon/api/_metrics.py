"""Metrics of an HTTP API: its requests, by route, and its connections.

A request is counted by the pattern of its route, never by its path, so that the number of series
depends on the API and not on its clients.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TypeAlias

from kakuri_http import AccessEntry
from kakuri_tcp import Server
from kakuri_workload.metrics import SECONDS, Counts, Histogram, Histograms, MetricFamily, gauge

from kakuri_daemon.api._router import untyped

OTHER = "other"
"""The label of a method that no route has; a client can send any."""

NONE = "none"
"""The label of a request without a route, or without a response."""

NO_STATUS = 0
"""The status of an exchange whose client disconnected before its response began."""

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

REJECTIONS = {403: "cross_site", 421: "misdirected"}
"""The reasons of responses that a check sends, before the route is looked up."""

LIMITS = frozenset({408, 413, 414, 431, 503})
"""Statuses of requests that exceeded a limit of the server before a route was found."""

_Key: TypeAlias = tuple[str, str, int]
"""Method, pattern and status."""


class HTTPMetrics:
    """Counts the exchanges of one server or several."""

    def __init__(self) -> None:
        """Begin to count."""
        self._exchanges: dict[_Key, Histogram] = {}
        self._known: dict[_Key, Histogram] = {}  # without those whose method is other
        self._servers: list[Server] = []

    def counting(
        self, log: Callable[[AccessEntry], None] | None = None
    ) -> Callable[[AccessEntry], None]:
        """Return an access log that counts each exchange, and then calls another one."""
        find = self._known.get
        place_of = bisect_left

        def count(access: AccessEntry) -> None:
            # As `Histogram.observe`, and fields by place: each request waits for it.
            exchanges = find((access[1], access[7], access[3])) or self._begin(access)
            seconds = access[5]
            exchanges.buckets[place_of(SECONDS, seconds)] += 1
            exchanges.sum += seconds
            if log is not None:
                log(access)

        return count

    def _begin(self, access: AccessEntry) -> Histogram:
        """Return the histogram of exchanges of a kind, of which this one may be the first."""
        key = (access.method, access.pattern, access.status)
        is_bounded = bool(access.pattern) or access.method in METHODS
        if not is_bounded:
            key = (OTHER, "", access.status)
        exchanges = self._exchanges.setdefault(key, Histogram(SECONDS))
        if is_bounded:
            self._known[key] = exchanges
        return exchanges

    def add_server(self, server: Server) -> None:
        """Count the connections of a server."""
        self._servers.append(server)

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        requests = Counts(
            "kakuri_http_requests",
            "Requests answered, by the pattern of their route and the status.",
            ("method", "route", "code"),
        )
        durations = Histograms(
            "kakuri_http_request_duration_seconds",
            "Time from a request's head to the end of its response; of a stream, all of its time.",
            ("method", "route", "status"),
        )
        rejected = Counts(
            "kakuri_http_rejected",
            "Requests and connections that were refused before a handler saw them.",
            ("reason",),
        )
        for (method, pattern, status), exchanges in self._exchanges.items():
            route = untyped(pattern) if pattern else NONE
            code = str(status) if status != NO_STATUS else NONE
            status_class = f"{status // 100}xx" if status != NO_STATUS else NONE
            requests[method, route, code] += exchanges.count
            durations[method, route, status_class].add(exchanges)
            if not pattern and (reason := _rejection(status)):
                rejected[reason,] += exchanges.count
        for server in self._servers:
            rejected["connection_limit",] += server.counters.refused + server.counters.overloaded
        connections = sum(server.connections for server in self._servers)
        return (
            requests.family(),
            durations.family(),
            rejected.family(),
            gauge("kakuri_http_connections", "Open connections of clients.", float(connections)),
        )


def _rejection(status: int) -> str | None:
    return REJECTIONS.get(status) or ("limit" if status in LIMITS else None)

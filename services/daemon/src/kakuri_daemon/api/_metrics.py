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

from kakuri_daemon.api._router import without_types

OTHER = "other"
"""The label of a method that no route has; a client can send any."""

NONE = "none"
"""The label of a request without a route, or without a response."""

NO_STATUS = 0
"""The status of an exchange whose client disconnected before its response began."""

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

LIMIT = "limit"
"""The reason of requests that exceeded a limit of the server before a route was found."""

REJECTIONS = {
    "cross_site": "cross_site",
    "misdirected_request": "misdirected",
    "content_too_large": LIMIT,
    "header_fields_too_large": LIMIT,
    "overloaded": LIMIT,
    "request_timeout": LIMIT,
    "uri_too_long": LIMIT,
}
"""The reason for each code of problem details with which a check or the server rejects."""

_Key: TypeAlias = tuple[str, str, int]
"""Method, pattern and status."""


class HTTPMetrics:
    """Counts the exchanges of one server or several."""

    def __init__(self) -> None:
        """Begin to count."""
        self._exchanges: dict[_Key, Histogram] = {}
        self._routed: dict[_Key, Histogram] = {}
        self._rejected = Counts(
            "kakuri_http_rejected",
            "Requests and connections that were refused before a handler saw them.",
            ("reason",),
        )
        self._servers: list[Server] = []

    def counting(
        self, log: Callable[[AccessEntry], None] | None = None
    ) -> Callable[[AccessEntry], None]:
        """Return an access log that counts each exchange, and then calls another one."""
        find = self._routed.get
        find_bucket = bisect_left

        def count(access: AccessEntry) -> None:
            # For speed, with the code of `Histogram.observe` and without the names of the fields.
            _, method, _, status, _, seconds, _, pattern, _ = access
            exchanges = find((method, pattern, status)) or self._find(access)
            exchanges.buckets[find_bucket(SECONDS, seconds)] += 1
            exchanges.sum += seconds
            if log is not None:
                log(access)

        return count

    def _find(self, access: AccessEntry) -> Histogram:
        """Return the histogram of exchanges without a route, or of the first with a route."""
        if access.pattern:
            key = (access.method, access.pattern, access.status)
            exchanges = self._routed[key] = self._exchanges[key] = Histogram(SECONDS)
            return exchanges
        if (reason := REJECTIONS.get(access.code)) is not None:
            self._rejected[reason,] += 1
        key = (access.method if access.method in METHODS else OTHER, "", access.status)
        return self._exchanges.setdefault(key, Histogram(SECONDS))

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
        for (method, pattern, status), exchanges in self._exchanges.items():
            route = without_types(pattern) if pattern else NONE
            code = str(status) if status != NO_STATUS else NONE
            status_class = f"{status // 100}xx" if status != NO_STATUS else NONE
            requests[method, route, code] += exchanges.count
            durations[method, route, status_class].add(exchanges)
        if self._servers:
            self._rejected["connection_limit",] = sum(
                server.counters.refused + server.counters.overloaded for server in self._servers
            )
            self._rejected["forbidden_user",] = sum(
                server.counters.forbidden for server in self._servers
            )
        connections = sum(server.connections for server in self._servers)
        return (
            requests.family(),
            durations.family(),
            self._rejected.family(),
            gauge("kakuri_http_connections", "Open connections of clients.", float(connections)),
        )

"""Metrics of an HTTP API, counted from its access log."""

from types import SimpleNamespace

import pytest
from kakuri_daemon.api._metrics import HTTPMetrics
from kakuri_http import AccessEntry


def entry(method="GET", status=200, pattern="", seconds=0.25, code=""):
    return AccessEntry("peer", method, "/x", status, 3, seconds, True, pattern, code)


def counted(*entries, servers=()):
    """Return by name of a family and labels what is counted for exchanges."""
    metrics = HTTPMetrics()
    log = metrics.counting()
    for each in entries:
        log(each)
    for server in servers:
        metrics.add_server(server)
    found = {family.name: family for family in metrics.families()}
    assert all(list(family.faults()) == [] for family in found.values())
    return {
        name: {each.labels: each.value for each in family.samples} for name, family in found.items()
    }


def test_exchange_is_counted_by_method_route_and_status():
    found = counted(
        entry(pattern="/items/:id<item>"), entry(pattern="/items/:id<item>"),
        entry(pattern="/items/:id<item>", status=404), entry("POST", 201, "/items"),
    )  # fmt: skip
    assert found["kakuri_http_requests"] == {
        ("GET", "/items/:id", "200"): 2,
        ("GET", "/items/:id", "404"): 1,
        ("POST", "/items", "201"): 1,
    }
    assert found["kakuri_http_request_duration_seconds"] == {
        ("GET", "/items/:id", "2xx"): 0.5,
        ("GET", "/items/:id", "4xx"): 0.25,
        ("POST", "/items", "2xx"): 0.25,
    }
    assert found["kakuri_http_rejected"] == {}


@pytest.mark.parametrize(
    ("status", "code", "status_class"),
    [(0, "none", "none"), (100, "100", "1xx"), (199, "199", "1xx"), (599, "599", "5xx")],
)
def test_status_is_counted_by_itself_and_by_its_class(status, code, status_class):
    found = counted(entry(pattern="/a", status=status))
    assert list(found["kakuri_http_requests"]) == [("GET", "/a", code)]
    assert list(found["kakuri_http_request_duration_seconds"]) == [("GET", "/a", status_class)]


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
def test_known_method_without_a_route_is_counted_by_its_name(method):
    assert counted(entry(method, 404))["kakuri_http_requests"] == {(method, "none", "404"): 1}


@pytest.mark.parametrize("method", ["BREW", "get", "", "TRACE", "CONNECT"])
def test_other_method_is_counted_as_other_unless_a_route_has_it(method):
    assert counted(entry(method, 405), entry("MAKE", 405))["kakuri_http_requests"] == {
        ("other", "none", "405"): 2
    }
    assert counted(entry(method, 200, "/a"))["kakuri_http_requests"] == {(method, "/a", "200"): 1}


def test_series_of_other_methods_do_not_grow_with_them():
    metrics = HTTPMetrics()
    log = metrics.counting()
    for number in range(1000):
        log(entry(f"M{number}", 405))
    assert (len(metrics._exchanges), len(metrics._routed)) == (1, 0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("cross_site", "cross_site"), ("misdirected_request", "misdirected"),
        ("content_too_large", "limit"), ("header_fields_too_large", "limit"),
        ("overloaded", "limit"), ("request_timeout", "limit"), ("uri_too_long", "limit"),
        ("not_found", None), ("bad_request", None), ("", None),
    ],
)  # fmt: skip
def test_refusal_before_a_route_is_counted_by_its_reason(code, reason):
    expected = {} if reason is None else {(reason,): 2}
    refused = entry(status=400, code=code)
    assert counted(refused, refused)["kakuri_http_rejected"] == expected
    assert counted(entry(status=400, code=code, pattern="/a"))["kakuri_http_rejected"] == {}


def server(connections, refused, overloaded, forbidden):
    counters = SimpleNamespace(refused=refused, overloaded=overloaded, forbidden=forbidden)
    return SimpleNamespace(connections=connections, counters=counters)


def test_connections_of_all_servers_are_added():
    found = counted(
        entry(status=503, code="overloaded"), servers=[server(3, 5, 7, 1), server(10, 20, 40, 2)]
    )
    assert found["kakuri_http_connections"] == {(): 13}
    assert found["kakuri_http_rejected"] == {
        ("limit",): 1, ("connection_limit",): 72, ("forbidden_user",): 3
    }  # fmt: skip
    assert counted()["kakuri_http_connections"] == {(): 0}


@pytest.mark.parametrize(("seconds", "place"), [(0.0, 0), (0.001, 0), (0.0011, 1), (11.0, 13)])
def test_duration_is_in_its_bucket(seconds, place):
    metrics = HTTPMetrics()
    metrics.counting()(entry(pattern="/a", seconds=seconds))
    _, durations, *_ = metrics.families()
    assert durations.samples[0].buckets == tuple(int(number == place) for number in range(14))


def test_access_log_is_called_after_an_exchange_was_counted():
    metrics = HTTPMetrics()
    seen = []

    def log(access):
        seen.append((access, sum(each.count for each in metrics._exchanges.values())))

    first, second = entry(), entry("POST")
    count = metrics.counting(log)
    count(first)
    count(second)
    assert seen == [(first, 1), (second, 2)]

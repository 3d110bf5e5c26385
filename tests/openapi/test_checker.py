"""The checker of responses notices what the document does not describe."""

import copy

import pytest

from .checker import Checker, UndocumentedResponse, installed_checker

RUNNING = '{"id":"a","state":"running"}'
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}


def problem(status, code, **more):
    members = "".join(f',"{name}":{value}' for name, value in more.items())
    return f'{{"title":"No","status":{status},"detail":"no","code":"{code}"{members}}}'


def check(method, target, status, headers, body):
    installed_checker().check(method, target, status, headers, body)


@pytest.mark.parametrize(
    "response",
    [
        ("GET", "/workloads/a?spec", 200, JSON | {"ETag": '"12"', "Date": "now"}, RUNNING.encode()),
        ("HEAD", "http://localhost/workloads/a", 200, JSON, b""),
        ("GET", "/workloads/a", 304, {"ETag": '"12"'}, b""),
        ("GET", "/workloads/a", 404, PROBLEM, problem(404, "not_found")),
        ("GET", "/nothing", 404, PROBLEM, problem(404, "not_found")),
        ("PUT", "/workloads/a", 405, PROBLEM | {"Allow": "GET"}, problem(405, "method_not_allowed")),
        ("OPTIONS", "/workloads/a", 204, {"Allow": "GET"}, b""),
        ("POST", "/workloads", 408, PROBLEM, problem(408, "request_timeout")),
        (
            "GET", "/events", 200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store"},
            'retry: 1000\n\nevent: synced\ndata: {"type":"synced","index":1}\n\n: heartbeat\n\nev',
        ),
        (
            "GET", "/workloads/a/log", 200, {"Content-Type": "application/x-ndjson"},
            '{"attempt":1,"line":"a"}\n{"type":"attempt","attempt":2}\n{"type":"gap"}\n{"att',
        ),
        ("GET", "/workloads/a/log", 200, {"Content-Type": "text/plain; charset=utf-8"}, b"\xff"),
        ("GET", "/events", 200, {"Content-Type": "application/x-ndjson"}, None),
    ],
)  # fmt: skip
def test_response_as_described_is_accepted(response):
    check(*response)


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (("GET", "/workloads/a", 200, JSON, '{"id":"a"}'), "'state' is a required property"),
        (("GET", "/workloads/a", 200, JSON, '{"id":"a","state":"x"}'), "'x' is not one of"),
        (
            ("GET", "/workloads/a", 200, JSON, '{"id":"a","state":"running","new":1}'),
            "'new' was unexpected",
        ),
        (
            (
                "GET", "/workloads", 200, JSON,
                '{"workloads":[{"id":"a","state":"running","new":1}]}',
            ),
            "'new' was unexpected",
        ),
        (("GET", "/workloads/a", 200, JSON, "{"), "is not JSON"),
        (("GET", "/workloads/a", 206, JSON, RUNNING), "status 206"),
        (("GET", "/workloads/a", 200, JSON | {"X-New": "1"}, RUNNING), "header x-new"),
        (("GET", "/workloads/a", 200, JSON | {"ETag": "12"}, RUNNING), "header etag"),
        (("GET", "/workloads/a", 200, {"Content-Type": "text/plain"}, "a"), "type text/plain"),
        (("GET", "/workloads/a", 200, {}, b""), "no content"),
        (("GET", "/workloads/a", 404, PROBLEM, problem(404, "gone")), "code gone"),
        (("GET", "/workloads/a", 404, PROBLEM, problem(404, "not_found", new=1)), "'new'"),
        (("GET", "/nothing", 200, JSON, "{}"), "path and method"),
        (("GET", "/nothing", 404, JSON, "{}"), "problem details"),
        (("GET", "/nothing", 404, PROBLEM, problem(404, "gone")), "code not_found"),
        (("PUT", "/workloads/a", 404, PROBLEM, problem(404, "not_found")), "path and method"),
        (
            ("GET", "/events", 200, {"Content-Type": "application/x-ndjson"}, '{"type":"new"}\n'),
            "content",
        ),
    ],
)  # fmt: skip
def test_response_that_is_not_described_is_reported(response, fault):
    with pytest.raises(UndocumentedResponse, match=f"{response[0]} .*{fault}"):
        check(*response)


def test_checker_uses_the_document_that_it_is_given():
    described = copy.deepcopy(installed_checker().document)
    del described["paths"]["/healthz"]
    with pytest.raises(UndocumentedResponse, match="path and method"):
        Checker(described).check("GET", "/healthz", 200, JSON, '{"status":"ok"}')

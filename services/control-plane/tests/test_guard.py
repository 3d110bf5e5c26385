import pytest
from kakuri_control_plane import Guard
from kakuri_http import Headers, Request
from kakuri_json import loads


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"sec-fetch-site": "none"}, None),
        ({"sec-fetch-site": "same-origin"}, None),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "2130706433"}, 421),
        ({"host": "[::2]"}, None),
        ({"host": "192.0.2.1:80"}, None),
        ({"host": "localhost.:80"}, None),
        ({"host": ""}, 421),
        ({"host": "localhost"}, None),
        ({"host": "LOCALHOST:1"}, None),
        ({"host": "127.0.0.1:8080"}, None),
        ({"host": "[::1]:8080"}, None),
        ({"host": "Kakuri.example"}, None),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, None),
        ({"host": "localhost:1", "origin": "HTTP://LOCALHOST:1"}, None),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, 403),
        ({"host": "localhost:1", "origin": "http://localhost:1.evil.example"}, 403),
    ],
)
def test_who_may_call(fields, expected):
    answer = Guard(["kakuri.EXAMPLE"])(Request("GET", "/", Headers(fields)))
    assert (answer and answer.status) == expected


def test_refusal_of_a_host_names_the_option_that_allows_it():
    answer = Guard([])(Request("GET", "/", Headers({"host": "Kakuri.local:8080"})))
    assert answer.status == 421
    detail = loads(answer.body)["detail"]
    assert "expected localhost or an IP address as host, got 'Kakuri.local:8080'" in detail
    assert "needs --allowed-host kakuri.local" in detail

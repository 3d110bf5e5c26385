import asyncio
import re

import pytest
from kakuri_daemon.api import APIRouter, HostGuard, refuse_browsers, refuse_other_sites
from kakuri_http import Headers, Request, Response, serve
from kakuri_json import loads


def request(method="GET", path="/", **fields):
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return Request(method, path, headers, path)


def status_of(response):
    return response and response.status


@pytest.mark.parametrize(
    "host",
    [
        "[::2]", "192.0.2.1:80", "localhost.:80", "localhost", "LOCALHOST:1", "127.0.0.1:8080",
        "[::1]:8080", "Kakuri.example",
    ],
)  # fmt: skip
def test_host_guard_accepts_its_names_and_every_address(host):
    assert HostGuard(["kakuri.EXAMPLE"])(request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "2130706433", "",
        "[localhost", "kakuri.example.evil.example",
    ],
)  # fmt: skip
def test_host_guard_refuses_other_names(host):
    assert status_of(HostGuard(["kakuri.EXAMPLE"])(request(host=host))) == 421


def test_host_guard_accepts_request_without_host():
    assert HostGuard()(request()) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9001", "127.0.0.1:9001", "[::1]:1"])
def test_host_guard_for_loopback_accepts_this_machine(host):
    assert HostGuard(loopback_only=True)(request(host=host)) is None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", ""])
def test_host_guard_for_loopback_refuses_other_machines(host):
    response = HostGuard(loopback_only=True)(request(host=host))
    assert status_of(response) == 421
    detail = loads(response.body)["detail"]
    assert detail == f"expected localhost or a loopback address as host, got {host!r}"


@pytest.mark.parametrize(("host", "name"), [("Kakuri.local:8080", "kakuri.local"), ("", "NAME")])
def test_host_guard_with_hint_names_the_option_that_allows_the_host(host, name):
    guard = HostGuard(hint="the server needs --allowed-host")
    assert loads(guard(request(host=host)).body)["detail"] == (
        f"expected localhost or an IP address as host, got {host!r}; "
        f"to be reached by that name, the server needs --allowed-host {name}"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"sec_fetch_site": "none"}, None),
        ({"sec_fetch_site": "same-origin"}, None),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, None),
        ({"host": "localhost:1", "origin": "HTTP://LOCALHOST:1"}, None),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, 403),
        ({"host": "localhost:1", "origin": "http://localhost:1.evil.example"}, 403),
    ],
)
def test_page_of_another_site_or_origin_is_403(fields, expected):
    assert status_of(refuse_other_sites(request(**fields))) == expected


PAGE = {"host": "localhost:1", "origin": "http://localhost:1", "sec_fetch_site": "same-origin"}
LINK = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"host": "localhost:1", "kakuri_request": "1"}, None),
        (PAGE | {"kakuri_request": "1"}, None),
        (PAGE, 403),
        (PAGE | {"kakuri_request": "true"}, 403),
        (PAGE | {"kakuri_request": "1", "sec_fetch_site": "none"}, 403),
        (PAGE | {"kakuri_request": "1", "sec_fetch_site": "same-site"}, 403),
        ({"host": "localhost:1", "sec_fetch_site": "none"}, 403),
        ({"host": "10.0.0.1", "origin": "http://10.0.0.1", "kakuri_request": "1"}, 403),
        (LINK | {"kakuri_request": "1"}, 403),
    ],
)
def test_change_by_a_browser_needs_fetch_metadata_of_this_origin_and_the_mark(
    method, fields, expected
):
    assert status_of(refuse_other_sites(request(method=method, **fields))) == expected


@pytest.mark.parametrize(
    ("path", "method", "fields", "expected"),
    [
        ("/", "GET", LINK, None),
        ("/", "HEAD", LINK, None),
        ("/", "POST", LINK, 403),
        ("/workloads", "GET", LINK, 403),
        ("/", "GET", LINK | {"sec_fetch_mode": "cors"}, 403),
        ("/", "GET", LINK | {"sec_fetch_dest": "iframe"}, 403),
        ("/", "GET", LINK | {"origin": "http://evil.example", "host": "localhost"}, 403),
    ],
)
def test_link_of_another_site_opens_the_entry_page_only(path, method, fields, expected):
    asked = request(path=path, method=method, **fields)
    assert status_of(refuse_other_sites(asked)) == expected


@pytest.mark.parametrize("field", ["Sec_Fetch_Site", "Sec_Fetch_Mode", "Origin", "Referer"])
def test_refuse_browsers_refuses_even_pages_of_the_same_origin(field):
    response = refuse_browsers(request(host="localhost", **{field: "same-origin"}))
    assert status_of(response) == 403


def test_refuse_browsers_accepts_programs():
    assert refuse_browsers(request(host="localhost")) is None


def test_host_guard_answers_repeated_hosts_alike_and_remembers_few():
    guard = HostGuard(loopback_only=True)
    for _ in range(2):
        assert guard(request(host="127.0.0.1:9001")) is None
        assert status_of(guard(request(host="evil.example"))) == 421
    for port in range(200):
        assert guard(request(host=f"127.0.0.1:{port}")) is None
        assert status_of(guard(request(host=f"evil.example:{port}"))) == 421
    assert len(guard._accepted) == 64


async def test_guards_refuse_heads_that_differ_from_a_cached_accepted_one():
    router = APIRouter()
    router.check(HostGuard(), cacheable=True)
    router.check(refuse_other_sites, cacheable=True)
    router.add("GET", "/a", lambda request: Response(200))
    router.add("POST", "/a", lambda request: Response(200))
    accepted = {"host": "localhost", "origin": "http://localhost", "sec-fetch-site": "same-origin"}
    changes = [
        ("GET", {"host": "evil.test"}, 421),
        ("GET", {"host": "localhosu"}, 421),
        ("GET", {"origin": "http://evil.test"}, 403),
        ("GET", {"origin": "null"}, 403),
        ("GET", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {}, 403),
    ]
    async with await serve("127.0.0.1:0", router) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)

        async def ask(method, fields):
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"{method} /a HTTP/1.1\r\n{lines}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
            return int(head.split()[1])

        for _ in range(4):
            assert await ask("GET", accepted) == 200
            for method, changed, status in changes:
                assert await ask(method, accepted | changed) == status
        writer.close()

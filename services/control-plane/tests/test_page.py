import re
from importlib.resources import files

import pytest
from kakuri_control_plane._page import MEDIA_TYPES, POLICY, assets, prefers_html
from kakuri_http import Headers, Request
from kakuri_rpc import Node, State, Status

from .fake_agent import WORKLOAD, api

NODE = Node("0.1.0", "simulated", simulated=True, workloads=0)
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PAGE = files("kakuri_control_plane").joinpath("page")
MAX_BYTES = 60_000
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|\beval\(|new Function|set(?:Timeout|Interval)\([\"'`]|srcdoc|javascript:"
)


async def get(call, path, method="GET", **headers):
    """Return a response as it is; its content need not be JSON."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call.client.request(method, f"http://{call.endpoint}{path}", headers=fields)


@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        (CHROMIUM, True),
        ("text/html", True),
        ("TEXT/HTML", True),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("text/html;level=1;q=0.5, */*;q=0.4", True),
        ("text/html, application/json;q=0", True),
        ("text/html;q=0.8, application/json", False),
        ("text/html, application/json", False),
        ("text/html;q=0, */*;q=0", False),
        ("text/html;q=0.5, application/*;q=0.6", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("image/png", False),
        ("", False),
        (None, False),
    ],
)
def test_html_is_preferred_only_with_a_higher_weight_than_json(accept, is_html):
    fields = {} if accept is None else {"accept": accept}
    assert prefers_html(Request("GET", "/", Headers(fields))) is is_html


def test_several_accept_fields_are_one_list():
    request = Request(
        "GET", "/", Headers([("Accept", "text/html;q=0.5"), ("Accept", "application/json;q=0.1")])
    )
    assert prefers_html(request)


async def test_root_is_the_page_for_a_browser_and_json_for_programs():
    async with api(NODE) as call:
        page = await get(call, "/", accept=CHROMIUM)
        assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
        assert page.body == PAGE.joinpath("index.html").read_bytes()
        assert page.headers["vary"] == "Accept"
        for fields in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
            index = await get(call, "/", **fields)
            assert (index.status, index.content_type) == (200, "application/json")
            assert index.body.startswith(b'{"name":"kakuri-control-plane","version":')
            assert index.headers["vary"] == "Accept"
            assert "content-security-policy" not in index.headers


async def test_file_of_the_page_has_its_type_and_the_headers_that_protect_it():
    async with api(NODE) as call:
        for name, asset in assets().items():
            path = "/" if name == "index.html" else f"/ui/{name}"
            found = await get(call, path, accept="text/html")
            assert (found.status, found.body) == (200, PAGE.joinpath(name).read_bytes())
            assert found.content_type == MEDIA_TYPES[f".{name.rpartition('.')[2]}"]
            expected = {
                "content-security-policy": POLICY,
                "x-content-type-options": "nosniff",
                "referrer-policy": "no-referrer",
                "cross-origin-opener-policy": "same-origin",
                "cross-origin-resource-policy": "same-origin",
                "cache-control": "no-cache",
                "etag": asset.tag,
            }
            assert {key: found.headers.get(key) for key in expected} == expected
        assert len({asset.tag for asset in assets().values()}) == len(assets())


def test_policy_allows_only_this_server_and_no_text_as_html():
    directives = dict(each.partition(" ")[::2] for each in POLICY.split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_files_of_the_page_fit_into_sixty_kilobytes():
    found = list(PAGE.iterdir())
    assert {each.name for each in found} == set(assets())
    assert 6 <= sum(each.name.endswith(".js") for each in found) <= 8
    assert sum(len(each.read_bytes()) for each in found) <= MAX_BYTES


def test_scripts_never_turn_text_into_html_or_code():
    for name, asset in assets().items():
        assert UNSAFE.findall(asset.content.decode()) == [], name


def test_page_loads_files_of_this_server_only_and_all_that_it_names():
    all_named = set()
    for name, asset in assets().items():
        text = asset.content.decode()
        loaded = re.findall(r"(?:src|href)=\"?([^\s\">#]+)|url\(([^)]+)\)|@import (.+)", text)
        imported = re.findall(r"from \"\./([^\"]+)\"", text)
        named = [*imported, *(each.removeprefix("/ui/") for group in loaded for each in group)]
        assert {each for each in named if each} <= set(assets()), name
        all_named.update(named)
    assert set(assets()) - all_named == {"index.html"}


async def test_file_that_the_browser_has_is_304_without_content():
    async with api(NODE) as call:
        for path in ("/", "/ui/main.js", "/ui/style.css"):
            tag = (await get(call, path, accept="text/html")).headers["etag"]
            assert tag.startswith('"')
            for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                answer = await get(call, path, accept="text/html", if_none_match=condition)
                assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
            answer = await get(call, path, accept="text/html", if_none_match='"other"')
            assert answer.status == 200


async def test_head_of_a_file_has_its_length_and_no_content():
    async with api(NODE) as call:
        answer = await get(call, "/ui/main.js", "HEAD")
        size = len(PAGE.joinpath("main.js").read_bytes())
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(size)


@pytest.mark.parametrize("name", ["index.html", "none.js", "_page.py", "Main.js", "main"])
async def test_unknown_file_is_404(name):
    async with api(NODE) as call:
        status, body, _ = await call("GET", f"/ui/{name}")
        assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["..%2f_page.py", "%2e%2e", "main.js%00"])
async def test_path_outside_the_directory_finds_no_file(name):
    async with api(NODE) as call:
        assert (await get(call, f"/ui/{name}")).status in {400, 404}


async def test_change_by_a_page_of_this_origin_needs_kakuri_request_and_curl_does_not():
    async with api(lambda request: Status("wl-1", State.PENDING)) as call:
        host = str(call.endpoint)
        page = {"origin": f"http://{host}", "sec_fetch_site": "same-origin"}
        for fields in (
            page,
            {**page, "kakuri_request": "0"},
            {"origin": f"http://{host}", "kakuri_request": "1"},
            {**page, "sec_fetch_site": "none", "kakuri_request": "1"},
            {**page, "sec_fetch_site": "cross-site", "kakuri_request": "1"},
            {**page, "origin": "http://evil.example", "kakuri_request": "1"},
        ):
            status, body, _ = await call("POST", "/workloads", WORKLOAD, **fields)
            assert (status, body["code"]) == (403, "cross_site"), fields
            assert (await call("DELETE", "/workloads/wl-1", **fields))[0] == 403
        assert call.asked == []
        assert (await call("POST", "/workloads", WORKLOAD, **page, kakuri_request="1"))[0] == 201
        assert (await call("POST", "/workloads", WORKLOAD))[0] == 201

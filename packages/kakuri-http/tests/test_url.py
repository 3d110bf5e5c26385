"""URLs as callers write them, and references as servers do (RFC 3986 5.2 and 5.4)."""

import re

import pytest
from kakuri_http import Headers, InvalidURL, encode_query, percent_encode
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import parse_query, parse_url, percent_decode, with_query
from kakuri_http.client._requests import ClientRequest, follow_redirect
from kakuri_tcp import Endpoint

BASE = "http://a/b/c/d;p?q"
UNIX = Endpoint.unix("/run/x.sock")

# RFC 3986 5.4.1 and 5.4.2, without fragments, which are dropped; `g:h` is not an http URL.
EXAMPLES = {
    "g": "/b/c/g", "./g": "/b/c/g", "g/": "/b/c/g/", "/g": "/g", "?y": "/b/c/d;p?y",
    "g?y": "/b/c/g?y", "#s": "/b/c/d;p?q", "g#s": "/b/c/g", "g?y#s": "/b/c/g?y", ";x": "/b/c/;x",
    "g;x": "/b/c/g;x", "g;x?y#s": "/b/c/g;x?y", "": "/b/c/d;p?q", ".": "/b/c/", "./": "/b/c/",
    "..": "/b/", "../": "/b/", "../g": "/b/g", "../..": "/", "../../": "/", "../../g": "/g",
    "../../../g": "/g", "../../../../g": "/g", "/./g": "/g", "/../g": "/g", "g.": "/b/c/g.",
    ".g": "/b/c/.g", "g..": "/b/c/g..", "..g": "/b/c/..g", "./../g": "/b/g", "./g/.": "/b/c/g/",
    "g/./h": "/b/c/g/h", "g/../h": "/b/c/h", "g;x=1/./y": "/b/c/g;x=1/y",
    "g;x=1/../y": "/b/c/y", "g?y/./x": "/b/c/g?y/./x", "g?y/../x": "/b/c/g?y/../x",
    "g#s/../x": "/b/c/g", "/login?next=http://example.com/x": "/login?next=http://example.com/x",
    "?next=//b/../c": "/b/c/d;p?next=//b/../c", "g?a=[1]|{2}": "/b/c/g?a=[1]|{2}",
}  # fmt: skip


def redirected(location, base=BASE, headers=(), endpoint=None, body=b"", status=307):
    request = ClientRequest("POST", base, Headers(headers), body)
    response = ReceivedResponse(status, "", Headers([("Location", location)]), "1.1")
    return follow_redirect(request, response, endpoint)


@pytest.mark.parametrize("reference", EXAMPLES)
def test_location_is_resolved_against_the_url_of_its_request(reference):
    there = parse_url(redirected(reference).url)
    assert (there.origin, there.target) == ("http://a", EXAMPLES[reference])


def test_host_of_an_endpoint_with_a_zone_has_no_zone():
    endpoint = Endpoint.parse("[fe80::1%eth0]:81")
    url = parse_url("/x", endpoint)
    assert (url.endpoint, url.host, url.target) == (endpoint, "[fe80::1]:81", "/x")


@pytest.mark.parametrize("reference", EXAMPLES)
def test_location_is_resolved_the_same_through_a_unix_socket(reference):
    request = redirected(reference, "/b/c/d;p?q", endpoint=UNIX)
    there = parse_url(request.url, UNIX)
    assert (there.endpoint, there.host, there.target) == (UNIX, "localhost", EXAMPLES[reference])


@pytest.mark.parametrize(
    ("location", "origin", "target"),
    [
        ("//other/x", "http://other", "/x"),
        ("//other", "http://other", "/"),
        ("HTTP://Other:80/x", "http://other", "/x"),
        ("https://other?x", "https://other", "/?x"),
        ("http://other:/x", "http://other", "/x"),
    ],
)
def test_location_may_name_another_origin(location, origin, target):
    there = parse_url(redirected(location).url)
    assert (there.origin, there.target) == (origin, target)


@pytest.mark.parametrize(
    "location",
    ["g:h", "http:g", "http:///x", "//", "//user@other/", "mailto:a@b", "//a:99999/",
     "javascript:alert(1)", "file:///etc/passwd", "//a b/", "//é/", "//a\\@b/"],
)  # fmt: skip
def test_location_that_is_not_an_http_url_raises_invalid_url(location):
    with pytest.raises(InvalidURL):
        parse_url(redirected(location).url)


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("HTTP://EXAMPLE.com/A", "example.com", "/A"),
        ("http://a:80/", "a", "/"),
        ("hTTpS://a:443/x", "a", "/x"),
        ("http://a:8080?b", "a:8080", "/?b"),
        ("http://a#fragment", "a", "/"),
        ("http://a/b/../c/./d/..#x", "a", "/c/"),
        ("http://a/..", "a", "/"),
        ("http://[::1]:80/", "[::1]", "/"),
        ("http://a/?", "a", "/?"),
    ],
)
def test_url_of_a_caller_is_normalized(url, host, target):
    parsed = parse_url(url)
    assert (parsed.host, parsed.target) == (host, target)


@pytest.mark.parametrize(
    ("url", "target"),
    [("/a", "/a"), ("/a/../b", "/b"), ("?a=b", "/?a=b"), ("a/b", "/a/b"), ("/#x", "/"), ("", "/")],
)
def test_reference_of_a_caller_is_resolved_against_the_endpoint(url, target):
    for endpoint, host in ((UNIX, "localhost"), (Endpoint.tcp("127.0.0.1", 81), "127.0.0.1:81")):
        parsed = parse_url(url, endpoint)
        assert (parsed.endpoint, parsed.host, parsed.target) == (endpoint, host, target)


@pytest.mark.parametrize("url", [b"http://a/", 5, None, UNIX])
def test_url_that_is_not_text_raises_type_error(url):
    with pytest.raises(TypeError, match="expected a string as URL, got"):
        parse_url(url)


SECRETS = ["Authorization", "Cookie", "Proxy-Authorization", "cookie", "AUTHORIZATION"]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "location", ["http://b/", "//b/", "http://a:81/", "https://a/", "http://b.a/"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_stay_with_their_origin(name, location, status):
    request = redirected(location, headers=[(name, "secret"), ("X-Kept", "1")], status=status)
    assert list(request.headers) == [("X-Kept", "1")]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("location", ["/x", "http://a/x", "HTTP://A:80/x", "//a/x", "?x"])
def test_credentials_are_sent_to_the_same_origin(name, location):
    assert redirected(location, headers=[(name, "secret")]).headers[name] == "secret"


def test_redirect_from_https_to_http_raises_invalid_url():
    with pytest.raises(InvalidURL, match="https"):
        redirected("http://a/", base="https://a/")
    assert redirected("//a/x", base="https://b/").url == "https://a/x"


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", ""), ("aZ09-._~", "aZ09-._~"), ("wörld", "w%C3%B6rld"), ("a/b?c#d&e=f", None),
        (" +%", "%20%2B%25"), ("\x00\x7f", "%00%7F"), ("🙂", "%F0%9F%99%82"),
    ],
)  # fmt: skip
def test_percent_encode_escapes_all_but_unreserved_characters(text, encoded):
    found = percent_encode(text)
    assert encoded is None or found == encoded
    assert percent_decode(found) == text
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*", found)


def test_percent_encode_of_a_lone_surrogate_raises_invalid_url():
    with pytest.raises(InvalidURL, match="lone surrogates"):
        percent_encode("\ud800")


@pytest.mark.parametrize(
    "params",
    [[], [("a", "1")], [("a", "1"), ("a", "2")], [("", "")], [("ö&=", "é +%#/?")], [("x", " ")]],
)
def test_encode_query_is_decoded_to_the_same_pairs_by_the_server(params):
    assert list(parse_query(encode_query(params))) == params


def test_encode_query_writes_integers_in_decimal():
    assert encode_query({"after": -5, "limit": 10}) == "after=-5&limit=10"


@pytest.mark.parametrize(
    "params", ["a=b", b"a=b", 5, None, ["ab"], [("a",)], {"a": None}, {"a": True}, {"a": 1.5},
               {"a": ["b"]}, {5: "a"}],
    ids=repr,
)  # fmt: skip
def test_encode_query_of_other_types_raises_type_error(params):
    with pytest.raises(TypeError, match="expected"):
        encode_query(params)


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/a", {}, "/a"),
        ("/a?b#c", (), "/a?b#c"),
        ("/a", {"b": "c"}, "/a?b=c"),
        ("/a?", {"b": "c"}, "/a?b=c"),
        ("/a?x", {"b": "c"}, "/a?x&b=c"),
        ("/a?x&", {"b": "c"}, "/a?x&b=c"),
        ("http://h#f?g", {"b": "c"}, "http://h?b=c#f?g"),
    ],
)
def test_with_query_adds_parameters_before_the_fragment(url, params, expected):
    assert with_query(url, params) == expected


def test_url_with_a_password_raises_invalid_url_without_quoting_it():
    with pytest.raises(InvalidURL, match="without user and password") as caught:
        parse_url("http://admin:secret@example.com/")
    assert "secret" not in str(caught.value)


def test_error_of_a_url_with_an_invalid_host_quotes_the_host():
    with pytest.raises(InvalidURL, match=r"expected HOST or HOST:PORT after http://, got '\[::1'"):
        parse_url("http://[::1")

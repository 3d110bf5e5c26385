"""The content of a response as text and as JSON."""

import json

import pytest
from kakuri_http import Headers, RemoteProtocolError
from kakuri_http._messages import ReceivedResponse


def received(body, content_type=None):
    fields = [] if content_type is None else [("Content-Type", content_type)]
    response = ReceivedResponse(200, "OK", Headers(fields), "1.1")
    response.body = body
    return response


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), None, "é"),
        ("é".encode(), "text/plain", "é"),
        (b"\xef\xbb\xbfa", "text/plain; charset=utf-8", "a"),
        (b"\xe9", "text/plain;charset=ISO-8859-1", "é"),
        (b"\x80", 'text/html; x=y; Charset="windows-1252"', "€"),
        ("é".encode(), 'text/plain; x="a;charset=us-ascii"', "é"),
        ("é".encode(), r'text/plain; x="\";charset=us-ascii"', "é"),
        (b"\xe9", r'text/plain; x="\\";charset="iso-8859\-1"', "é"),
        ("é".encode(), 'text/plain; charset=""', "é"),
        (b"\xff\xfea\x00", "text/plain; charset=utf-16", "a"),
        (b"a", "text/plain; charset=US-ASCII", "a"),
        (b"", None, ""),
    ],
)
def test_text_is_decoded_by_the_charset_of_content_type_or_utf_8(body, content_type, text):
    assert received(body, content_type).text() == text


def test_text_with_an_encoding_ignores_the_charset():
    assert received(b"\xe9", "text/plain; charset=utf-8").text("latin-1") == "é"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"\xff", None, "expected text as content, got bytes"),
        (b"\xc3", "text/plain; charset=us-ascii", "expected text as content, got bytes"),
        (b"a", "text/plain; charset=punycode", "expected one of utf-8, .*, got 'punycode'"),
        (b"a", "text/plain; charset=x-unknown", "got 'x-unknown'"),
    ],
)
def test_text_that_does_not_decode_raises_remote_protocol_error(body, content_type, message):
    with pytest.raises(RemoteProtocolError, match=message):
        received(body, content_type).text()


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON ; charset=utf-8", "application/problem+json",
     "application/vnd.api.v1+json;x"],
)  # fmt: skip
def test_json_passes_the_content_to_the_decoder(content_type):
    assert received(b'{"a":1}', content_type).json(json.loads) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [None, "text/html", "application/jsonp", "application/json-seq", "text/json", "json",
     "application/+json"],
)  # fmt: skip
def test_json_of_content_that_is_not_json_raises_remote_protocol_error(content_type):
    with pytest.raises(RemoteProtocolError, match="expected JSON as content of the 200 response"):
        received(b"{}", content_type).json(json.loads)


def test_json_does_not_change_errors_of_the_decoder():
    with pytest.raises(json.JSONDecodeError):
        received(b"{", "application/json").json(json.loads)

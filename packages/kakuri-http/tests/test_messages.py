"""Fields, problems, dates and queries: the parts of messages."""

import email.utils
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_http import (
    ClientConnection,
    Headers,
    InterimResponse,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    problem,
)
from kakuri_http._url import percent_decode
from kakuri_http.core._writers import imf_fixdate


def test_headers_lookup_ignores_the_case_of_names():
    headers = Headers([("Set-Cookie", "a=1, x"), ("X", "1"), ("set-cookie", "b=2"), ("x", "2")])
    assert headers.get("X") == headers["x"] == "1, 2"
    assert headers.get_all("SET-COOKIE") == ["a=1, x", "b=2"]
    assert headers.get("y") is None
    assert "x" in headers
    assert len(headers) == 4
    assert Headers({"A": "b"}) == Headers([("a", "b")]) != Headers([("a", "c")])
    assert hash(Headers({"A": "b"})) == hash(Headers([("a", "b")]))
    assert list(Headers(headers)) == list(headers)


@given(st.text(), st.text())
def test_header_field_is_sent_unchanged_or_raises_local_protocol_error(name, value):
    try:
        response = Response(200, b"", headers=[(name, value)])
    except LocalProtocolError:
        return
    assert not set(name + value) & set("\r\n\0")
    assert list(response.headers) == [(name, value)]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "DATE"])
def test_response_with_a_framing_field_raises_local_protocol_error(name):
    with pytest.raises(LocalProtocolError):
        Response(200, b"", headers={name: "1"})


@pytest.mark.parametrize("status", [0, 99, 100, 101, 600, 999, -1])
def test_response_status_outside_200_to_599_raises_local_protocol_error(status):
    with pytest.raises(LocalProtocolError):
        Response(status)


def test_reset_content_response_with_content_raises_local_protocol_error():
    with pytest.raises(LocalProtocolError):
        Response(205, b"x")


@pytest.mark.parametrize("content_type", ["", "a\r\nb", " a", "ä", "a\n"])
def test_response_with_an_invalid_content_type_raises_local_protocol_error(content_type):
    with pytest.raises(LocalProtocolError):
        Response(200, b"", content_type=content_type)


@pytest.mark.parametrize("body", ["text", bytearray(b"x"), memoryview(b"x")])
def test_response_body_that_would_be_cut_into_single_items_raises_type_error(body):
    with pytest.raises(TypeError, match="bytes"):
        Response(200, body)


@pytest.mark.parametrize(
    "host", ["", "a b", "a\r\nX: 1", "a\x00", "ü", "a/b", "u@a", "[::", "[1:2]"]
)
def test_request_with_an_invalid_host_raises_local_protocol_error(host):
    core = ClientConnection()
    with pytest.raises(LocalProtocolError):
        core.send(Request("GET", "/", Headers(), host=host))
    assert core.send(Request("GET", "/", Headers(), host="a")).startswith(b"GET / ")


def test_response_with_two_content_types_raises_local_protocol_error():
    headers = {"content-TYPE": "text/html"}
    with pytest.raises(LocalProtocolError, match="'content-TYPE' is controlled by the library"):
        Response(200, b"", headers=headers, content_type="text/plain")
    assert Response(200, b"", headers=headers).headers.get("content-type") == "text/html"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION"])
def test_request_with_a_framing_field_raises_local_protocol_error(name):
    with pytest.raises(LocalProtocolError):
        ClientConnection().send(Request("POST", "/", Headers({name: "5"}), host="a"))
    server = ServerConnection()
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert server.next_event().method == "GET"
    with pytest.raises(LocalProtocolError):
        server.send(InterimResponse(103, Headers({name: "5"})))


@pytest.mark.parametrize("host", [b"[1:2:3]", b"[::::]", b"[....]", b"[v1.a]", b"[]"])
def test_host_in_brackets_that_is_not_an_ipv6_address_is_rejected(host):
    server = ServerConnection()
    server.receive_data(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
    with pytest.raises(RemoteProtocolError, match="as Host"):
        server.next_event()


def test_absolute_form_of_http_1_0_without_host_is_accepted():
    server = ServerConnection()
    server.receive_data(b"GET http://a/b?c HTTP/1.0\r\n\r\n")
    assert server.next_event().path == "/b"


@given(st.text(), st.text(), st.text(), st.lists(st.tuples(st.text(), st.text())))
def test_problem_is_json_with_its_members(title, detail, code, errors):
    response = problem(
        400,
        title=title or None,
        detail=detail,
        code=code,
        errors=[{"path": path, "message": message} for path, message in errors],
    )
    assert response.content_type == "application/problem+json"
    text = response.body.decode()
    assert text.isprintable()
    got = json.loads(text)
    assert got["title"] == (title or "Bad Request")
    assert (got["status"], got["detail"], got["code"]) == (400, detail, code)
    assert [(e["path"], e["message"]) for e in got.get("errors", [])] == errors


def test_problem_with_a_lone_surrogate_escapes_it():
    assert json.loads(problem(400, detail="\ud800").body)["detail"] == "\ud800"


@given(st.integers(0, 4102444800))
def test_date_is_written_as_imf_fixdate(seconds):
    assert imf_fixdate(seconds) == email.utils.formatdate(seconds, usegmt=True)


def test_request_query_is_decoded_once():
    request = Request("GET", "/", Headers(), "/", "a=1&b=%C3%BC+x&a=2&c&=d&&%2526=e")
    assert request.query == {"a": "2", "b": "ü x", "c": "", "": "d", "%26": "e"}
    assert request.query_pairs[0] == ("a", "1")
    bad = Request("GET", "/", Headers(), "/", "a=%ff")
    with pytest.raises(RemoteProtocolError, match=r"UTF-8 as query, got '.*%"):
        _ = bad.query


@given(st.text())
def test_percent_decode_undoes_encoding_once(text):
    encoded = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
    assert percent_decode(encoded) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "a%", "%%41", "%ff", "%c0%ae", "%ed%a0%80"])
def test_percent_decode_of_an_invalid_escape_raises_value_error(text):
    with pytest.raises(ValueError, match=r"expected|codec"):
        percent_decode(text)


def test_stream_of_a_route_without_streaming_raises_runtime_error():
    with pytest.raises(RuntimeError, match="streaming=True"):
        Request("GET", "/", Headers()).stream()


def test_limit_that_is_not_positive_raises_value_error():
    with pytest.raises(ValueError, match=r"^expected an integer above 0 as head, got 0$"):
        Limits(head=0)


@pytest.mark.parametrize("text", ["%41%", "%41x%4", "%41%42%zz", "%41%42%43%", "x%41y%42z%43%4g"])
def test_percent_decode_of_an_invalid_escape_after_valid_ones_raises_value_error(text):
    with pytest.raises(ValueError, match="two hexadecimal digits"):
        percent_decode(text)


@pytest.mark.parametrize(("length", "shown"), [(80, 80), (81, 77)])
def test_error_quotes_at_most_eighty_bytes_of_a_target(length, shown):
    target = b"http://a/" + b"x" * (length - 9)
    connection = ServerConnection()
    connection.receive_data(b"GET " + target + b" HTTP/1.1\r\nHost: b\r\n\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert str(caught.value).endswith(repr(target[:shown] + b"..." * (length > 80)))


def test_headers_from_lists_do_not_change_with_them():
    field = ["A", "1"]
    headers = Headers([field])
    field[1] = "1\r\nB: 2"
    assert headers.lines == b"A: 1\r\n"


def test_lines_of_headers_are_encoded_once_for_each_object():
    headers = Headers([("A", "b"), ("A", "é")])
    assert headers.lines == b"A: b\r\nA: \xe9\r\n"
    assert headers.lines is headers.lines
    assert Headers(headers).lines == headers.lines
    assert Headers().lines == b""

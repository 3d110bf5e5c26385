"""Where content ends and whether the connection persists, read from the fields of a head."""

import pytest
from kakuri_http import LimitExceeded, RemoteProtocolError
from kakuri_http.core._heads import NO_BODY_LIMIT, Framing, check_body_length, read_framing

TE, CL, CO = b"Transfer-Encoding", b"content-length", b"CONNECTION"


def framing(*, length=None, chunked=False, close=False, keep_alive=False):
    return Framing(length, chunked, close, keep_alive)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], framing()),
        ([(CL, b"0")], framing(length=0)),
        ([(CL, b"12")], framing(length=12)),
        ([(CL, b"0012")], framing(length=12)),
        ([(CL, b"9" * 19)], framing(length=10**19 - 1)),
        ([(CL, b"9" * 20)], framing(length=2**63)),
        ([(CL, b"0" * 30 + b"7")], framing(length=7)),
        ([(TE, b"chunked")], framing(chunked=True)),
        ([(TE, b"CHUNKED")], framing(chunked=True)),
        ([(CO, b"close")], framing(close=True)),
        ([(CO, b"Keep-Alive")], framing(keep_alive=True)),
        ([(CO, b"x,\t close ,y")], framing(close=True)),
        ([(CO, b"x"), (CO, b"close, keep-alive")], framing(close=True, keep_alive=True)),
        ([(CO, b"closed")], framing()),
    ],
)
def test_framing_fields_decide_length_and_persistence(fields, expected):
    assert read_framing(fields, minor=1) == expected


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([(TE, b"gzip")], 501, "not_implemented"),
        ([(TE, b"identity")], 501, "not_implemented"),
        ([(TE, b"")], 501, "not_implemented"),
        ([(TE, b"gzip, chunked")], 400, "bad_request"),
        ([(TE, b"chunked, chunked")], 400, "bad_request"),
        ([(TE, b"x" * 300), (TE, b"chunked")], 400, "bad_request"),
        ([(TE, b"chunked"), (TE, b"chunked")], 400, "bad_request"),
        ([(TE, b"xCHUNKED")], 400, "bad_request"),
        ([(TE, b"chunked"), (CL, b"1")], 400, "bad_request"),
        ([(CL, b"1"), (CL, b"1")], 400, "bad_request"),
        ([(CL, b"1, 1")], 400, "bad_request"),
        ([(CL, b"+1")], 400, "bad_request"),
        ([(CL, b"-0")], 400, "bad_request"),
        ([(CL, b"0x1")], 400, "bad_request"),
        ([(CL, b"")], 400, "bad_request"),
    ],
)
def test_ambiguous_framing_fields_are_rejected(fields, status, code):
    with pytest.raises(RemoteProtocolError) as caught:
        read_framing(fields, minor=1)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_transfer_coding_in_http_1_0_is_rejected():
    with pytest.raises(RemoteProtocolError, match=r"no transfer-encoding in HTTP/1\.0"):
        read_framing([(TE, b"chunked")], minor=0)
    assert read_framing([(CL, b"5")], minor=0).length == 5


def test_announced_length_is_checked_against_the_limit():
    check_body_length(5, 5)
    check_body_length(2**63 - 1, NO_BODY_LIMIT)
    with pytest.raises(LimitExceeded, match="at most 5 bytes, got 6") as caught:
        check_body_length(6, 5)
    assert (caught.value.status, caught.value.limit) == (413, "body")
    with pytest.raises(LimitExceeded, match=r"got more than 2\*\*63"):
        check_body_length(2**63, NO_BODY_LIMIT)

"""The fast and the exact parser of heads agree."""

import os
import random
import time
from contextlib import suppress
from itertools import pairwise, permutations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    Headers,
    Limits,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    _headers,
)
from kakuri_http._headers import LazyHeaders
from kakuri_http.core._fast_head import _MAX_CACHED_BLOCKS, _MAX_CACHED_HEADS, compile_fast_head
from kakuri_http.core._heads import HeadParser, parse_request_head

from .cases import load, raw

LIMITS = Limits()
FAST = compile_fast_head(LIMITS)


def exactly(data, limits=LIMITS):
    parser = HeadParser(limits, folds=False)
    complete, end = parser.parse(data, 0)
    if not complete:
        return None
    request, framing = parse_request_head(parser.start_line, parser.fields, limits)
    assert not framing.chunked or request.length is None
    return request, end


def seen(request):
    return (
        request.method, request.target, request.path, request.query_string, request.host,
        request.http_version, request.length, request.keep_alive, request.expects_continue,
        list(request.headers),
    )  # fmt: skip


def agree(data, fast=FAST, limits=LIMITS):
    """Return whether the fast parser matched; a repeated head may come from its caches."""
    quick = fast(data, 0)
    if quick is None:
        return False
    slow = exactly(data, limits)
    assert slow is not None
    for before in (b"", b"", b"GET "):
        again = fast(before + data, len(before))
        assert seen(quick[0]) == seen(again[0]) == seen(slow[0])
        assert quick[1] == again[1] - len(before) == slow[1]
    return True


NAMES = st.sampled_from(
    ["Host", "host", "Content-Length", "CONTENT-LENGTH", "Transfer-Encoding", "Connection",
     "Expect", "Accept", "X", "Content-Length ", "Hos", "Hostx", "Upgrade", "TE", "", "É"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["a", "a:80", "a:99999", "[::1]", "5", "05", "+5", "", " ", "chunked", "close", "keep-alive",
     "Keep-Alive", "100-continue", "a\tb", " a ", "\x00", "\r", "é", "a b", "1" * 20, "a:", "*/*"]
)  # fmt: skip
SPACES = st.sampled_from(["", " ", "  ", "\t"])
LINES = st.builds(lambda n, s, v, t: f"{n}:{s}{v}{t}", NAMES, SPACES, VALUES, SPACES)
TARGETS = st.sampled_from(
    ["/", "/a", "/a/b", "//", "/a//b", "/.", "/..", "/.a", "/a/../b", "/%41", "/a?b", "/a?", "/a?b?c",
     "*", "a", "http://a/", "/a#b", "/\x7f", "/ä", "/a?%41", "/a:b@c", "/a/"]
) | st.from_regex(r"/[a-z/.%?&=]{0,8}", fullmatch=True)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "get", "OPTIONS", "FOO", "CONNECT", "", "HEAD", "PATCH"])
VERSIONS = st.sampled_from(
    ["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "]
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"])


@st.composite
def heads(draw):
    start = f"{draw(METHODS)} {draw(TARGETS)} {draw(VERSIONS)}"
    lines = [start, *draw(st.lists(LINES, max_size=5))]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(1, len(lines))), "Host: a")
    return "".join(line + draw(ENDS) for line in [*lines, ""]).encode("latin-1", "replace")


@given(heads())
@settings(max_examples=300, deadline=None)
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
def test_fast_and_exact_parser_agree_on_generated_heads(data):
    agree(data)


def test_usual_head_is_matched_by_the_fast_parser():
    assert agree(b"GET /a/b?c=d HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\n\r\nrest")
    assert agree(
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nConnection: keep-alive\r\n\r\n"
    )


def test_usual_fields_are_matched_by_the_fast_parser_in_any_order():
    fields = [b"Host: a:80", b"Content-Length: 5", b"Content-Type: text/plain", b"Hosts: b"]
    for lines in permutations(fields):
        assert agree(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % b"\r\n".join(lines))


def test_head_without_host_is_left_to_the_exact_parser():
    for lines in (b"", b"Accept: */*\r\n", b"Hosts: a\r\n"):
        assert FAST(b"GET / HTTP/1.1\r\n" + lines + b"\r\n", 0) is None


def test_repeated_host_is_left_to_the_exact_parser():
    head = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nHost: a\r\n\r\n"
    assert FAST(head, 0) is None


def test_fast_and_exact_parser_agree_on_ports():
    read_fast = [
        agree(b"GET / HTTP/1.1\r\nHost: a:%d\r\n\r\n" % port)
        for port in [0, 1, 80, 999, 6500, 8080, 9999, 10000, 32768, 59999, 60999, 64999]
    ]
    assert all(read_fast)
    assert not agree(b"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n")
    assert not FAST(b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 0)


def test_fast_and_exact_parser_agree_on_the_corpus():
    matched = [agree(raw(case, "request")) for case in load("requests.json")]
    assert 10 < sum(matched) < len(matched)


def test_fast_and_exact_parser_agree_near_the_limits():
    limits = Limits(fields=3, field_line=40, request_line=60, head=100)
    fast = compile_fast_head(limits)
    for fields in range(6):
        for length in range(110):
            data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * fields
            data += b"X: " + b"x" * length + b"\r\n\r\n"
            agree(data, fast, limits)


# Raise it for a long run: KAKURI_HEADS=1000000.
MUTATED_HEADS = int(os.environ.get("KAKURI_HEADS", "4000"))
ORDINARY = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/b?c=d&e HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\nUser-Agent: x/1\r\n\r\n",
    b"POST /workloads HTTP/1.1\r\nHost: a.b:1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
    b"PUT /a-b/~c/ HTTP/1.1\r\nhost:a\r\ncontent-length:0\r\nConnection: keep-alive\r\n\r\n",
    b"DELETE /a/.b HTTP/1.1\r\nHost: [::1]:80\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n",
    b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nAccept: */*\r\nHost: a:80\r\nUser-Agent: x\r\n\r\n",
    b"GET /%41/b%2Fc?d=%20 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
]  # fmt: skip
# Tokens that are mostly not allowed where they are inserted.
TOKENS = [
    b"/", b".", b"/.", b"/..", b"//", b"%", b"%4", b"%2e", b":", b":8", b":65536", b":064", b"?",
    b" ", b"\t", b"\r", b"\n", b"\r\n", b"\r\n ", b"\x00", b"\xff", b"#", b",", b"0", b"+", b"a",
    b"Host: b\r\n", b"HOST: b\r\n", b"Content-Length: 5\r\n", b"CONTENT-LENGTH: 6\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Expect: x\r\n", b"X: y\r\n",
    b"Cookie: a\r\n", b"Hosts: a\r\n", b"Content-Lengths: 1\r\n", b"Connection: keep-alive, x\r\n",
]  # fmt: skip


def mutated(chance):
    """Change an ordinary head in one to three places."""
    head = bytearray(chance.choice(ORDINARY))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        # A token is most likely to be wrong at the end of another one.
        ends = [at for at, byte in enumerate(head) if byte in b"/?: .\r\n%"]
        at = chance.choice(ends) if ends and chance.random() < 0.7 else chance.randrange(len(head))
        until = min(len(head), at + chance.choice([0, 0, 1, 1, 2, 8]))
        replacement = chance.choice([b"", chance.choice(TOKENS), chance.randbytes(1)])
        head[at:until] = replacement
        head = head or bytearray(b"G")
    return bytes(head)


def test_fast_and_exact_parser_agree_on_each_token_at_each_place():
    heads_with_one_change = (
        head[:at] + token + head[until:]
        for head in ORDINARY
        for at in range(len(head))
        for until in (at, at + 1)
        for token in [*TOKENS, b""]
    )
    assert sum(map(agree, heads_with_one_change)) > 5000


def test_fast_and_exact_parser_agree_on_mutated_heads():
    chance = random.Random(20261126)
    matched = sum(agree(mutated(chance)) for _ in range(MUTATED_HEADS))
    assert MUTATED_HEADS // 20 < matched < MUTATED_HEADS


def test_dot_segment_at_the_end_of_a_path_is_left_to_the_exact_parser():
    for target in (b"/.", b"/..", b"/a/.", b"/a/..", b"/a/.b", b"/a//", b"//"):
        assert FAST(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 0) is None


def test_host_with_an_empty_or_repeated_port_is_left_to_the_exact_parser():
    for host in (b"a:", b"a:80:", b"a:80:80", b"a:8x", b"a: ", b":80", b""):
        assert FAST(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 0) is None


def test_head_with_as_many_fields_as_allowed_is_matched_by_the_fast_parser():
    fast = compile_fast_head(Limits(fields=1))
    assert fast(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0)
    assert fast(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", 0) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_fast_and_exact_parser_agree_on_heads_with_noise(noise, more):
    agree(b"GET / HTTP/1.1\r\nHost: a\r\n" + noise + b"\r\n\r\n" + more)


def test_near_miss_of_the_fast_parser_takes_linear_time():
    began = time.process_time()
    for near in (
        b"GET /" + b"a/" * 32_000 + b"\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"Z",
        b"GET / HTTP/1.1\r\nX: " + b" \t" * 32_000 + b"\x00\r\n\r\n",
        b"GET /?" + b"a=b&" * 16_000 + b" HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a." * 32_000 + b"\x00\r\n\r\n",
    ):
        assert FAST(near, 0) is None
        with suppress(RemoteProtocolError):
            exactly(
                near, Limits(head=1 << 20, field_line=1 << 20, request_line=1 << 20, fields=1 << 20)
            )
    assert time.process_time() - began < 1.0


@given(heads(), NAMES)
@settings(max_examples=100, deadline=None)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n", "X")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nY: x: 1\r\n\r\n", "X")
def test_lazy_field_lookup_finds_what_splitting_finds(data, name):
    quick = FAST(data, 0)
    if quick is None:
        return
    searched = quick[0].headers
    split = Headers(list(FAST(data, 0)[0].headers))
    assert searched.get(name) == split.get(name)
    assert (name in searched) is (name in split)
    if name in split:
        assert searched[name] == split[name]
    assert searched == split


def through_events(data):
    core, seen = ServerConnection(), []
    core.receive_data(data)
    while True:
        event = core.next_event()
        if isinstance(event, Request):
            seen.append(event)
        elif isinstance(event, Data):
            seen[0].body += event.data
        elif not isinstance(event, EndOfMessage):
            return seen[0], event


@given(heads(), st.binary(max_size=8))
@settings(max_examples=150, deadline=None)
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"")
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", b"ab")
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", b"abc")
def test_receive_request_returns_the_request_of_the_events(head, content):
    core = ServerConnection()
    request = core.receive_request(head + content)
    if request is None:
        return
    other, last = through_events(head + content)
    assert seen(request) == seen(other)
    assert request.body == other.body == content
    assert core.next_event() is last is PAUSED


def test_head_is_found_in_the_cache_after_it_arrived_three_times():
    fast = compile_fast_head(LIMITS)
    head = b"POST /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\n"
    requests = [fast(head, 0)[0] for _ in range(5)]
    first, second, third, fourth, fifth = [request.repeated_head for request in requests]
    assert first is second is third is None
    assert fourth is fifth is not None
    assert len({id(request) for request in requests}) == 5
    assert seen(requests[0]) == seen(requests[4])


def test_head_with_known_fields_is_found_in_the_cache_after_it_arrived_twice():
    fast = compile_fast_head(LIMITS)
    fields = b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for path in (b"/a", b"/b", b"/c"):
        fast(b"GET " + path + fields, 0)
    requests = [fast(b"GET /d" + fields, 0)[0] for _ in range(3)]
    assert [request.repeated_head is not None for request in requests] == [False, False, True]


def test_heads_with_unrepeated_fields_are_not_cached():
    fast = compile_fast_head(LIMITS)
    for number in range(10):
        fast(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % number, 0)
    reader = fast.__self__
    assert not reader._heads._seen
    assert not reader._heads._values
    assert not reader._fields._values


@pytest.mark.parametrize("at", range(50))
def test_head_that_differs_in_one_byte_from_a_cached_one_is_parsed(at):
    fast = compile_fast_head(LIMITS)
    head = b"GET /ab HTTP/1.1\r\nHost: ab\r\nAccept: text/plain\r\n\r\n"
    for _ in range(4):
        assert agree(head, fast)
    for byte in b"a.\r\n :":
        changed = head[:at] + bytes([byte]) + head[at + 1 :]
        if changed != head:
            with suppress(RemoteProtocolError):
                agree(changed, fast)
            quick = fast(changed, 0)
            assert quick is None or quick[0].repeated_head is None or agree(changed, fast)


def test_cached_head_is_found_in_the_middle_of_pipelined_requests():
    fast = compile_fast_head(LIMITS)
    head = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(4):
        fast(head, 0)
    request, end = fast(head + head + head, len(head))
    assert request.repeated_head is not None
    assert end == 2 * len(head)


def test_repeated_head_beyond_a_limit_is_left_to_the_exact_parser():
    head = b"GET /aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    for limits in (LIMITS, Limits(request_line=40), Limits(head=50), Limits(fields=1)):
        fast = compile_fast_head(limits)
        found = [fast(head, 0) for _ in range(4)]
        assert all(found) if limits is LIMITS else not any(found)


def test_cached_head_with_content_over_the_limit_is_rejected():
    limits = Limits(body=4)
    read_fast = compile_fast_head(limits)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    for _ in range(4):
        core = ServerConnection(limits, read_fast)
        assert core.receive_request(head + b"12345") is None
        assert isinstance(core.next_event(), Request)
        with pytest.raises(RemoteProtocolError, match="at most 4 bytes"):
            core.next_event()


def test_head_with_a_new_request_line_and_cached_fields_shares_the_fields():
    fast = compile_fast_head(LIMITS)
    fields = b"Host: a:80\r\nContent-Length: 5\r\nX: y\r\n\r\n"
    for line in (b"GET /", b"POST /a"):
        first, _ = fast(line + b" HTTP/1.1\r\n" + fields, 0)
        assert first.headers.get("x") == "y"
    again, end = fast(b"....PUT /b?c HTTP/1.1\r\n" + fields + b"rest", 4)
    assert again.headers is first.headers
    assert seen(again) == ("PUT", "/b?c", "/b", "c", "a:80", "1.1", 5, True, False,
                           [("Host", "a:80"), ("Content-Length", "5"), ("X", "y")])  # fmt: skip
    assert end == len(b"....PUT /b?c HTTP/1.1\r\n" + fields)


@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a\r\nX: y\r\nX: z\r\n\r\n",
        b"Host: a\r\nX: y\r\n",
        b"Host: a\r\nX: Y\r\n\r\n",
        b"Host: a\r\n\r\n",
        b"\r\n",
        b"",
    ],
)
def test_head_with_fields_other_than_the_cached_ones_is_read_as_by_the_exact_parser(fields):
    fast = compile_fast_head(LIMITS)
    assert agree(b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", fast)
    data = b"GET /b HTTP/1.1\r\n" + fields
    with suppress(RemoteProtocolError):
        assert agree(data, fast) == (fields.endswith(b"\r\n\r\n"))
    assert agree(b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", fast)


def test_head_with_repeated_fields_is_held_to_the_limits():
    limits = Limits(request_line=40)
    fast = compile_fast_head(limits)
    fields = b"Host: a\r\n\r\n"
    for _ in range(3):
        assert fast(b"GET / HTTP/1.1\r\n" + fields, 0)
    assert fast(b"GET /" + b"a" * 40 + b" HTTP/1.1\r\n" + fields, 0) is None


@pytest.mark.parametrize(("size", "is_cached"), [(512, True), (513, False)])
def test_head_is_cached_up_to_512_bytes(size, is_cached):
    fast = compile_fast_head(LIMITS)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n"
    head %= b"c" * (size - len(head) + 2)
    assert len(head) == size
    requests = [fast(head, 0)[0] for _ in range(4)]
    assert (requests[3].repeated_head is not None) is is_cached
    assert (requests[3].headers is requests[2].headers) is is_cached


def test_number_of_cached_heads_and_fields_is_bounded():
    fast = compile_fast_head(LIMITS)
    for number in range(2000):
        for _ in range(3):
            fast(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % (number, number), 0)
    reader = fast.__self__
    assert len(reader._heads._values) == _MAX_CACHED_HEADS
    assert len(reader._fields._values) == _MAX_CACHED_BLOCKS


def test_field_that_was_found_or_missed_once_has_the_same_value_again():
    fast = compile_fast_head(LIMITS)
    request, _ = fast(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nx: z\r\n\r\n", 0)
    for _ in range(2):
        assert request.headers.get("X") == request.headers.get("x") == "y, z"
        assert request.headers.get("none") is None
        assert request.headers.get("none", "default") == "default"
        for number in range(100):  # more names than are remembered
            assert request.headers.get(f"n-{number}") is None
    assert len(request.headers._lookups) < 20


def events_of(pieces, limits, read_fast):
    """Return what a core reports for bytes that arrive in pieces, until its first error."""
    core, found = ServerConnection(limits, read_fast), []
    for piece in pieces:
        request = core.receive_request(piece)
        if request is not None:
            found += [*seen(request), request.body, "end"]
            core.send(Response(200))
        try:
            while (event := core.next_event()) is not NEED_DATA:
                if isinstance(event, Request):
                    found += [*seen(event), b""]
                elif isinstance(event, Data):
                    found[-1] += event.data
                elif isinstance(event, EndOfMessage):
                    found.append("end")
                    core.send(Response(200))
                else:
                    return [*found, type(event)]
        except RemoteProtocolError as error:
            return [*found, str(error)]
    return found


@pytest.mark.parametrize(
    "limits",
    [LIMITS, Limits(head=90), Limits(request_line=24), Limits(fields=3), Limits(body=4)],
    ids=str,
)
def test_repeated_heads_in_pieces_and_pipelined_are_read_as_by_the_exact_parser(limits):
    chance = random.Random(20261127)
    read_fast = compile_fast_head(limits)
    heads = [head for head in ORDINARY if b"Length: 5" not in head]
    posts = [head + b"12345" for head in ORDINARY if b"Length: 5" in head]
    ordinary = [*heads, *posts]
    for request in ordinary:
        for _ in range(3):
            read_fast(request, 0)
    for _ in range(400):
        requests = chance.choices([*ordinary, mutated(chance)], k=chance.choice([1, 2, 5]))
        stream = b"".join(requests)
        cuts = sorted(chance.choices(range(len(stream) + 1), k=chance.choice([0, 0, 1, 3])))
        pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)]) if a < b]
        exact = events_of(pieces, limits, lambda data, position: None)
        assert events_of(pieces, limits, read_fast) == exact


@pytest.mark.skipif(
    not _headers.__file__.endswith(".py"), reason="compiled code does not call Block.decode"
)
def test_fields_that_another_thread_splits_at_the_same_time_are_not_repeated():
    class Block(bytes):
        def decode(self, *encoding):
            nonlocal others
            if others is None:
                others = []
                others = list(headers)  # as another thread does, of a request with this head
            return super().decode(*encoding)

    others = None
    headers = LazyHeaders(Block(b"A: 1\r\nB: 2\r\n"))
    assert list(headers) == others == [("A", "1"), ("B", "2")]

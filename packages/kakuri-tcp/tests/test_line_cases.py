"""The cases of line-delimited JSON, at the level of framing: which lines a stream has.

The content of a line is up to its reader, so `json` is used here.
"""

import asyncio
import json
import random
import socket
from pathlib import Path

import pytest
from kakuri_tcp import Endpoint, IncompleteLine, LineTooLong, listen_lines

CASES = json.loads((Path(__file__).parent / "cases/line-json.json").read_text())
FOLLOWER = b'{"type":"GetStatus","id":"next"}'
LIMIT = 1_048_576
MOST_LINES = 20_000


def stream_of(case):
    parts = case.get("parts_latin1") or [[chunk, 1] for chunk in case["chunks_latin1"]]
    # A tenth of the longest case shows the same, because its lines are equal.
    return b"".join(
        text.encode("latin-1") * (min(times, MOST_LINES) if text.endswith("\n") else times)
        for text, times in parts
    )


def ways_to_cut(case, stream):
    """Yield the stream in the pieces of its case, whole, in single bytes if quick, and at random."""
    yield [stream]
    if chunks := case.get("chunks_latin1"):
        yield [chunk.encode("latin-1") for chunk in chunks]
    if len(stream) < 10_000:
        yield [stream[i : i + 1] for i in range(len(stream))]
    generator = random.Random(case["name"])
    for _ in range(5 if len(stream) < 1_000_000 else 1):
        cuts = sorted(generator.choices(range(len(stream) + 1), k=20))
        yield [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def test_corpus_of_lines_is_not_empty():
    assert len(CASES) >= 38
    assert sum("messages" in case and bool(case["messages"]) for case in CASES) >= 9


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case_decodes_to_the_same_lines_for_every_split(decode, case):
    stream = stream_of(case)
    # Only LF ends a line; inside a JSON document, it is always escaped.
    pieces = stream.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in pieces[:-1]]
    fault = IncompleteLine if pieces[-1] else type(None)
    for number, line in enumerate(expected):
        if len(line) > LIMIT:
            expected, fault = expected[:number], LineTooLong
            break
    for chunks in ways_to_cut(case, stream):
        assert b"".join(chunks) == stream
        lines, error = decode(chunks, eof=True, limit=LIMIT)
        assert lines == expected
        assert type(error) is fault
        if error is None:
            assert decode([*chunks, FOLLOWER + b"\n"], limit=LIMIT) == ([*expected, FOLLOWER], None)
    if case.get("messages"):
        assert [json.loads(line) for line in expected] == case["messages"]
    if "count" in case:
        assert len(expected) == case["count"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_case_gets_a_reply_for_every_line(decode, case):
    """Send the case over a real socket; an invalid line gets a last reply."""
    stream = stream_of(case)
    lines, error = decode([stream], eof=True, limit=LIMIT)
    async with await listen_lines(
        Endpoint.parse("127.0.0.1:0"), lambda line: b"ok", on_fault=lambda error: b"fault"
    ) as server:
        with socket.socket() as peer:
            peer.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(peer, ("127.0.0.1", server.endpoint.port))
            sending = asyncio.ensure_future(loop.sock_sendall(peer, stream))
            sending.add_done_callback(lambda sent: peer.shutdown(socket.SHUT_WR))
            received = b""
            while data := await loop.sock_recv(peer, 1_000_000):
                received += data
            await sending
    assert received == b"ok\n" * len(lines) + (b"fault\n" if error else b"")

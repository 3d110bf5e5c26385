"""Arbitrary bytes, cut arbitrarily, at both roles' cores: legal events or a protocol error.

    python fuzz_core.py [-max_total_time=600] [DIRECTORY]      with atheris, guided by coverage
    python fuzz_core.py --random SECONDS                    without it: mutated cases of the corpus

What is checked: nothing but ProtocolError is raised; cutting the bytes elsewhere changes nothing;
the fast expression and the exact parser agree; no more content comes out than bytes went in.
"""

import contextlib
import json
import random
import sys
import time
from pathlib import Path

from kakuri_http import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Headers,
    InterimResponse,
    ProtocolError,
    Request,
    Response,
    ServerConnection,
)

CORPUS = Path(__file__).parents[1] / "tests/corpus"
MAX_EVENTS = 100_000


def run_server(pieces):
    core, seen = ServerConnection(), []
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            request = core.receive_request(piece)
            if request is not None:
                fields = list(request.headers)
                seen.append([request.method, request.target, fields, request.body, True])
                core.send(Response(200, b"x"))
            for _ in range(MAX_EVENTS):
                event = core.next_event()
                if isinstance(event, Request):
                    seen.append([event.method, event.target, list(event.headers), b"", False])
                elif isinstance(event, Data):
                    seen[-1][3] += event.data
                elif isinstance(event, EndOfMessage):
                    seen[-1][4] = True
                    core.send(Response(200, b"x"))
                elif event is NEED_DATA or isinstance(event, ConnectionClosed):
                    break
            else:
                raise AssertionError("the events never end")
        core.receive_eof()
        core.next_event()
    return seen


def run_client(pieces, method):
    core, seen = ClientConnection(), []
    core.send(Request(method, "/", Headers(), host="a"))
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            core.receive_data(piece)
            for _ in range(MAX_EVENTS):
                event = core.next_event()
                if isinstance(event, Response):
                    seen.append([event.status, list(event.headers), b"", False])
                elif isinstance(event, Data):
                    seen[-1][2] += event.data
                elif isinstance(event, EndOfMessage):
                    seen[-1][3] = True
                elif not isinstance(event, InterimResponse):
                    assert event in (NEED_DATA, PAUSED) or isinstance(event, ConnectionClosed)
                    break
            else:
                raise AssertionError("the events never end")
        core.receive_eof()
        core.next_event()
    return seen


def complete(messages):
    """Return the complete messages; how much of the last one arrived depends on the cuts."""
    return [message for message in messages if message[-1]]


def check(data):
    """Run one input; its first byte chooses cuts and method."""
    if not data:
        return
    step, data = data[0] % 16 + 1, data[1:]
    method = ("GET", "HEAD", "POST")[step % 3]
    cut = [data[i : i + step] for i in range(0, len(data), step)]
    for run in (run_server, lambda pieces: run_client(pieces, method)):
        whole, pieces = run([data]), run(cut)
        assert complete(whole) == complete(pieces)
        assert sum(len(message[-2]) for message in whole) <= len(data)


def corpus():
    for name, kind in (("requests.json", "request"), ("responses.json", "response")):
        for case in json.loads((CORPUS / name).read_text()):
            if text := case.get(f"raw_{kind}_latin1"):
                yield b"\x07" + text.encode("latin-1")


def mutated(chooser, seeds):
    data = bytearray(chooser.choice(seeds))
    for _ in range(chooser.randint(1, 6)):
        where = chooser.randrange(len(data) + 1)
        match chooser.randrange(5):
            case 0:
                data[where:where] = bytes([chooser.randrange(256)])
            case 1:
                del data[where : where + chooser.randint(1, 4)]
            case 2:
                data[where : where + 1] = bytes([chooser.choice(b"\r\n \t:;,0a\x00\xff")])
            case 3:
                other = chooser.choice(seeds)
                start = chooser.randrange(len(other))
                data[where:where] = other[start : start + chooser.randint(1, 40)]
            case 4:
                data += chooser.choice(seeds)[1:]
    return bytes(data)


def run_random(seconds):
    seed = random.SystemRandom().randrange(1 << 32)
    chooser, seeds = random.Random(seed), list(corpus())
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        data = mutated(chooser, seeds)
        try:
            check(data)
        except BaseException:
            print(f"seed {seed}, input {data!r}", file=sys.stderr)
            raise
        count += 1
    print(f"{count} inputs, nothing found")


def run_guided():
    import atheris  # noqa: PLC0415 - only this way of running needs it

    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--random"]:
        run_random(float(sys.argv[2]))
    else:
        run_guided()

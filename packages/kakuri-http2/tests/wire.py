"""Frames for tests: written by hand, and read back."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

TYPES = {
    "DATA": 0, "HEADERS": 1, "PRIORITY": 2, "RST_STREAM": 3, "SETTINGS": 4, "PUSH_PROMISE": 5,
    "PING": 6, "GOAWAY": 7, "WINDOW_UPDATE": 8, "CONTINUATION": 9,
}  # fmt: skip
FLAGS = {"END_STREAM": 1, "ACK": 1, "END_HEADERS": 4, "PADDED": 8, "PRIORITY": 0x20}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Frame(NamedTuple):
    """A frame as it was read."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int | str, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Return a frame."""
    number = TYPES[kind] if isinstance(kind, str) else kind
    head = len(payload).to_bytes(3, "big") + bytes((number, flags))
    return head + stream.to_bytes(4, "big") + payload


def block(*fields: tuple[str | bytes, str | bytes]) -> bytes:
    """Return fields as literals without indexing and without Huffman coding."""
    data = b""
    for field in fields:
        data += b"\0"
        for text in field:
            encoded = text.encode("latin-1") if isinstance(text, str) else text
            data += integer(len(encoded), 7) + encoded
    return data


def integer(value: int, bits: int) -> bytes:
    """Return an HPACK integer with a prefix of some bits."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((value,))
    data, value = bytes((limit,)), value - limit
    while value > 127:
        data += bytes((value & 127 | 128,))
        value >>= 7
    return data + bytes((value,))


def settings(**values: int) -> bytes:
    """Return a SETTINGS frame; keys are `s1`, `s2` and so on by their number."""
    return frame("SETTINGS", payload=b"".join(
        int(key[1:]).to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values.items()
    ))  # fmt: skip


def read(data: bytes) -> Iterator[Frame]:
    """Yield the frames of what a connection sent, its preface left out."""
    data = data.removeprefix(PREFACE)
    while data:
        length = int.from_bytes(data[:3], "big")
        stream = int.from_bytes(data[5:9], "big")
        yield Frame(data[3], data[4], stream, data[9 : 9 + length])
        data = data[9 + length :]


def feed(connection: Any, data: bytes, cuts: str) -> list[Any]:
    """Pass data to a connection whole, byte by byte, or cut at random; return the events."""
    pieces = [data]
    if cuts == "bytes":
        pieces = [data[start : start + 1] for start in range(len(data))]
    elif cuts == "random":
        chance = random.Random(len(data))
        pieces, start = [], 0
        while start < len(data):
            size = chance.choice([1, 2, 8, 9, 10, 64, 1000, 20_000])
            pieces.append(data[start : start + size])
            start += size
    events = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            events.append(event)
    return events


CUTS = ["whole", "bytes", "random"]

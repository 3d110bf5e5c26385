"""Measures that what a peer sends takes time in proportion to its size: n, then 2n.

A ratio far above 2 would mean that a peer can cause far more work than it sends bytes. The last
rows are a response of 16 MiB from a server to a client, with the peak memory.
"""

import contextlib
import sys
import time
import tracemalloc
from collections.abc import Callable

from kakuri_http2 import (
    ClientConnection,
    Data,
    HeaderListTooLarge,
    Limits,
    Request,
    Response,
    ServerConnection,
)
from kakuri_http2._frames import DATA, PING, frame
from kakuri_http2.hpack import Decoder, _huffman
from kakuri_http2.hpack._encoder import encode_integer
from rich.console import Console
from rich.table import Table

ROUNDS = 5
MIB = 1 << 20


def huffman_block(n: int) -> bytes:
    """Return a header block with one value of n Huffman-coded bytes."""
    coded = _huffman.encode(b"0" * (n * 8 // 5))  # five bits each
    return b"\x40\x01x" + encode_integer(len(coded), 7, 0x80) + coded


def decode(block: bytes) -> None:
    """Decode a header block of any size."""
    with contextlib.suppress(HeaderListTooLarge):
        Decoder(max_list_size=1 << 30).decode(block)


def receive(data: bytes) -> None:
    """Feed a client with frames, 64 KiB at a time."""
    limits = Limits(idle_frames=10**9, unsent_control_frames=10**9, empty_frames=10**9)
    connection = ClientConnection(limits)
    connection.receive_data(frame(4, 0, 0))
    connection.send(Request(b"GET", b"/", end=True))
    connection.receive_data(frame(1, 4, 1, b"\x88"))
    for start in range(0, len(data), 65_536):
        connection.receive_data(data[start : start + 65_536])
        while connection.next_event() is not None:
            pass
        connection.consumed(1, 1 << 20)
        connection.data_to_send()


CASES: dict[str, tuple[Callable[[int], bytes], Callable[[bytes], None], int]] = {
    "Huffman-coded bytes": (huffman_block, decode, MIB // 2),
    "fields without indexing": (lambda n: b"\x00\x01a\x01b" * n, decode, 50_000),
    "fields with indexing": (lambda n: b"\x40\x01a\x01b" * n, decode, 50_000),
    "fields from the table": (lambda n: b"\x40\x01a\x01b" + b"\xbe" * n, decode, 100_000),
    "DATA of one byte": (lambda n: frame(DATA, 0, 1, b"x") * n, receive, 20_000),
    "empty DATA": (lambda n: frame(DATA, 0, 1) * n, receive, 20_000),
    "PING": (lambda n: frame(PING, 0, 0, bytes(8)) * n, receive, 20_000),
    "DATA of 16 KiB": (lambda n: frame(DATA, 0, 1, bytes(16_384)) * n, receive, 500),
}


def seconds(work: Callable[[bytes], None], data: bytes) -> float:
    """Return the CPU time for some data, at best."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work(data)
        times.append(time.process_time() - start)
    return min(times)


def transfer(size: int) -> None:
    """Send a response of some size from a server to a client, which reads it all."""
    client = ClientConnection()
    server = ServerConnection()
    stream = client.send(Request(b"GET", b"/", end=True))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.send(Response(stream, 200))
    server.send(Data(stream, bytes(size), end=True))
    pieces: list[bytes] = []
    while client.open_streams:
        client.receive_data(server.data_to_send())
        while (event := client.next_event()) is not None:
            if isinstance(event, Data):
                pieces.append(event.data)
                client.consumed(stream, len(event.data))
        server.receive_data(client.data_to_send())
    assert len(b"".join(pieces)) == size


def main() -> None:
    table = Table(title=f"CPython {sys.version.split()[0]}, best of {ROUNDS}")
    for heading in ("input", "bytes", "ms", "ms for twice as many", "ratio"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for name, (make, work, n) in CASES.items():
        data = make(n)
        one, two = seconds(work, data), seconds(work, make(2 * n))
        table.add_row(name, f"{len(data):,}", f"{one * 1e3:.1f}", f"{two * 1e3:.1f}",
                      f"{two / one:.2f}")  # fmt: skip
    Console().print(table)

    taken = min(seconds(lambda _: transfer(16 * MIB), b"") for _ in range(3))
    tracemalloc.start()
    transfer(16 * MIB)
    peak = tracemalloc.get_traced_memory()[1]
    print(f"a response of 16 MiB, both sides: {16 * MIB / taken / 1e6:.0f} MB/s,"
          f" at its peak {peak / (16 * MIB):.2f} times its size")  # fmt: skip


if __name__ == "__main__":
    main()

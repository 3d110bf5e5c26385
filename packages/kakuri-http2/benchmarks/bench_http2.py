"""Compares the core with `h2` and HPACK decoding with `hpack`, in one run, round by round."""

import statistics
import sys
import time
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import hpack
from kakuri_http2 import ClientConnection, Data, Request, Response, ServerConnection, Trailers
from kakuri_http2.hpack import Decoder, Encoder
from rich.console import Console
from rich.table import Table

ROUNDS = 7
FIELDS = ((b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"user-agent", b"bench"))
RESPONSE_FIELDS = ((b"content-type", b"application/grpc"),)


def our_exchange() -> Callable[[], object]:
    """Return a function that does one exchange of our client with recorded responses."""
    client, server = ClientConnection(), ServerConnection()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())

    def respond(stream: int, data: bytes) -> bytes:
        server.receive_data(data)
        while server.next_event() is not None:
            pass
        server.send(Response(stream, 200, RESPONSE_FIELDS))
        server.send(Data(stream, b"x" * 200))
        server.send(Trailers(stream, ((b"grpc-status", b"0"),)))
        return server.data_to_send()

    def exchange() -> None:
        stream = client.send(Request(b"POST", b"/x/Y", b"localhost", FIELDS))
        client.send(Data(stream, b"y" * 80, end=True))
        client.receive_data(respond(stream, client.data_to_send()))
        while (event := client.next_event()) is not None:
            if isinstance(event, Data):
                client.consumed(stream, len(event.data))

    return exchange


class Kept:
    """A receiver that keeps what comes, as a gRPC call does."""

    __slots__ = ("fields", "pieces", "status", "trailers")

    def __init__(self) -> None:
        self.status = 0
        self.fields: object = None
        self.pieces: list[bytes] = []
        self.trailers: object = None

    def receive_head(self, status: int, fields: object, *, is_end: bool) -> None:
        self.status = status
        self.fields = fields

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        self.pieces.append(data)
        return True

    def receive_trailers(self, fields: object) -> None:
        self.trailers = fields

    def receive_reset(self, reset: object) -> None:
        raise AssertionError(reset)

    def drained(self) -> None:
        pass


def our_exchange_with_receivers() -> Callable[[], object]:
    """Return the same with a prepared request, and objects instead of events."""
    requests: list[Request] = []

    def accept(request: Request) -> Kept:
        requests.append(request)
        return Kept()

    client, server = ClientConnection(), ServerConnection(None, accept)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    prepared = client.prepare(Request(b"POST", b"/x/Y", b"localhost", FIELDS))

    def exchange() -> None:
        call = Kept()
        client.start(prepared, call, content=b"y" * 80, is_end=True)
        server.receive_data(client.data_to_send())
        stream = requests.pop().stream
        server.send(Response(stream, 200, RESPONSE_FIELDS))
        server.send(Data(stream, b"x" * 200))
        server.send(Trailers(stream, ((b"grpc-status", b"0"),)))
        client.receive_data(server.data_to_send())
        assert call.trailers is not None

    return exchange


def other_exchange() -> Callable[[], object]:
    """Return the same with h2 on both sides."""
    client, server = (
        h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=side, header_encoding=None)
        )
        for side in (True, False)
    )
    client.initiate_connection()
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    head = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x/Y"),
        (b":authority", b"localhost"), *FIELDS,
    ]  # fmt: skip

    def exchange() -> None:
        stream = client.get_next_available_stream_id()
        client.send_headers(stream, head)
        client.send_data(stream, b"y" * 80, end_stream=True)
        for event in server.receive_data(client.data_to_send()):
            if isinstance(event, h2.events.DataReceived):
                server.acknowledge_received_data(event.flow_controlled_length, stream)
        server.send_headers(stream, [(b":status", b"200"), *RESPONSE_FIELDS])
        server.send_data(stream, b"x" * 200)
        server.send_headers(stream, [(b"grpc-status", b"0")], end_stream=True)
        for event in client.receive_data(server.data_to_send()):
            if isinstance(event, h2.events.DataReceived):
                client.acknowledge_received_data(event.flow_controlled_length, stream)

    return exchange


def blocks() -> list[bytes]:
    """Return header blocks as a browser sends them: some fields change, most do not."""
    encoder = Encoder()
    return [
        encoder.encode((
            (b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"www.example.com"),
            (b":path", b"/assets/%d/style.css" % number), (b"user-agent", b"Mozilla/5.0 (X11)"),
            (b"accept", b"text/css,*/*;q=0.1"), (b"accept-language", b"en-US,en;q=0.5"),
            (b"cookie", b"session=%040d" % (number // 10)),
            (b"if-none-match", b'"%016x"' % (number * 7919)),
        ))
        for number in range(200)
    ]  # fmt: skip


def microseconds(work: Callable[[], object], number: int) -> float:
    """Return what one call takes, in microseconds of CPU."""
    start = time.process_time()
    for _ in range(number):
        work()
    return (time.process_time() - start) / number * 1e6


def main() -> None:
    recorded = blocks()

    def decode_ours() -> None:
        decoder = Decoder()
        for block in recorded:
            decoder.decode(block)

    def decode_theirs() -> None:
        decoder = hpack.Decoder()
        for block in recorded:
            decoder.decode(block, raw=True)

    rows = {
        "one exchange, both sides, events": (our_exchange, other_exchange, 1000, 1),
        "one exchange, both sides, receivers": (
            our_exchange_with_receivers,
            other_exchange,
            1000,
            1,
        ),
        "decode a header block": (lambda: decode_ours, lambda: decode_theirs, 5, len(recorded)),
    }
    table = Table(title=f"µs of CPU, CPython {sys.version.split()[0]}, median of {ROUNDS} rounds")
    for heading in ("work", "kakuri-http2", "h2, hpack", "times as fast"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    for work, (make_ours, make_theirs, number, parts) in rows.items():
        ours, theirs = make_ours(), make_theirs()
        pairs = [
            (microseconds(ours, number) / parts, microseconds(theirs, number) / parts)
            for _ in range(ROUNDS)
        ]
        table.add_row(
            work,
            f"{statistics.median(a for a, _ in pairs):.1f}",
            f"{statistics.median(b for _, b in pairs):.1f}",
            f"{statistics.median(b / a for a, b in pairs):.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()

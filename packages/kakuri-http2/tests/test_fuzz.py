"""Mutated and random traffic: the result of another library, or an error of this one."""

import contextlib
import random

import pytest
from hpack import Decoder as OtherDecoder
from hpack import Encoder as OtherEncoder
from hpack.exceptions import HPACKError as OtherError
from kakuri_http2 import (
    ClientConnection,
    ConnectionEnded,
    Data,
    ErrorCode,
    HeaderListTooLarge,
    HPACKError,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    ServerConnection,
    StreamReset,
    Trailers,
)
from kakuri_http2.hpack import Decoder, Encoder

from tools.fuzzing import seeds

from .audit import Audit
from .wire import PREFACE, TYPES, block, frame, settings

FIELDS = [
    (b":status", b"200"), (b":path", b"/index.html"), (b"content-type", b"application/grpc"),
    (b"cookie", b"a=b"), (b"x-a", b""), (b"x-long", b"y" * 300), (b"te", b"trailers"),
    (b"x-b", bytes(range(0x80, 0x90))), (b"grpc-status", b"0"), (b"date", b"now"),
]  # fmt: skip


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Return data with a few bytes changed, inserted, removed or repeated."""
    result = bytearray(data)
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        place = chance.randrange(len(result) + 1)
        match chance.randrange(5):
            case 0:
                result.insert(place, chance.choice([0, 0x20, 0x3F, 0x7F, 0x80, 0xFF]))
            case 1:
                result[place:place] = result[place : place + chance.randrange(20)]
            case 2:
                del result[place : place + chance.choice([1, 1, 5])]
            case 3 if place < len(result):
                result[place] ^= 1 << chance.randrange(8)
            case 4 if place < len(result):
                result[place] = chance.randrange(256)
    return bytes(result)


def test_mutated_header_blocks_decode_equally_or_are_rejected_by_both_libraries():
    for seed in seeds(1500):
        chance = random.Random(seed)
        encoder = chance.choice([Encoder, OtherEncoder])()
        ours, theirs = Decoder(), OtherDecoder(max_header_list_size=65_536)
        for _ in range(10):
            fields = tuple(chance.choice(FIELDS) for _ in range(chance.randrange(6)))
            data = mutated(chance, encoder.encode(fields))
            try:
                result = ours.decode(data)
            except (HPACKError, HeaderListTooLarge) as error:
                if not is_stricter(error):
                    with pytest.raises((OtherError, IndexError)):
                        theirs.decode(data, raw=True)
                break
            assert tuple(theirs.decode(data, raw=True)) == result, (seed, data.hex())
            assert ours.table.size <= ours.table.max_size <= 4096


def is_stricter(error: Exception) -> bool:
    """Return whether an error is about something that the other library accepts."""
    return "integer of at most" in str(error) or "size update" in str(error)


# One core, and a peer that breaks the protocol.

REQUEST = block((":method", "POST"), (":scheme", "http"), (":path", "/"), ("a", "b"))
RESPONSE = block((":status", "200"), ("a", "b"))


def some_frame(chance: random.Random, head: bytes) -> bytes:
    """Return a frame that is valid in most cases."""
    stream = chance.choice([0, 1, 1, 1, 2, 3, 3, 5, 7, 9, 101, (1 << 31) - 1])
    small = chance.choice([0, 1, 2, 100, 65_535, 1 << 20, (1 << 31) - 1, 1 << 31])
    match chance.randrange(13):
        case 0 | 1 | 2:
            return frame("HEADERS", chance.choice([4, 5, 4, 5, 0, 1, 12, 0x24, 255]), stream, head)
        case 3 | 4 | 5:
            size = chance.choice([0, 1, 10, 1000, 16_384, 16_385])
            return frame("DATA", chance.choice([0, 0, 1, 8, 255]), stream, bytes(size))
        case 6:
            return frame("RST_STREAM", 0, stream, chance.choice([0, 7, 8, 99]).to_bytes(4, "big"))
        case 7:
            key = chance.choice([1, 2, 3, 4, 4, 4, 5, 6, 9])
            value = chance.choice([0, 1, 100, 16_384, 65_535, 1 << 20, 1 << 31])
            return settings(**{f"s{key}": value})
        case 8:
            return frame("PING", chance.choice([0, 1]), 0, bytes(8))
        case 9:
            last = chance.choice([0, 1, 3, (1 << 31) - 1]).to_bytes(4, "big")
            return frame("GOAWAY", 0, 0, last + bytes(4))
        case 10:
            number = chance.choice([0, stream])
            return frame("WINDOW_UPDATE", 0, number, small.to_bytes(4, "big"))
        case 11:
            return frame("CONTINUATION", chance.choice([0, 4]), stream, head)
        case _:
            kind = chance.choice([*TYPES.values(), 10, 255])
            return frame(kind, chance.randrange(256), stream, chance.randbytes(chance.randrange(9)))


def act(chance: random.Random, connection) -> None:
    """Do what a program may do, on a stream that is open."""
    is_client = isinstance(connection, ClientConnection)
    if is_client and connection.available_streams and chance.random() < 0.3:
        with contextlib.suppress(LocalProtocolError):  # the peer accepts fewer fields
            connection.send(Request(b"POST", b"/", end=chance.random() < 0.3))
    if not connection._streams:
        return
    number = chance.choice([*connection._streams])
    stream = connection._streams[number]
    connection.consumed(number, chance.choice([0, 1, stream.unread]))
    if stream.state.value in ("open", "half-closed (remote)") and not stream.is_ending:
        if not is_client and not stream.has_sent_head:
            connection.send(Response(number, 200, end=chance.random() < 0.2))
        elif chance.random() < 0.8:
            content = bytes(chance.choice([0, 1, 1000, 70_000]))
            connection.send(Data(number, content, end=chance.random() < 0.3))
        else:
            connection.send(Trailers(number, ((b"a", b"b"),)))
    elif chance.random() < 0.2:
        connection.reset(number)


@pytest.mark.parametrize("make", [ServerConnection, ClientConnection])
def test_core_stays_within_the_protocol_whatever_its_peer_sends(make):
    limits = Limits(stream_window=65_535, connection_window=100_000, concurrent_streams=3)
    for seed in seeds(600):
        chance = random.Random(seed)
        connection = make(limits)
        audit = Audit(connection)
        head = REQUEST if make is ServerConnection else RESPONSE
        data = b"" if make is ClientConnection else PREFACE
        audit.receive(data + settings())
        for _ in range(chance.randrange(30)):
            piece = some_frame(chance, head)
            if chance.random() < 0.2:
                piece = mutated(chance, piece)
            cut = chance.randrange(len(piece) + 1)
            audit.receive(piece[:cut])
            audit.receive(piece[cut:])
            if not connection.is_over and chance.random() < 0.7:
                act(chance, connection)
            audit.send()
            if connection.is_over:
                break
        audit.end()


# Two cores, in any order.


class Program:
    """A program at one end, which acts at random and records what it does."""

    def __init__(self, connection, chance: random.Random) -> None:
        self.connection = connection
        self.chance = chance
        self.sent: dict[int, bytes] = {}
        self.received: dict[int, bytes] = {}
        self.complete: set[int] = set()
        self.reset: set[int] = set()
        self.wire = b""

    def read(self) -> None:
        """Handle the events that arrived."""
        while (event := self.connection.next_event()) is not None:
            assert not isinstance(event, ConnectionEnded), event
            if isinstance(event, Data):
                self.received[event.stream] = self.received.get(event.stream, b"") + event.data
            if isinstance(event, StreamReset):
                assert event.code == ErrorCode.CANCEL
                self.reset.add(event.stream)
            if isinstance(event, Trailers) or getattr(event, "end", False):
                self.complete.add(event.stream)

    def consume(self) -> None:
        """Return credit for all content that arrived."""
        for stream in self.connection._streams.values():
            self.connection.consumed(stream.number, stream.unread)

    def finish(self) -> None:
        """End this side of every stream."""
        for number, stream in [*self.connection._streams.items()]:
            if stream.state.value in ("open", "half-closed (remote)") and not stream.is_ending:
                if not stream.has_sent_head:
                    self.connection.send(Response(number, 200))
                self.connection.send(Trailers(number, ((b"end", b"1"),)))

    def step(self) -> None:
        """Do one thing."""
        chance, connection = self.chance, self.connection
        is_client = isinstance(connection, ClientConnection)
        if is_client and connection.available_streams and chance.random() < 0.3:
            connection.send(
                Request(b"POST", b"/x", b"localhost", ((b"n", b"%d" % len(self.sent)),))
            )
        if not connection._streams:
            return
        number = chance.choice([*connection._streams])
        stream = connection._streams[number]
        match chance.randrange(8):
            case 0:
                connection.ping(bytes(8))
            case 1 if chance.random() < 0.3:
                connection.reset(number)
                self.reset.add(number)
            case 2 | 3:
                connection.consumed(number, chance.randrange(stream.unread + 1))
            case _ if stream.state.value in ("open", "half-closed (remote)"):
                if stream.is_ending:
                    return
                if not stream.has_sent_head:
                    connection.send(Response(number, chance.choice([103, 200, 200])))
                    return
                content = chance.randbytes(chance.choice([0, 1, 50, 20_000, 150_000]))
                self.sent[number] = self.sent.get(number, b"") + content
                connection.send(Data(number, content, end=chance.random() < 0.2))


def deliver(chance: random.Random, sender: Program, receiver: Program, *, whole: bool) -> None:
    """Move some of what a program has sent to the other."""
    sender.wire += sender.connection.data_to_send()
    size = len(sender.wire) if whole else chance.choice([1, 9, 100, 5000, 100_000])
    data, sender.wire = sender.wire[:size], sender.wire[size:]
    receiver.connection.receive_data(data)
    receiver.read()


def test_client_and_server_agree_whatever_the_order_and_the_cuts():
    limits = Limits(stream_window=65_535, connection_window=100_000, concurrent_streams=5)
    for seed in seeds(60):
        chance = random.Random(seed)
        client = Program(ClientConnection(limits), chance)
        server = Program(ServerConnection(limits), chance)
        deliver(chance, server, client, whole=True)
        for _ in range(150):
            chance.choice([client, server]).step()
            ends = chance.choice([(client, server), (server, client)])
            deliver(chance, *ends, whole=chance.random() < 0.2)
        for _ in range(200):
            for program in (client, server):
                program.consume()
                program.finish()
            deliver(chance, client, server, whole=True)
            deliver(chance, server, client, whole=True)
            if not (client.connection.open_streams or server.connection.open_streams):
                break
        for one, other in ((client, server), (server, client)):
            assert one.connection.open_streams == 0
            assert not one.connection.is_over
            assert one.connection._receive_window + one.connection._credit == 100_000
            whole = other.complete - client.reset - server.reset
            assert {n: one.sent.get(n, b"") for n in whole} == {
                n: other.received.get(n, b"") for n in whole
            }, seed

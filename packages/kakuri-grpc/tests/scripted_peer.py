"""A server that a test scripts: frames in both directions, without a socket."""

import asyncio
from typing import Any, NamedTuple

from kakuri_grpc import _connections
from kakuri_grpc._framing import frame_message
from kakuri_http2 import _frames as frames
from kakuri_http2.hpack import Encoder
from kakuri_tcp import ConnectFailed

GOOD_HEAD = ((b":status", b"200"), (b"content-type", b"application/grpc"))
OK = ((b"grpc-status", b"0"),)


class Frame(NamedTuple):
    """A frame that the client sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Peer:
    """One connection, seen from the server, and the transport of the client's driver.

    Attributes:
        driver: the client's driver.
        received: the frames of the client, its preface left out.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.received: list[Frame] = []
        self.is_closed = False
        self._pending = b""
        self._encoder = Encoder()
        driver.connection_made(self)

    # The transport.

    def write(self, data: bytes) -> None:
        self._pending = (self._pending + data).removeprefix(frames.PREFACE)
        while len(self._pending) >= 9:
            size = int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < 9 + size:
                break
            kind, flags = self._pending[3:5]
            stream = int.from_bytes(self._pending[5:9], "big")
            self.received.append(Frame(kind, flags, stream, self._pending[9 : 9 + size]))
            self._pending = self._pending[9 + size :]

    def close(self) -> None:
        self.lose()

    def is_closing(self) -> bool:
        return self.is_closed

    # What the test sends.

    def send(self, *pieces: bytes) -> None:
        """Send frames in one piece."""
        self.driver.data_received(b"".join(pieces))

    def settings(self, **values: int) -> None:
        """Send SETTINGS; keys are `s1`, `s2` and so on by their number."""
        self.send(frames.settings_frame({int(key[1:]): value for key, value in values.items()}))

    def head(self, stream: int, fields: Any = GOOD_HEAD, *, end: bool = False) -> bytes:
        block = self._encoder.encode(fields)
        return frames.header_frames(block, stream, frames.END_STREAM * end, 16_384)

    def data(self, stream: int, content: bytes, *, end: bool = False) -> bytes:
        return frames.frame(frames.DATA, frames.END_STREAM * end, stream, content)

    def message(self, stream: int, message: bytes = b"") -> bytes:
        return self.data(stream, frame_message(message))

    def trailers(self, stream: int, fields: Any = OK) -> bytes:
        return self.head(stream, fields, end=True)

    def respond(self, stream: int, message: bytes = b"") -> None:
        """Send a whole response."""
        self.send(self.head(stream), self.message(stream, message), self.trailers(stream))

    def reset(self, stream: int, code: int) -> bytes:
        return frames.rst_stream(stream, code)

    def goaway(self, last: int, code: int = 0, debug: bytes = b"") -> bytes:
        return frames.goaway(last, code, debug)

    def window(self, stream: int, increment: int) -> bytes:
        return frames.window_update(stream, increment)

    def lose(self, error: Exception | None = None) -> None:
        """End the transport, as after `close` or an error."""
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.driver.connection_lost, error)

    # What the test observes.

    def of_kind(self, kind: int, stream: int | None = None) -> list[Frame]:
        return [
            one for one in self.received if one.kind == kind and stream in (None, one.stream)
        ]  # fmt: skip

    def content(self, stream: int) -> bytes:
        """Return the content that arrived on a stream."""
        return b"".join(one.payload for one in self.of_kind(frames.DATA, stream))

    @property
    def streams(self) -> list[int]:
        """Return the streams that were opened."""
        return [one.stream for one in self.of_kind(frames.HEADERS)]


class Network:
    """Stands for `connect`: each connection is a Peer that the test controls.

    Attributes:
        peers: the connections so far.
        settings: what each new peer sends first.
        opening: what it sends instead.
        refuses: how many of the next attempts fail.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.peers: list[Peer] = []
        self.settings: dict[str, int] = {}
        self.opening: bytes | None = None
        self.refuses = 0
        monkeypatch.setattr(_connections, "connect", self._connect)

    async def _connect(self, endpoint: Any, factory: Any, **_: Any) -> Any:
        await asyncio.sleep(0)
        if self.refuses:
            self.refuses -= 1
            raise ConnectFailed(str(endpoint), "connection refused")
        peer = Peer(factory())
        self.peers.append(peer)
        if self.opening is None:
            peer.settings(**self.settings)
        else:
            peer.send(self.opening)
        return peer.driver

    async def peer(self, number: int = 0) -> Peer:
        """Wait for a connection."""
        await turns(lambda: len(self.peers) > number)
        return self.peers[number]


async def turns(check: Any, most: int = 200) -> None:
    """Wait for turns of the event loop until a condition holds."""
    for _ in range(most):
        if check():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition does not hold")

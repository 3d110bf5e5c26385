"""Checks everything that a core sends, with its own record of windows and streams."""

from kakuri_http2._frames import PREFACE

from .wire import TYPES, read

DEFAULT_WINDOW = 65_535


class Audit:
    """Feeds a connection, and checks everything that it sends against the peer's settings.

    Windows are those that the peer has granted. Nothing may follow a GOAWAY that ended the
    connection, and no DATA may follow the end or the reset of its stream.
    """

    def __init__(self, connection) -> None:
        self.connection = connection
        self._pending = b""
        self._has_preface = type(connection).__name__ == "ClientConnection"
        self._window = DEFAULT_WINDOW
        self._initial = DEFAULT_WINDOW
        self._frame_size = 16_384
        self._streams: dict[int, int] = {}
        self._ended: set[int] = set()
        self._is_over = False
        self.send()

    def receive(self, data: bytes) -> None:
        """Pass bytes to the connection, and record what they grant."""
        self.connection.receive_data(data)
        self._pending += data
        if not self._has_preface and len(self._pending) >= len(PREFACE):
            self._pending = self._pending[len(PREFACE) :]
            self._has_preface = True
        while len(self._pending) >= 9:
            size = 9 + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < size:
                break
            self._note(self._pending[:size])
            self._pending = self._pending[size:]

    def _note(self, data: bytes) -> None:
        """Note a frame of the peer. After a fault the connection is over, and nothing is checked."""
        kind, flags, number, payload = next(iter(read(data)))
        number &= 0x7FFFFFFF
        if kind == TYPES["WINDOW_UPDATE"]:
            increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
            if number:
                self._streams[number] = self._streams.get(number, self._initial) + increment
            else:
                self._window += increment
        elif kind == TYPES["SETTINGS"] and not flags & 1:
            for start in range(0, len(payload) - 5, 6):
                key = int.from_bytes(payload[start : start + 2], "big")
                value = int.from_bytes(payload[start + 2 : start + 6], "big")
                if key == 4:
                    for stream in self._streams:
                        self._streams[stream] += value - self._initial
                    self._initial = value
                elif key == 5 and 16_384 <= value < 1 << 24:
                    self._frame_size = value

    def send(self) -> None:
        """Check what the connection sends now."""
        limits = self.connection.limits
        assert len(self.connection._streams) <= max(limits.concurrent_streams, 100)
        assert 0 <= self.connection._receive_window <= limits.connection_window
        assert self.connection._control_frames <= limits.unsent_control_frames
        while data := self.connection.data_to_send():
            for one in read(data):
                self._check(one)
        while self.connection.next_event() is not None:
            pass

    def _check(self, one) -> None:
        assert not self._is_over, one
        assert one.stream not in self._ended or one.kind == TYPES["RST_STREAM"], one
        assert len(one.payload) <= self._frame_size
        if one.kind == TYPES["DATA"]:
            size = len(one.payload)
            left = self._streams.get(one.stream, self._initial)
            assert size <= max(0, min(left, self._window)), one
            self._streams[one.stream] = left - size
            self._window -= size
        elif one.kind == TYPES["HEADERS"]:
            self._streams.setdefault(one.stream, self._initial)
        if one.kind in (TYPES["DATA"], TYPES["HEADERS"]) and one.flags & 1:
            self._ended.add(one.stream)
        if one.kind == TYPES["RST_STREAM"]:
            self._ended.add(one.stream)
        if one.kind == TYPES["GOAWAY"]:
            assert self.connection.is_over
            self._is_over = True

    def end(self) -> None:
        """End the transport, and check that nothing is left."""
        self.connection.receive_eof()
        self.send()
        assert self.connection.is_over
        assert self.connection.data_to_send() == b""
        assert self.connection.next_event() is None
        assert not self.connection._streams

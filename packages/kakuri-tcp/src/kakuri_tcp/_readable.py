"""The receiving direction of a connection: its end, and the reasons not to read at present."""

import asyncio

_READ_SIZE = 65_536

# Reasons to pause reading; a connection is read while none of them applies.
BY_PROTOCOL, BY_TURNS, BY_BUDGET = 1, 2, 4

# A connection with more unprocessed bytes is not read until its next turn, because it would receive
# more in each turn than it can process.
PAUSE_ABOVE_BYTES = 65_536


class Readable(asyncio.Protocol):
    """A connection whose reading can be paused for several reasons at once."""

    __slots__ = ("_closing_since", "_eof", "_pauses", "_transport")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._closing_since: float | None = None
        self._eof = False
        self._pauses = 0

    @property
    def was_opened(self) -> bool:
        """Whether the transport was ever connected.

        A server creates the object earlier, when it accepts the socket.
        """
        return self._transport is not None or self._closing_since is not None

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closing or closed, or a write has failed."""
        transport = self._transport
        return transport is None or self._closing_since is not None or transport.is_closing()

    @property
    def has_eof(self) -> bool:
        """Whether the peer has ended its side."""
        return self._eof

    def receive_undelivered(self) -> None:
        """Process decrypted data that the event loop drops with a lost TLS connection.

        This happens while reading is paused: with uvloop when the peer closes, and with both loops
        when the peer resets the connection. All of the data is processed at once, at most what
        OpenSSL and the event loop buffer, until the connection is closed from this side.
        """
        transport = self._transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if tls is None:
            return
        import ssl  # noqa: PLC0415 (loaded already, as the connection has TLS)

        try:
            while self._closing_since is None and (data := tls.read(_READ_SIZE)):
                self.data_received(data)
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError:
            return  # there is no more, and no close_notify
        if self._closing_since is None:
            self.eof_received()

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading`; may be called at any time, any number of times.

        One more call of `data_received` may follow, with data that the event loop has already read.
        After a pause in `opened`, that happens on uvloop only.
        """
        self.pause_for(BY_PROTOCOL)

    def resume_reading(self) -> None:
        """Resume reading; has no effect if reading is not paused."""
        self.resume_for(BY_PROTOCOL)

    def pause_for(self, reason: int) -> None:
        """Stop reading for one of the reasons."""
        self._pauses |= reason
        transport = self._transport
        if transport is not None and not self._eof and not self.is_closing:
            transport.pause_reading()

    def resume_for(self, reason: int) -> None:
        """Read again if that was the only reason."""
        self._pauses &= ~reason
        transport = self._transport
        if not self._pauses and transport is not None and not self._eof and not self.is_closing:
            transport.resume_reading()

    def reading_begins(self) -> None:
        """Repeat a pause that was requested before the connection was open.

        The event loop starts to read after `connection_made`, even if reading was paused in it:
        asyncio before Python 3.11.7 in its next callback, uvloop immediately.
        """
        if self._pauses:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pause_again)
            loop.call_soon(loop.call_soon, self._pause_again)

    def _pause_again(self) -> None:
        transport = self._transport
        if self._pauses and transport is not None and not self._eof and not self.is_closing:
            transport.resume_reading()  # a transport that is paused by its own record does nothing
            transport.pause_reading()

"""A connection between its last reply and the end of the peer's stream."""

import asyncio
from typing import Protocol

from kakuri_tcp._limits import ServerLimits


class Replaced(Protocol):
    """The connection that `Lingering` replaces as the transport's protocol."""

    limits: ServerLimits
    is_writing_paused: bool

    def account_output(self) -> None:
        """Report the number of held bytes of output."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the transport."""


class Lingering(asyncio.Protocol):
    """The protocol of a connection that has sent its last reply: it drops all further input."""

    def __init__(self, connection: Replaced, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        limits = connection.limits
        self._left = limits.linger_bytes
        # Lingering is rare, so a timer for each connection is cheap enough.
        self._timer = asyncio.get_running_loop().call_later(limits.linger_timeout, transport.close)

    def data_received(self, data: bytes) -> None:
        """Drop bytes, up to the limit; asyncio calls this."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def eof_received(self) -> None:
        """Close; asyncio calls this."""
        self._transport.close()

    def pause_writing(self) -> None:
        """Mark writing as paused; asyncio calls this."""
        self._connection.is_writing_paused = True
        self._connection.account_output()

    def resume_writing(self) -> None:
        """Mark writing as possible again; asyncio calls this."""
        self._connection.is_writing_paused = False
        self._connection.account_output()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the transport to the connection; asyncio calls this."""
        self._timer.cancel()
        self._connection.connection_lost(exc)

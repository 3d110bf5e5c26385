"""Connections over TLS on blocking sockets."""

import socket
import ssl
from typing import Any

from kakuri_tcp._blocking_connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectionLost
from kakuri_tcp._reasons import is_truncation
from kakuri_tcp._tls import tls_for


class TLSConnection(Connection):
    """A connection over TLS."""

    def __init__(self, connected: ssl.SSLSocket, peer: str) -> None:
        super().__init__(connected, peer)
        self._tls_socket = connected

    def receive(self) -> bytes:
        """Wait for data and return it; see `Connection.receive`."""
        try:
            return super().receive()
        except ssl.SSLWantReadError as error:
            raise BlockingIOError(str(error)) from error
        except ssl.SSLError as error:
            if not is_truncation(error):
                raise
            raise ConnectionLost(f"{self.peer} closed TLS without close_notify") from error

    def has_input(self) -> bool:
        """Return whether data or the end of the stream has arrived; see `Connection.has_input`."""
        return bool(self._tls_socket.pending()) or super().has_input()


class TLSOpener:
    """Opens TLS connections over connected sockets; checks its settings before any connection."""

    def __init__(self, endpoint: Endpoint, tls: Any) -> None:
        """Read the files of the settings. Raises EndpointError, TLSSettingsError, TypeError."""
        self._context, self._server_name = tls_for(endpoint, tls)

    def open(self, connected: socket.socket, peer: str) -> Connection:
        """Perform the handshake and return the connection; close the socket if it fails."""
        assert self._context is not None  # the endpoint's scheme is "tls"
        try:
            wrapped = self._context.wrap_socket(
                connected, server_hostname=self._server_name, suppress_ragged_eofs=False
            )
        except OSError:
            connected.close()
            raise
        return TLSConnection(wrapped, peer)

"""What a client reports when a response can't be read to its end."""

from kakuri_http._errors import ConnectionBroken, HTTPError, RemoteProtocolError
from kakuri_http.core._connection import CutOff


def connection_closed(peer: str) -> ConnectionBroken:
    """Return the error for a connection that closed before the response was complete."""
    return ConnectionBroken(f"{peer} closed the connection before the response was complete")


def response_fault(error: RemoteProtocolError, peer: str) -> HTTPError:
    """Return what a client raises for an error of its core.

    A response that is cut off is not the server's mistake in HTTP: its process ended or the network
    failed. So it is a broken connection, whether the end was orderly or a reset.
    """
    if not isinstance(error, CutOff):
        return error
    broken = connection_closed(peer)
    broken.__cause__ = error
    return broken

"""Connecting: a name or a path in, an open connection or one clear error out."""

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

from kakuri_tcp._connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import ConnectFailed

C = TypeVar("C", bound=Connection)

# RFC 8305 section 5: the wait before the next address is tried beside the first.
_ATTEMPT_DELAY = 0.25


async def connect(endpoint: Endpoint, factory: Callable[[], C], *, timeout: float) -> C:
    """Open a connection to an endpoint.

    Args:
        endpoint: where to connect; all addresses of a host name are tried.
        factory: makes the connection, which is given back opened.
        timeout: seconds for name resolution, connecting and the TLS handshake together.

    Raises:
        ConnectFailed: it could not be reached; says who, where and why.

    """
    loop = asyncio.get_running_loop()
    if endpoint.scheme != "tcp":
        raise ConnectFailed(str(endpoint), f"the scheme {endpoint.scheme!r} is not supported")
    try:
        async with asyncio.timeout(timeout):
            transport, connection = await loop.create_connection(
                factory, endpoint.host, endpoint.port, happy_eyeballs_delay=_ATTEMPT_DELAY
            )
    except TimeoutError as error:
        raise ConnectFailed(str(endpoint), f"it took longer than {timeout:g} s") from error
    except OSError as error:
        raise ConnectFailed(str(endpoint), _reason(error)) from error
    # A port of the range that the kernel takes for outgoing connections can be connected to
    # itself when nobody listens there.
    if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        connection.abort()
        raise ConnectFailed(str(endpoint), "nobody listens there")
    return connection


def _reason(error: OSError) -> str:
    # asyncio writes its own text over the system's; of several addresses it tells all of them.
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return text[:1].lower() + text[1:]

"""The check that a server of this machine runs as a trusted user.

A command that sends one request imports this module, so it must not import slow ones.
"""

import errno
import functools
import os
import socket
from collections.abc import Collection

from kakuri_tcp._errors import ConnectFailed, UntrustedServer
from kakuri_tcp._socket_users import is_loopback, knows_users, server_user, unix_credentials

_TCP_ESTABLISHED = 1  # tcpi_state of struct tcp_info, tcp(7)

_FORWARDED = (
    "no process of this machine serves it; if the port is forwarded, connect to the address where "
    "the server listens"
)


def check_server(
    connected: socket.socket, endpoint: str, trusted_uids: Collection[int] | None
) -> None:
    """Check that a server of this machine runs as root, as this user or as a trusted one.

    Any user who may create files in a Unix socket's directory can put a server there, and any user
    can listen on a free port. The kernel records the user in both cases, so a server can't forge
    it. Servers on other machines, and users that the system doesn't report, are not checked.

    Args:
        connected: The client's socket.
        endpoint: The endpoint, for the error.
        trusted_uids: Users whose servers are trusted besides root and the user of this process;
            None to check only servers of Unix sockets.

    Raises:
        UntrustedServer: The server runs as another user.
        ConnectFailed: No process of this machine has the other end: a firewall probably forwards
            the port.
        OSError: The server has closed the connection, or the kernel could not be asked.
    """
    uid: int | None = None
    if connected.family == socket.AF_UNIX:
        server = unix_credentials(connected)
        uid = None if server is None else server[1]
    elif trusted_uids is not None and is_loopback(connected.getpeername()[0]):
        uid = server_user(connected)
        if uid is None:
            if not knows_users():
                _warn_of_unchecked_servers()
            elif _is_established(connected):
                raise ConnectFailed(endpoint, _FORWARDED)
            else:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    if uid is not None and uid not in {0, os.geteuid(), *(trusted_uids or ())}:
        raise UntrustedServer(endpoint, uid)


def _is_established(connected: socket.socket) -> bool:
    """Return whether the other end of a connection has neither closed nor reset it."""
    state: int = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == _TCP_ESTABLISHED


@functools.cache  # once
def _warn_of_unchecked_servers() -> None:
    import logging  # noqa: PLC0415 (commands of blocking sockets pay for what they need)

    logging.getLogger("kakuri_tcp").warning(
        "the kernel doesn't report the users of servers on loopback, so a server of another user "
        "of this machine can't be recognized"
    )

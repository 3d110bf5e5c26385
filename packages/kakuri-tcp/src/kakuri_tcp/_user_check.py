"""Which clients on loopback a server refuses because of their users."""

import logging
import socket

from kakuri_tcp._errors import ForbiddenUser
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._peers import Peer
from kakuri_tcp._socket_users import client_user, knows_users

_log = logging.getLogger("kakuri_tcp")

_MAX_LOGGED = 64  # users, each once


class UserCheck:
    """Checks the users of one server's clients on loopback."""

    def __init__(self, access: LocalAccess, server: str) -> None:
        """Create a check; `server` is its endpoint, for the log."""
        self._access = access
        self._server = server
        self._logged: set[int | None] = set()
        self._has_kernel_support: bool | None = None  # until a user is unknown

    def refusal(self, accepted: socket.socket, peer: Peer) -> ForbiddenUser | None:
        """Return why a client is refused; None for one that may connect, or is not on loopback."""
        if self._access.uids is None or not peer.is_loopback:
            return None
        uid = client_user(accepted)
        if self._access.admits_user(uid) if uid is not None else not self._knows_users(accepted):
            return None
        refusal = ForbiddenUser(uid)
        if uid not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(uid)
            _log.warning("%s: %s", self._server, refusal)
        return refusal

    def _knows_users(self, accepted: socket.socket) -> bool:
        """Return whether the kernel reports users at all."""
        if self._has_kernel_support is None:
            self._has_kernel_support = knows_users(accepted)
            if not self._has_kernel_support:
                _log.warning(
                    "%s: the kernel doesn't report the users of clients on loopback, so every user "
                    "of this machine may connect",
                    self._server,
                )
        return self._has_kernel_support

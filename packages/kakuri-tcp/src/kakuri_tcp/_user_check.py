"""The check of a server that clients on loopback run as permitted users."""

import logging
import socket
from dataclasses import replace

from kakuri_tcp._errors import ForbiddenUser, ListenFailed
from kakuri_tcp._listeners import ListeningSockets
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._peers import Peer
from kakuri_tcp._reasons import reason_of
from kakuri_tcp._socket_users import client_user, is_loopback, knows_users

_log = logging.getLogger("kakuri_tcp")

_MAX_LOGGED = 64  # users, each once


class UserCheck:
    """Checks the users of one server's clients on loopback."""

    def __init__(self, access: LocalAccess, listeners: ListeningSockets) -> None:
        """Create a check for a server that listens.

        Raises:
            ListenFailed: The kernel can't be asked whether it reports users.
        """
        self._access = access
        self._endpoint = listeners.endpoint
        self._logged: set[int | None] = set()
        is_needed = access.uids is not None or access.identify_users
        self._identifies = is_needed and self._endpoint.scheme != "unix"
        if not self._identifies:
            return
        try:
            self._identifies = knows_users()
        except OSError as error:
            raise ListenFailed(str(self._endpoint), reason_of(error)) from error
        if not self._identifies and access.uids is not None:
            _log.warning(
                "%s: the kernel doesn't report the users of clients on loopback, so every user of "
                "this machine may connect",
                self._endpoint,
            )

    def check(self, accepted: socket.socket, peer: Peer) -> tuple[Peer, ForbiddenUser | None]:
        """Return the peer with its user, and the reason to refuse it or None.

        A peer that is not on loopback is returned unchanged, and so is one whose user is not known
        if every user may connect.
        """
        if not self._identifies or not _is_local(accepted, peer):
            return peer, None
        cause = ""
        try:
            uid = client_user(accepted)
        except OSError as error:  # no descriptor is free, or the client has disconnected
            uid, cause = None, f": {reason_of(error)}"
        if uid is not None and self._access.admits_loopback_user(uid):
            return peer.with_user(uid), None
        if self._access.uids is None:
            return peer, None
        refusal = ForbiddenUser(uid, self._access.hint)
        if uid not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(uid)
            _log.warning("%s: %s%s", self._endpoint, refusal, cause)
        # Counted as a peer of its own, so that it can't use up the limit of others.
        return replace(peer, key=f"refused uid={uid}"), refusal


def _is_local(accepted: socket.socket, peer: Peer) -> bool:
    """Return whether a client connected over loopback.

    Its own address can be any address of this machine, so the address it connected to counts, too.
    """
    return peer.is_loopback or is_loopback(accepted.getsockname()[0])

"""Which users of this machine may connect to a server."""

import os
from collections.abc import Collection
from dataclasses import dataclass

from kakuri_tcp._limits import checked_uids
from kakuri_tcp._peers import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAccess:
    """Who on this machine may connect: to a Unix socket, and to an address on loopback.

    Attributes:
        mode: Mode of a Unix socket's file; users with write permission may connect.
        group: Name or number of the file's group; None for the default.
        uids: Users who may connect over loopback, besides root and the user of this process; None
            for every user.
        identify_users: Whether to find out the user of each client on loopback even if `uids`
            permits every user, so that each user counts as a peer of its own.
        hint: Text to append to the error that a refused user gets, such as the name of the option
            that admits users.
    """

    mode: int = 0o600
    group: str | int | None = None
    uids: Collection[int] | None = None
    identify_users: bool = False
    hint: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            TypeError: One has the wrong type, such as the str "600" as the mode.
            ValueError: The mode is not from 0 to 0o777, or a number is not that of a user.
        """
        mode: object = self.mode
        group: object = self.group
        if not isinstance(mode, int) or isinstance(mode, bool):
            raise TypeError(f"expected a mode such as 0o600, got {mode!r:.80}")
        if not 0 <= mode <= 0o777:
            raise ValueError(f"expected a mode from 0 to 0o777, got {mode:#o}")
        if not isinstance(group, str | int | None) or isinstance(group, bool):
            raise TypeError(f"expected the name or number of a group, got {group!r:.80}")
        hint: object = self.hint
        if not isinstance(hint, str):
            raise TypeError(f"expected a string as hint, got {hint!r:.80}")
        object.__setattr__(self, "uids", checked_uids(self.uids, "uids"))

    def admits_unix_peer(self, peer: Credentials) -> bool:
        """Return whether the mode permits a peer on a Unix socket.

        The kernel checks the file's mode when a peer connects. This repeats the check, in case
        another process has changed the mode since.
        """
        return bool(self.mode & 0o022) or peer.uid in {os.geteuid(), 0}

    def admits_loopback_user(self, uid: int) -> bool:
        """Return whether a user may connect over loopback."""
        return self.uids is None or uid in {os.geteuid(), 0, *self.uids}

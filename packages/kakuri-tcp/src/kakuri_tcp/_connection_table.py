"""A server's connections by peer, and which of them is closed to make room for a new one.

When a peer connects and the table is full, the connection that has been idle for the longest time
is closed: one of the same peer if that peer is at its limit, otherwise one of the peer with the
most connections. So a peer that only holds idle connections can't keep other peers out.
"""

import heapq
from collections import Counter

from kakuri_tcp._connection import Connection
from kakuri_tcp._limits import ServerLimits

# Candidates that one pass over all connections collects, so that a flood causes few passes.
_CANDIDATES = 256


class ConnectionTable:
    """The connections of a server, by peer."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._reserved = min(limits.reserved_connections, limits.connections // 8)
        self._peers: dict[Connection, str] = {}  # in the order of their arrival
        self._per_peer: Counter[str] = Counter()
        self._busy_peers: set[str] = set()  # peers without an idle connection since the sweep
        self._candidates: dict[str, list[Connection]] = {}  # by peer; the longest idle is last

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def connections(self) -> list[Connection]:
        """All connections, the oldest first."""
        return list(self._peers)

    def has_room(self, peer: str) -> bool:
        """Return whether a peer may have one more connection."""
        own = self._per_peer[peer]
        free = self._limits.connections - len(self._peers)
        return own < self._limits.connections_per_peer and free > (self._reserved if own else 0)

    def add(self, connection: Connection, peer: str) -> None:
        """Add a connection of a peer."""
        self._peers[connection] = peer
        self._per_peer[peer] += 1

    def remove(self, connection: Connection) -> bool:
        """Remove a connection; return whether it was in the table."""
        peer = self._peers.pop(connection, None)
        if peer is None:
            return False
        self._per_peer[peer] -= 1
        if not self._per_peer[peer]:
            del self._per_peer[peer]
        return True

    def longest_idle(self, peer: str) -> Connection | None:
        """Return the connection to close for a new one of `peer`, or None if all are busy.

        A connection with an incomplete request counts as idle, but comes after all those without
        one.
        """
        if not self._peers:
            return None
        if self._per_peer[peer] < self._limits.connections_per_peer:
            peer = self._per_peer.most_common(1)[0][0]
        while peer not in self._busy_peers:
            candidates = self._candidates.get(peer, [])
            while candidates:
                found = candidates.pop()
                if self._peers.get(found) == peer and not found.is_busy:
                    return found
            self._candidates[peer] = self._find_candidates(peer)
            if not self._candidates[peer]:
                self._busy_peers.add(peer)
        return None

    def sweep(self) -> None:
        """Drop the candidates of earlier passes; called about once a second."""
        self._busy_peers.clear()
        self._candidates.clear()

    def _find_candidates(self, peer: str) -> list[Connection]:
        idle = (
            connection
            for connection, key in self._peers.items()
            if key == peer and not connection.is_busy
        )
        return heapq.nsmallest(_CANDIDATES, idle, key=_idle_order)[::-1]


def _idle_order(connection: Connection) -> tuple[bool, float]:
    return connection.unprocessed() > 0, connection.quiet_since

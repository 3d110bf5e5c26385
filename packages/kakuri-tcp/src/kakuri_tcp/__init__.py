"""Endpoints, servers, clients and line framing over TCP and Unix sockets, for asyncio and for plain sockets."""

from kakuri_tcp._version import __version__

__all__ = ["__version__"]

"""Endpoints, servers, clients and line framing over TCP and Unix sockets."""

from kakuri_tcp._version import __version__

__all__ = ["__version__"]

"""HTTP/1.1 from the socket up: a sans-I/O core, a router, a server and a client."""

from kakuri_http._version import __version__

__all__ = ["__version__"]

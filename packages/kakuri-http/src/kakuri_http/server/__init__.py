"""The server: routes, handlers, problem details and the access log, over asyncio."""

from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import Request, Response
from kakuri_http.server._exchange import AccessEntry, AccessLog
from kakuri_http.server._problems import problem
from kakuri_http.server._router import Check, Handler, Route, Router
from kakuri_http.server._serve import serve

__all__ = [
    "AccessEntry",
    "AccessLog",
    "Check",
    "Handler",
    "Headers",
    "Limits",
    "Request",
    "Response",
    "Route",
    "Router",
    "problem",
    "serve",
]

"""What daemons with an HTTP API share: routes, queries, problem details, guards, serving."""

from kakuri_daemon.api._access import access_log
from kakuri_daemon.api._guard import HostGuard, refuse_browsers, refuse_other_sites
from kakuri_daemon.api._metrics import HTTPMetrics
from kakuri_daemon.api._problems import document_problem, query_problem
from kakuri_daemon.api._queries import QueryError, read_query
from kakuri_daemon.api._responses import json_response
from kakuri_daemon.api._router import APIRouter
from kakuri_daemon.api._server import serving

__all__ = [
    "APIRouter",
    "HTTPMetrics",
    "HostGuard",
    "QueryError",
    "access_log",
    "document_problem",
    "json_response",
    "query_problem",
    "read_query",
    "refuse_browsers",
    "refuse_other_sites",
    "serving",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__

"""A router for HTTP APIs: queries and errors are handled in one place, not in each handler."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kakuri_http import Request, Response, Router, problem
from kakuri_json import JSONError

from kakuri_daemon.api._problems import document_problem, query_problem
from kakuri_daemon.api._queries import QueryError, read_query, refuse_query
from kakuri_daemon.api._trace import accept_trace

MAX_PATH = 200
"""Longest path, in characters, that is compared with the routes: comparing takes quadratic time."""

SIMILARITY = 0.75
"""From 0 to 1: `/workload` and `/workloads/` are similar to `/workloads`, `/jobs` is not."""

SEGMENT_SIMILARITY = 0.6
"""The same for each segment: long paths with one other word, such as `/workloads/a/stop` and
`/workloads/a/log`, would be similar as a whole."""

Problems = Mapping[type[Exception], Callable[[Any], Response]]
"""For each kind of exception that handlers may raise, a function that returns its response."""

TYPED_PARAMETER = re.compile(r"/:(\w+)<(\w+)>")
"""A parameter of a pattern: its name and its type."""


@dataclass(frozen=True, slots=True)
class _InvalidID:
    """The value of a path parameter that can't be an id; handlers never get it."""

    text: str


def _read_id(valid: re.Pattern[str], text: str) -> str | _InvalidID:
    """Return an id, or an _InvalidID instead of raising ValueError: the path still has a route."""
    return text if valid.fullmatch(text) else _InvalidID(text)


class _UnknownID(Exception):
    """A path has an id that no resource of that kind can have."""


class APIRouter(Router):
    """A router whose handlers get a validated query, and may raise instead of returning an error.

        router = APIRouter({LookupError: not_found}, ids={"item": "[a-z]{1,20}"})
        router.add("GET", "/items", list_items, query=ListQuery)  # list_items(request, query)
        router.add("GET", "/items/:id<item>", get_item)           # get_item(request)

    A 404 for an unknown path suggests a similar one. A request for an id that can't exist, such as
    `/items/A`, is answered by "no item 'A'" and does not reach the handler.

    Each request has a trace: that of its `traceparent`, or a new one. Its response, problem details
    and log lines include it.

    Attributes:
        ids: The types of parameters, each with its regular expression.
        queries: The dataclass of the query of each route, such as `GET /items/:id<item>`.
    """

    def __init__(self, problems: Problems | None = None, *, ids: Mapping[str, str] = {}) -> None:
        """Create a router.

        Args:
            problems: The responses for exceptions of the handlers; the first entry that matches
                is used. QueryError and JSONError need no entry. Any other exception is the
                server's 500.
            ids: The types of parameters, each with the regular expression of its ids.
        """
        self.ids = {kind: re.compile(pattern) for kind, pattern in ids.items()}
        super().__init__({kind: partial(_read_id, valid) for kind, valid in self.ids.items()})
        self.check(accept_trace)
        self.queries: dict[str, type | None] = {}
        defaults: Problems = {
            QueryError: query_problem,
            JSONError: document_problem,
            _UnknownID: lambda error: problem(404, code="not_found", detail=str(error)),
        }
        self._problems = {**(problems or {}), **defaults}

    def add(
        self,
        method: str,
        pattern: str,
        handler: Callable[..., Response | Awaitable[Response]],
        *,
        streaming: bool = False,
        body_limit: int | None = None,
        query: type | None = None,
    ) -> None:
        """Add a route.

        Args:
            method: The method, such as GET.
            pattern: The path; `:name<type>` is a parameter whose type is one of `ids`.
            handler: A coroutine function, or a function that returns a Response. It is called
                with the request and, if `query` is given, the query.
            streaming: Whether the handler reads the content itself.
            body_limit: Bytes of content, if other than the server's limit.
            query: The dataclass of the query; None refuses every parameter.

        Raises:
            kakuri_http.RouteError: The pattern or the method is not valid.
            kakuri_http.RouteConflict: Another route has the same paths.
        """
        call = self._validating(handler, query, TYPED_PARAMETER.findall(pattern))
        super().add(method, pattern, call, streaming=streaming, body_limit=body_limit)
        self.queries[f"{method} {pattern}"] = query

    def unknown_path(self, request: Request) -> Response:
        """Return the response to an unknown path, with the most similar path or all paths."""
        detail = f"unknown path {request.path}"
        if similar := self.similar(request.path):
            detail += f"; did you mean {similar}?"
        else:
            patterns = dict.fromkeys(without_types(route.pattern) for route in self.routes)
            detail += f"; the paths are {', '.join(patterns)}"
        return problem(404, code="not_found", detail=detail)

    def similar(self, path: str) -> str | None:
        """Return the served path that is most similar to `path`, with the same parameters."""
        if len(path) > MAX_PATH:
            return None
        given = path.split("/")
        candidates = {}
        for route in self.routes:
            segments = without_types(route.pattern).split("/")
            for place, segment in enumerate(segments):
                if segment.startswith(":") and place < len(given) and given[place]:
                    segments[place] = given[place]
            if _resembles(segments, given):
                candidate = "/".join(segments)
                candidates[candidate.lower()] = candidate
        from difflib import get_close_matches  # noqa: PLC0415 (only this error needs it)

        found = get_close_matches(path.lower(), candidates, n=1, cutoff=SIMILARITY)
        return candidates[found[0]] if found else None

    def _validating(
        self,
        handler: Callable[..., Response | Awaitable[Response]],
        query: type | None,
        parameters: list[tuple[str, str]],
    ) -> Callable[[Request], Response | Awaitable[Response]]:
        """Return a function that validates the ids and the query, and calls the handler."""
        ids = [(name, kind) for name, kind in parameters if kind in self.ids]
        no_parameters = None if query is None else query()

        def call(request: Request) -> Any:
            for name, kind in ids:
                value = request.params[name]
                if value.__class__ is _InvalidID:
                    raise _UnknownID(f"no {kind} {value.text!r}")
            if query is None:
                if request.query_string:
                    refuse_query(request)
                return handler(request)
            given = read_query(request, query) if request.query_string else no_parameters
            return handler(request, given)

        return call

    def respond_to(self, error: Exception) -> Response | None:
        """Return the response to an exception of a handler; None if it is the server's fault."""
        for kind, make in self._problems.items():
            if isinstance(error, kind):
                return make(error)
        return None


def without_types(pattern: str) -> str:
    """Return a pattern without the types of its parameters: `/items/:id` for `/items/:id<item>`."""
    return TYPED_PARAMETER.sub(r"/:\1", pattern)


def _resembles(segments: list[str], given: list[str]) -> bool:
    """Return whether each segment is similar to the given one; True if their numbers differ."""
    from difflib import SequenceMatcher  # noqa: PLC0415 (only this error needs it)

    return len(segments) != len(given) or all(
        SequenceMatcher(None, one.lower(), other.lower()).ratio() >= SEGMENT_SIMILARITY
        for one, other in zip(segments, given, strict=True)
    )

"""Maps a method and a path to a handler.

Patterns, such as `/workloads/:id` and `/nodes/:index<int>`, form a tree of segments. A lookup walks
it once, so its cost depends on the length of the path and not on the number of routes. If both a
literal segment and a parameter match, the literal is tried first. A path without escapes that
equals a literal pattern is found in one step.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from kakuri_http._errors import RouteConflict, RouteError
from kakuri_http._limits import check_count
from kakuri_http._messages import Request, Response
from kakuri_http._url import percent_decode
from kakuri_http.core._grammar import token
from kakuri_http.server._patterns import (
    CONVERTERS,
    Converter,
    Parameter,
    Segment,
    parse_pattern,
)
from kakuri_http.server._problems import problem

Handler = Callable[[Request], Response | Awaitable[Response]]
Check = Callable[[Request], Response | None]
HandlerT = TypeVar("HandlerT", bound=Handler)
CheckT = TypeVar("CheckT", bound=Check)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that get 405 on a path that does not support them. Any other method gets 501, unless a
route has it."""

# TRACE would echo credentials (RFC 9110 9.3.8), CONNECT is for proxies (9.3.6).
_NEVER = frozenset({"TRACE", "CONNECT"})


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a router.

    Attributes:
        method: For example `GET`.
        pattern: For example `/workloads/:id`.
        handler: Called with the request.
        streaming: Whether the handler is called as soon as the head has arrived, and reads the
            content itself.
        body_limit: Maximum size of the content in bytes; None for the server's limit.
    """

    method: str
    pattern: str
    handler: Handler
    streaming: bool = False
    body_limit: int | None = None


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    parameter: Parameter | None = None
    parameter_of: str = ""  # the pattern that added it
    after_parameter: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


def _check_types(method: object, pattern: object, handler: object, body_limit: object) -> None:
    for name, value in (("method", method), ("pattern", pattern)):
        if not isinstance(value, str):
            raise TypeError(f"expected a string as {name}, got {value!r:.80}")
    if not callable(handler):
        raise TypeError(
            f"expected a function as handler of {method} {pattern}, got {handler!r:.80}"
        )
    if body_limit is not None:
        check_count(body_limit, "body_limit")


class Router:
    """A table of routes, and the checks that run before them.

    HEAD requests go to the handler of GET, and OPTIONS is answered automatically, unless routes are
    added for these methods.
    """

    def __init__(self, converters: Mapping[str, Converter] | None = None) -> None:
        """Create a router without routes.

        Args:
            converters: Parameter types by name, in addition to `str`, `int` and `label`. Each is a
                pure function that converts a str to an immutable value, or raises ValueError for a
                404. Requests with the same head share the value.

        Raises:
            TypeError: The converters are not a mapping to functions.
        """
        given: Any = {} if converters is None else converters
        if not isinstance(given, Mapping) or not all(map(callable, given.values())):
            raise TypeError(f"expected functions by name as converters, got {given!r:.80}")
        self._converters = {**CONVERTERS, **given}
        self._root = _Node()
        self._literal: dict[str, _Node] = {}
        self._routes: list[Route] = []
        self._methods = set(METHODS)
        self._checks: list[Check] = []
        self._uncached_checks: list[Check] = []
        # Identifies the current set of routes and checks. Replaced whenever one is added, which
        # invalidates the routes cached in repeated heads.
        self._version = object()

    def add(
        self,
        method: str,
        pattern: str,
        handler: Handler,
        *,
        streaming: bool = False,
        body_limit: int | None = None,
    ) -> None:
        """Add a route.

        A pattern is a path whose segments may be parameters: `:name` matches any non-empty segment,
        `:name<int>` an integer, `:name<label>` an RFC 1123 label, and `:name<type>` whatever the
        router's converter of that name accepts. The values are in `request.params`, percent-decoded
        once. A literal segment takes precedence over a parameter, regardless of which was added
        first.

        The handler returns a Response, or an awaitable of one. Unless `streaming` is set, it is
        called when all of the content has arrived in `request.body`.

        Args:
            method: Name of the method in upper case, except TRACE and CONNECT.
            pattern: The paths, such as `/workloads/:id`; literal segments are not percent-encoded.
            handler: Called with the request, in the request's context.
            streaming: Call the handler as soon as the head has arrived. It reads the content from
                `request.stream()`, and may respond before or while it reads.
            body_limit: Maximum size of the content in bytes, instead of `Limits.body`. Larger
                content gets a 413.

        Raises:
            RouteConflict: Another route has the same method and paths, or a parameter with another
                name or type in the same place.
            RouteError: The pattern or the method is not valid.
            TypeError: An argument has the wrong type.

        Example:
            >>> def show(request: Request) -> Response:
            ...     return Response(200, request.params["id"].encode())
            >>> router.add("GET", "/workloads/:id", show)
        """
        _check_types(method, pattern, handler, body_limit)
        is_token = method.isascii() and token.fullmatch(method.encode()) is not None
        if not is_token or not method.isupper() or method in _NEVER:
            raise RouteError(f"expected a method such as GET, got {method!r}")
        segments = parse_pattern(pattern, self._converters)
        node = self._root
        for segment in segments:
            node = self._descend(node, segment, pattern)
        if other := node.routes.get(method):
            raise RouteConflict(
                f"{method} {pattern} has the same paths as the route {other.pattern}"
            )
        route = Route(method, pattern, handler, streaming, body_limit)
        node.routes[method] = route
        if all(isinstance(segment, str) for segment in segments):
            self._literal[pattern] = node
        self._routes.append(route)
        self._methods.add(method)
        self._version = object()

    def route(
        self, method: str, pattern: str, *, streaming: bool = False, body_limit: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that adds the decorated function as a handler; see `add`.

        Example:
            >>> @router.route("POST", "/workloads", body_limit=65_536)
            ... async def submit(request: Request) -> Response: ...
        """

        def decorate(handler: HandlerT) -> HandlerT:
            self.add(method, pattern, handler, streaming=streaming, body_limit=body_limit)
            return handler

        return decorate

    @staticmethod
    def _descend(node: _Node, segment: Segment, pattern: str) -> _Node:
        if isinstance(segment, str):
            return node.children.setdefault(segment, _Node())
        if node.parameter is None or node.after_parameter is None:
            node.parameter, node.parameter_of = segment, pattern
            node.after_parameter = _Node()
        elif node.parameter != segment:
            raise RouteConflict(
                f"expected '{node.parameter}' as in {node.parameter_of!r}, "
                f"got '{segment}' in {pattern!r}"
            )
        return node.after_parameter

    def check(self, check: CheckT, *, cacheable: bool = False) -> CheckT:
        """Add a function that checks each request before routing.

        If it returns a Response, that response is sent, and no other check or handler runs. A check
        must not change the request's method or path. Can be used as a decorator.

        Args:
            check: The function.
            cacheable: Set it if the result depends only on the method, the target and the fields.
                The check is then not repeated for a head that is identical, byte for byte, to one
                that it accepted and that has a route. Rejections are not cached.

        Raises:
            TypeError: The check is not a function.
        """
        if not callable(check):
            raise TypeError(f"expected a function as check, got {check!r:.80}")
        self._checks.append(check)
        if not cacheable:
            self._uncached_checks.append(check)
        self._version = object()
        return check

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks, in the order in which they were added."""
        return tuple(self._checks)

    def respond_to(self, error: Exception) -> Response | None:
        """Return the response to an exception raised by a handler or a check.

        Override it to translate an application's exceptions into responses. Return None, like this
        default, to leave the error to the server, which responds to protocol errors, and turns any
        other exception into a logged 500.
        """
        del error
        return None

    def unknown_path(self, request: Request) -> Response:
        """Return the response to a request for a path that no route has.

        Subclasses may override it. A request with an unknown method gets a 501 instead.
        """
        return problem(404, detail=f"unknown path {request.path}", code="not_found")

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes in the order in which they were added."""
        return tuple(self._routes)

    def resolve(self, request: Request) -> Route | Response:
        """Return the route of a request and set its `params`; or return a response.

        The response is that of a check, 404 for an unknown path, 405 with `Allow` for a method that
        the path does not support, 501 for a method that is neither one of METHODS nor that of a
        route, or the response to OPTIONS.
        """
        head, version = request.repeated_head, self._version
        resolved = head if head is not None and head.routes_version is version else None
        for check in self._checks if resolved is None else self._uncached_checks:
            response = check(request)
            if response is not None:
                return response
        if resolved is not None:
            request.params = resolved.params
            route: Route = resolved.route
            return route
        found = self._route_of(request)
        if head is not None and isinstance(found, Route):
            request.params = MappingProxyType(dict(request.params))  # shared by requests
            head.route, head.params, head.routes_version = found, request.params, version
        return found

    def _route_of(self, request: Request) -> Route | Response:
        path = request.path
        node = self._literal.get(path)
        if node is None:
            found = self._find(path)
            if found is None:
                return self._not_found(request)
            node, request.params = found
        method = request.method
        route = node.routes.get(method)
        if route is None:
            if method == "HEAD" and (get := node.routes.get("GET")) is not None:
                return get
            return self._not_allowed(request, node)
        return route

    def _find(self, path: str) -> tuple[_Node, Mapping[str, Any]] | None:
        """Return the node of a path and the parameters; None if no route has this path."""
        decoded = path[1:].split("/")
        if "%" in path:
            try:
                decoded = [percent_decode(segment) for segment in decoded]
            except ValueError:
                return None
        node = self._root
        params: dict[str, Any] = {}
        for index, segment in enumerate(decoded):
            child, after = node.children.get(segment), node.after_parameter
            if after is None:
                if child is None:
                    return None
                node = child
            elif child is not None:
                return self._walk(node, decoded, index, params)  # both match, so both may be tried
            elif (parameter := node.parameter) is None or not segment:
                return None
            else:
                try:
                    params[parameter.name] = self._converters[parameter.type_name](segment)
                except ValueError:
                    return None
                node = after
        return (node, params) if node.routes else None

    def _walk(
        self, node: _Node, segments: list[str], index: int, params: Mapping[str, Any]
    ) -> tuple[_Node, Mapping[str, Any]] | None:
        """Continue `_find` from a node: try the literal segment first, then the parameter."""
        if index == len(segments):
            return (node, params) if node.routes else None
        segment = segments[index]
        child = node.children.get(segment)
        if child is not None:
            found = self._walk(child, segments, index + 1, params)
            if found is not None:
                return found
        parameter, after = node.parameter, node.after_parameter
        if parameter is None or after is None or not segment:
            return None
        try:
            value = self._converters[parameter.type_name](segment)
        except ValueError:
            return None
        return self._walk(after, segments, index + 1, {**params, parameter.name: value})

    # Responses of the table itself.

    def _not_found(self, request: Request) -> Response:
        if request.method not in self._methods:
            return self._not_implemented(request)
        if request.path == "*" and request.method == "OPTIONS":
            return Response(204, headers={"Allow": ", ".join(sorted(self._methods))})
        return self.unknown_path(request)

    def _not_implemented(self, request: Request) -> Response:
        return problem(
            501, detail=f"the method {request.method} is not implemented", code="not_implemented"
        )

    def _not_allowed(self, request: Request, node: _Node) -> Response:
        if request.method not in self._methods:
            return self._not_implemented(request)
        allowed = {"OPTIONS", *node.routes}
        if "GET" in allowed:
            allowed.add("HEAD")
        headers = {"Allow": ", ".join(sorted(allowed))}
        if request.method == "OPTIONS":
            return Response(204, headers=headers)
        return problem(
            405,
            detail=f"{request.path} has no method {request.method}",
            code="method_not_allowed",
            headers=headers,
        )

"""Descriptions of routes, from which `kakuri_daemon.api.openapi` generates a document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kakuri_workload import TraceId


@dataclass(frozen=True, slots=True)
class Header:
    """A header field of a request or a response.

    Attributes:
        name: Its name, such as ETag.
        description: What it means.
        pattern: The regular expression of its whole value; any text by default.
        example: A value.
    """

    name: str
    description: str
    pattern: str | None = None
    example: str | None = None


class AllOf:
    """Content with the fields of several types.

    Attributes:
        types: The types, or contents.
    """

    __slots__ = ("types",)

    def __init__(self, *types: Any) -> None:
        self.types = types


class AnyOf(AllOf):
    """Content of one of several types."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ResponseKind:
    """A response that is not an error.

    Attributes:
        description: When the response has this status, and what it contains.
        content: The type of the JSON content, `AllOf` or `AnyOf` of several; or a mapping from
            media types to such types. For a stream of lines, it is the type of one line, and for
            text `str`. None if there is no content.
        headers: Its header fields other than those of every response.
    """

    description: str
    content: Any = None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class ProblemFault:
    """One fault of a request.

    Attributes:
        path: Where it is: `$.memory_mb` in a document, `query.limit`, `header.If-Match`.
        message: What was expected, and what was there instead.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not carried out (RFC 9457).

    Attributes:
        title: The usual phrase of the status.
        status: The status of the response.
        detail: What happened to this request, for people.
        code: A short, stable name of the cause, for programs.
        errors: Every fault of the request.
        trace: The trace id of the request, by which an operator finds its log lines.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    title: str
    status: int
    detail: str | None = None
    code: str | None = None
    errors: list[ProblemFault] = field(default_factory=list)
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A cause of problem details.

    Attributes:
        code: Its code.
        status: The status of the response.
        description: When it happens, as the end of a line.
        headers: Header fields of the response.
        content: The type of the content, if it has more fields than others.
    """

    code: str
    status: int
    description: str
    headers: tuple[Header, ...] = ()
    content: type = Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route does, for its callers.

    The parameters of the path and of the query are not repeated here: they are known from the
    route.

    Attributes:
        id: A name for generated clients, such as listWorkloads.
        tag: The group of operations that it belongs to.
        summary: One line, without a full stop.
        description: Further explanations, in Markdown.
        responses: The responses that are not errors, by status.
        problems: The errors with which it may respond, other than those of every operation.
        body: The type of the JSON content of requests; None for requests without content.
        is_body_required: Whether a request must have content.
        example: An example of that content, as plain values.
        headers: The request header fields that it reads, other than those that all read.
    """

    id: str
    tag: str
    summary: str
    description: str = ""
    responses: Mapping[int, ResponseKind]
    problems: tuple[ProblemKind, ...] = ()
    body: Any = None
    is_body_required: bool = False
    example: Any = None
    headers: tuple[Header, ...] = ()

"""OpenAPI 3.1 documents, generated from the routes of an `APIRouter` and the types that they use.

Import this module only to make a document, because a daemon needs its imports for nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from kakuri_json import Schemas

from kakuri_daemon.api._operations import (
    AllOf,
    AnyOf,
    Header,
    Operation,
    Problem,
    ProblemFault,
    ProblemKind,
    ResponseKind,
)
from kakuri_daemon.api._router import TYPED_PARAMETER, APIRouter

__all__ = [
    "APIDescription",
    "AllOf",
    "AnyOf",
    "Header",
    "Operation",
    "Problem",
    "ProblemFault",
    "ProblemKind",
    "ResponseKind",
    "openapi_document",
]

JSON = "application/json"
PROBLEM = "application/problem+json"
ITEM_SCHEMA = "x-itemSchema"
"""The schema of each line or event of a stream; without the prefix, it is OpenAPI's since 3.2."""

TRACEPARENT = Header(
    "traceparent",
    "The trace that the request is part of (W3C Trace Context); without it, a new one begins.",
)
TRACEPARENT_SENT = Header(
    "traceparent", "The trace of the request.", "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
)
"""What an `APIRouter` reads from every request, and sends with every response."""

CODES = "x-codes"
"""The codes of the problem details that a response may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class APIDescription:
    """The part of a document that is about the whole API.

    Attributes:
        title: The name of the API.
        version: The version of the program that serves it.
        summary: One line.
        description: Further explanations, in Markdown.
        tags: The groups of operations, each with its description.
        ids: For each type of path parameter, its description.
        operations: For each route, such as `GET /items/:id<item>`, its description. Other routes
            are left out.
        problems: The errors that every operation may answer.
        refused: The description of a response to a request that reached no operation.
    """

    title: str
    version: str
    summary: str
    description: str
    tags: Mapping[str, str]
    ids: Mapping[str, str]
    operations: Mapping[str, Operation]
    problems: tuple[ProblemKind, ...] = ()
    refused: str = "The request could not be read, or exceeds a limit."


def openapi_document(router: APIRouter, description: APIDescription) -> dict[str, Any]:
    """Return the OpenAPI document of a router's routes.

    Args:
        router: The routes.
        description: The part that is about the whole API.

    Returns:
        The document, as plain values that `kakuri_json.encode` writes.

    Raises:
        KeyError: `description` does not explain a type of path parameters.
        kakuri_json.UnsupportedTypeError: A type of an operation has no JSON form.
    """
    return _Builder(router, description).document()


class _Builder:
    """Collects the operations and the schemas of one document."""

    def __init__(self, router: APIRouter, about: APIDescription) -> None:
        self._router = router
        self._about = about
        self._schemas = Schemas("#/components/schemas/")

    def document(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        about = self._about
        for route, query in self._router.queries.items():
            if (operation := about.operations.get(route)) is not None:
                method, _, pattern = route.partition(" ")
                found = self._operation(operation, pattern, query)
                paths.setdefault(_template(pattern), {})[method.lower()] = found
        refused = self._problem(about.refused, Problem, ())
        return {
            "openapi": "3.1.0",
            "info": {
                "title": about.title,
                "version": about.version,
                "summary": about.summary,
                "description": about.description,
                "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": text} for name, text in about.tags.items()],
            "paths": paths,
            "components": {
                "parameters": {TRACEPARENT.name: self._header_parameter(TRACEPARENT)},
                "headers": {TRACEPARENT_SENT.name: self._header(TRACEPARENT_SENT)},
                "responses": {"Refused": refused},
                "schemas": self._schemas.definitions,
            },
        }

    def _operation(self, operation: Operation, pattern: str, query: type | None) -> dict[str, Any]:
        described: dict[str, Any] = {
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.summary,
        }
        if operation.description:
            described["description"] = operation.description
        described["parameters"] = [
            *self._path_parameters(pattern),
            *self._query_parameters(query),
            *map(self._header_parameter, operation.headers),
            {"$ref": f"#/components/parameters/{TRACEPARENT.name}"},
        ]
        if operation.body is not None:
            media = {"schema": self._schemas.decoded(operation.body)}
            if operation.example is not None:
                media["example"] = operation.example
            described["requestBody"] = {
                "required": operation.is_body_required,
                "content": {JSON: media},
            }
        described["responses"] = self._responses(operation)
        return described

    def _path_parameters(self, pattern: str) -> Iterable[dict[str, Any]]:
        for name, kind in TYPED_PARAMETER.findall(pattern):
            text = Annotated[str, self._router.ids[kind]]
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": self._about.ids[kind],
                "schema": self._schemas.decoded(text),
            }

    def _query_parameters(self, query: type | None) -> Iterable[dict[str, Any]]:
        if query is None:
            return
        schemas = Schemas()
        reference = schemas.decoded(query)["$ref"].rpartition("/")[2]
        for name, described in schemas.definitions[reference]["properties"].items():
            parameter = {"name": name, "in": "query"}
            if "description" in described:
                parameter["description"] = described.pop("description")
            schema = _without_null(described)
            if schema.get("type") == "boolean":
                parameter["allowEmptyValue"] = True
            yield parameter | {"schema": schema}

    def _header_parameter(self, header: Header) -> dict[str, Any]:
        return {"name": header.name, "in": "header"} | self._header(header)

    def _header(self, header: Header) -> dict[str, Any]:
        text: Any = str if header.pattern is None else Annotated[str, _Pattern(header.pattern)]
        described = {"description": header.description, "schema": self._schemas.decoded(text)}
        return described if header.example is None else described | {"example": header.example}

    def _responses(self, operation: Operation) -> dict[str, Any]:
        responses = {
            str(status): self._response(kind) for status, kind in operation.responses.items()
        }
        by_status: dict[int, list[ProblemKind]] = {}
        for kind in dict.fromkeys((*operation.problems, *self._about.problems)):
            by_status.setdefault(kind.status, []).append(kind)
        for status, kinds in sorted(by_status.items()):
            text = "\n".join(f"- `{kind.code}`: {kind.description}" for kind in kinds)
            headers = dict.fromkeys(header for kind in kinds for header in kind.headers)
            problem = self._problem(text, kinds[0].content, headers)
            responses[str(status)] = problem | {CODES: sorted({kind.code for kind in kinds})}
        return responses | {"default": {"$ref": "#/components/responses/Refused"}}

    def _response(self, kind: ResponseKind) -> dict[str, Any]:
        content = kind.content
        by_media_type = content if isinstance(content, Mapping) else {JSON: content}
        described: dict[str, Any] = {
            "description": kind.description,
            "headers": self._headers(kind.headers),
        }
        if content is not None:
            described["content"] = {
                media_type: self._media(media_type, each)
                for media_type, each in by_media_type.items()
            }
        return described

    def _media(self, media_type: str, content: Any) -> dict[str, Any]:
        if content is str:
            return {"schema": {"type": "string"}}
        schema = self._content(content)
        if media_type == JSON:
            return {"schema": schema}
        return {"schema": {"type": "string"}, ITEM_SCHEMA: schema}

    def _content(self, content: Any) -> dict[str, Any]:
        if isinstance(content, AllOf):
            keyword = "anyOf" if isinstance(content, AnyOf) else "allOf"
            return {keyword: [self._content(part) for part in content.types]}
        return self._schemas.encoded(content)

    def _problem(self, text: str, content: type, headers: Iterable[Header]) -> dict[str, Any]:
        return {
            "description": text,
            "headers": self._headers(headers),
            "content": {PROBLEM: {"schema": self._schemas.encoded(content)}},
        }

    def _headers(self, headers: Iterable[Header]) -> dict[str, Any]:
        described = {header.name: self._header(header) for header in headers}
        return described | {
            TRACEPARENT_SENT.name: {"$ref": f"#/components/headers/{TRACEPARENT_SENT.name}"}
        }


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A constraint for `Annotated`, as kakuri_json recognizes it."""

    pattern: str


def _template(pattern: str) -> str:
    """Return the path of a pattern as OpenAPI writes it: `/items/{id}`."""
    return TYPED_PARAMETER.sub(r"/{\1}", pattern)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is absent where a document may have null."""
    kept = {name: value for name, value in schema.items() if value is not None}
    if "anyOf" not in kept:
        return kept
    others = [member for member in kept.pop("anyOf") if member != {"type": "null"}]
    return kept | (others[0] if len(others) == 1 else {"anyOf": others})


for _name in __all__:  # tracebacks show where users import a name from
    globals()[_name].__module__ = __name__

"""Documents made of routes and of the types that their handlers use."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from kakuri_daemon.api import APIRouter
from kakuri_daemon.api.openapi import (
    AllOf,
    AnyOf,
    APIDescription,
    Header,
    Operation,
    Problem,
    ProblemKind,
    ResponseKind,
    _without_null,
    openapi_document,
)
from kakuri_http import Response


@dataclass(frozen=True)
class Limit:
    ge: int
    le: int


@dataclass(frozen=True)
class ItemQuery:
    """Parameters.

    Attributes:
        limit: How many.
    """

    limit: Annotated[int, Limit(1, 9)] | None = None
    spec: bool = False
    after: int | Literal["now"] | None = None


@dataclass(frozen=True)
class Item:
    """An item."""

    name: str


@dataclass(frozen=True)
class Price:
    price: int = 0


@dataclass(frozen=True)
class BusyProblem(Problem):
    queue: int = 0


BAD = ProblemKind("bad_request", 400, "it is not valid")
BUSY = ProblemKind(
    "busy", 503, "others are served", (Header("Retry-After", "Seconds."),), BusyProblem
)
FULL = ProblemKind("full", 503, "there is no room", BUSY.headers)


def document_of(operation, pattern="/items/:id<item>", method="GET", query=None):
    router = APIRouter(ids={"item": "[a-z]{1,9}"})
    router.add(method, pattern, lambda *_: Response(204), query=query)
    router.add("GET", "/undescribed", lambda _: Response(204))
    about = APIDescription(
        title="Items",
        version="1.2",
        summary="Items.",
        description="All of them.",
        tags={"items": "What there is."},
        ids={"item": "The id of an item."},
        operations={f"{method} {pattern}": operation},
        problems=(BAD,),
    )
    return openapi_document(router, about)


def operation(**fields):
    return Operation(
        **{
            "id": "getItem",
            "tag": "items",
            "summary": "Return",
            "responses": {204: ResponseKind("Done.")},
        }
        | fields
    )


def test_document_has_only_described_routes_and_what_is_said_of_the_api():
    document = document_of(operation(description="More."))
    assert list(document["paths"]) == ["/items/{id}"]
    assert document["info"]["version"] == "1.2"
    assert document["tags"] == [{"name": "items", "description": "What there is."}]
    described = document["paths"]["/items/{id}"]["get"]
    assert (described["operationId"], described["description"]) == ("getItem", "More.")
    assert described["responses"]["default"] == {"$ref": "#/components/responses/Refused"}
    assert "Problem" in document["components"]["schemas"]


def test_parameters_are_those_of_path_query_and_headers():
    document = document_of(
        operation(headers=(Header("If", "A condition.", example="1"),)), query=ItemQuery
    )
    parameters = document["paths"]["/items/{id}"]["get"]["parameters"]
    assert parameters.pop() == {"$ref": "#/components/parameters/traceparent"}
    assert parameters == [
        {
            "name": "id", "in": "path", "required": True, "description": "The id of an item.",
            "schema": {"type": "string", "pattern": "^(?:[a-z]{1,9})$"},
        },
        {
            "name": "limit", "in": "query", "description": "How many.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        {
            "name": "spec", "in": "query", "allowEmptyValue": True,
            "schema": {"type": "boolean", "default": False},
        },
        {"name": "after", "in": "query", "schema": {"anyOf": [{"const": "now"}, {"type": "integer"}]}},
        {"name": "If", "in": "header", "description": "A condition.", "schema": {"type": "string"}, "example": "1"},
    ]  # fmt: skip


def test_body_is_described_as_it_is_decoded():
    described = operation(body=Item, example={"name": "a"})
    document = document_of(described, method="POST", pattern="/items")
    assert document["paths"]["/items"]["post"]["requestBody"] == {
        "required": False,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Item"},
                "example": {"name": "a"},
            }
        },
    }
    assert document["components"]["schemas"]["Item"]["additionalProperties"] is False


def test_answer_is_described_as_it_is_encoded():
    etag = Header("ETag", "The version.")
    document = document_of(operation(responses={200: ResponseKind("The item.", Item, (etag,))}))
    answer = document["paths"]["/items/{id}"]["get"]["responses"]["200"]
    assert answer["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Item"}}
    }
    assert list(answer["headers"]) == ["ETag", "traceparent"]
    assert "additionalProperties" not in document["components"]["schemas"]["Item"]


@pytest.mark.parametrize(
    ("content", "keyword"), [(AllOf(Item, Price), "allOf"), (AnyOf(Item, Price), "anyOf")]
)
def test_answer_of_several_types_refers_to_each(content, keyword):
    document = document_of(operation(responses={200: ResponseKind("It.", content)}))
    schema = document["paths"]["/items/{id}"]["get"]["responses"]["200"]["content"]
    assert schema["application/json"]["schema"] == {
        keyword: [{"$ref": "#/components/schemas/Item"}, {"$ref": "#/components/schemas/Price"}]
    }


def test_stream_is_text_with_the_schema_of_a_line():
    content = {"application/x-ndjson": Item, "text/plain": str}
    document = document_of(operation(responses={200: ResponseKind("Lines.", content)}))
    assert document["paths"]["/items/{id}"]["get"]["responses"]["200"]["content"] == {
        "application/x-ndjson": {
            "schema": {"type": "string"},
            "x-itemSchema": {"$ref": "#/components/schemas/Item"},
        },
        "text/plain": {"schema": {"type": "string"}},
    }


def test_problems_of_one_status_are_one_response_with_all_codes():
    document = document_of(operation(problems=(BUSY, FULL)))
    responses = document["paths"]["/items/{id}"]["get"]["responses"]
    assert list(responses) == ["204", "400", "503", "default"]
    assert responses["503"]["x-codes"] == ["busy", "full"]
    assert (
        responses["503"]["description"] == "- `busy`: others are served\n- `full`: there is no room"
    )
    assert list(responses["503"]["headers"]) == ["Retry-After", "traceparent"]
    (content,) = responses["503"]["content"].values()
    assert content == {"schema": {"$ref": "#/components/schemas/BusyProblem"}}


def test_document_has_the_form_of_the_specification():
    document = document_of(operation())
    assert list(document) == ["openapi", "info", "servers", "tags", "paths", "components"]
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {
        "title": "Items", "version": "1.2", "summary": "Items.", "description": "All of them.",
        "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    }  # fmt: skip
    assert document["servers"] == [{"url": "/"}]
    components = document["components"]
    parameter = components["parameters"]["traceparent"]
    assert (parameter["name"], parameter["in"]) == ("traceparent", "header")
    assert parameter["schema"] == {"type": "string"}
    assert components["headers"]["traceparent"]["schema"] == {
        "type": "string", "pattern": "^(?:00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})$",
    }  # fmt: skip
    refused = components["responses"]["Refused"]
    assert refused["description"] == "The request could not be read, or exceeds a limit."
    assert list(refused["headers"]) == ["traceparent"]
    assert list(refused["content"]) == ["application/problem+json"]


def test_operation_has_no_field_that_it_does_not_need():
    document = document_of(operation(), pattern="/items")
    assert document["paths"]["/items"]["get"] == {
        "operationId": "getItem", "tags": ["items"], "summary": "Return",
        "parameters": [{"$ref": "#/components/parameters/traceparent"}],
        "responses": {
            "204": {"description": "Done.", "headers": {
                "traceparent": {"$ref": "#/components/headers/traceparent"}}},
            "400": document["paths"]["/items"]["get"]["responses"]["400"],
            "default": {"$ref": "#/components/responses/Refused"},
        },
    }  # fmt: skip


@pytest.mark.parametrize("is_required", [True, False])
def test_body_without_an_example_has_none(is_required):
    described = operation(body=Item, is_body_required=is_required)
    document = document_of(described, method="PUT", pattern="/items")
    assert document["paths"]["/items"]["put"]["requestBody"] == {
        "required": is_required,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
    }


def test_two_methods_of_one_path_are_together():
    router = APIRouter(ids={})
    for method in ("GET", "POST"):
        router.add(method, "/items", lambda *_: Response(204))
    about = APIDescription(
        title="", version="", summary="", description="", tags={}, ids={},
        operations={"GET /items": operation(), "POST /items": operation(id="add")},
        refused="No.",
    )  # fmt: skip
    document = openapi_document(router, about)
    assert list(document["paths"]["/items"]) == ["get", "post"]
    assert document["components"]["responses"]["Refused"]["description"] == "No."


def test_problem_that_every_operation_has_is_listed_once():
    document = document_of(operation(problems=(FULL, BAD, BUSY)))
    responses = document["paths"]["/items/{id}"]["get"]["responses"]
    assert responses["400"]["description"] == "- `bad_request`: it is not valid"
    assert responses["400"]["x-codes"] == ["bad_request"]
    assert responses["503"]["x-codes"] == ["busy", "full"]
    content = responses["503"]["content"]["application/problem+json"]
    assert content == {"schema": {"$ref": "#/components/schemas/Problem"}}


def test_path_parameter_of_an_unknown_type_is_an_error():
    router = APIRouter(ids={"item": "[a-z]"})
    router.add("GET", "/items/:id<item>", lambda *_: Response(204))
    about = APIDescription(
        title="", version="", summary="", description="", tags={}, ids={},
        operations={"GET /items/:id<item>": operation()},
    )  # fmt: skip
    with pytest.raises(KeyError, match="item"):
        openapi_document(router, about)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, {"type": "integer"}),
        ({"type": "integer", "default": None}, {"type": "integer"}),
        ({"anyOf": [{"type": "null"}, {"type": "string"}], "default": None}, {"type": "string"}),
        ({"anyOf": [{"const": 1}, {"type": "null"}, {"const": 2}], "title": "a"},
         {"title": "a", "anyOf": [{"const": 1}, {"const": 2}]}),
        ({"default": 0}, {"default": 0}),
    ],
)  # fmt: skip
def test_schema_of_a_parameter_has_no_null(schema, expected):
    assert _without_null(schema) == expected

"""Each change of the API is classified as breaking or compatible, and named."""

import copy
import json

import pytest

from tools import openapi
from tools.openapi_changes import changes


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema):
    return {"content": {"application/json": {"schema": schema}}}


OLD = {
    "paths": {
        "/items": {
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}},
                    {"$ref": "#/components/parameters/trace"},
                ],
                "responses": {
                    "200": {"headers": {"ETag": {}}, **content(ref("Page"))},
                    "404": {"x-codes": ["not_found", "gone"]},
                    "default": {"$ref": "#/components/responses/Refused"},
                },
            },
            "post": {
                "requestBody": {"required": False, **content(ref("Item"))},
                "responses": {"201": content(ref("Item"))},
            },
            "delete": {"responses": {"204": {}}},
        }
    },
    "components": {
        "parameters": {"trace": {"name": "trace", "in": "header", "schema": {"type": "string"}}},
        "responses": {"Refused": content({"type": "object"})},
        "schemas": {
            "Page": {
                "title": "Page",
                "properties": {"items": {"type": "array", "items": ref("Item")}},
                "required": ["items"],
            },
            "Item": {
                "title": "Item",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "pattern": "a"},
                    "state": {"enum": ["new", "old"]},
                    "next": {"anyOf": [ref("Item"), {"type": "null"}]},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                },
                "required": ["name"],
            },
        },
    },
}
GET = ("paths", "/items", "get")
POST = ("paths", "/items", "post")
ITEM = ("components", "schemas", "Item")
NAME = (*ITEM, "properties", "name")


def changed(path, value=...):
    """Return the document with another value at a path, or without what is there."""
    document = copy.deepcopy(OLD)
    *parents, last = path
    place = document
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def lines(new):
    return [str(change) for change in changes(OLD, new)]


def test_documents_that_are_equal_have_no_changes():
    assert changes(OLD, copy.deepcopy(OLD)) == []


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (changed(("paths", "/items")), "breaks GET /items: removed"),
        (changed(("paths", "/items", "delete")), "breaks DELETE /items: removed"),
        (changed((*GET, "parameters", 0)), "breaks GET /items: query limit: removed"),
        (changed((*GET, "parameters", 1)), "breaks GET /items: header trace: removed"),
        (
            changed((*GET, "parameters", 0, "required"), True),
            "breaks GET /items: query limit: required now",
        ),
        (
            changed((*GET, "parameters", 0, "schema", "maximum"), 8),
            "breaks GET /items: query limit: maximum 9 is now 8",
        ),
        (
            changed((*GET, "parameters", 0, "schema", "type"), "string"),
            "breaks GET /items: query limit: type 'integer' is now 'string'",
        ),
        (
            changed(
                (*GET, "parameters", 0),
                {"name": "page", "in": "query", "required": True, "schema": {}},
            ),
            "breaks GET /items: query page: new, required",
        ),
        (changed((*GET, "responses", "200")), "breaks GET /items: response 200: removed"),
        (changed((*GET, "responses", "202"), {}), "breaks GET /items: response 202: new"),
        (
            changed((*GET, "responses", "200", "headers")),
            "breaks GET /items: response 200: header ETag: removed",
        ),
        (
            changed((*GET, "responses", "404", "x-codes"), ["gone"]),
            "breaks GET /items: response 404: code not_found: removed",
        ),
        (
            changed((*GET, "responses", "200", "content")),
            "breaks GET /items: response 200: application/json: removed",
        ),
        (changed((*POST, "requestBody")), "breaks POST /items: request: removed"),
        (
            changed((*POST, "requestBody", "required"), True),
            "breaks POST /items: request: required now",
        ),
        (
            changed(("paths", "/items", "delete", "requestBody"), {"required": True}),
            "breaks DELETE /items: request: new",
        ),
        (changed(NAME), "breaks request Item.name: removed"),
        (changed((*ITEM, "required"), []), "breaks response Item.name: may be absent now"),
        (
            changed((*ITEM, "required"), ["name", "state"]),
            "breaks request Item.state: required now",
        ),
        (
            changed((*NAME, "minLength"), 2),
            "breaks request Item.name: minLength 1 is now 2",
        ),
        (
            changed((*NAME, "pattern"), "b"),
            "breaks request Item.name: pattern 'a' is now 'b'",
        ),
        (
            changed((*NAME, "pattern")),
            "breaks response Item.name: pattern 'a' is now None",
        ),
        (
            changed((*ITEM, "properties", "state", "enum"), ["new"]),
            "breaks request Item.state: value 'old' removed",
        ),
        (
            changed((*ITEM, "properties", "state", "enum"), ["new", "old", "lost"]),
            "breaks response Item.state: value 'lost' new",
        ),
        (
            changed((*ITEM, "properties", "state"), {"type": "string"}),
            "breaks response Item.state: one of some values is now any, or the reverse",
        ),
        (
            changed((*ITEM, "properties", "next", "anyOf"), [ref("Item")]),
            "breaks request Item.next: anyOf is different",
        ),
        (
            changed((*ITEM, "additionalProperties"), False),
            "breaks request Item: unknown fields are refused now",
        ),
        (
            changed((*ITEM, "properties", "tags", "additionalProperties"), {"type": "integer"}),
            "breaks request Item.tags[]: type 'string' is now 'integer'",
        ),
        (
            changed(("components", "responses", "Refused", "content")),
            "breaks GET /items: response default: application/json: removed",
        ),
    ],
)  # fmt: skip
def test_change_that_breaks_clients_is_named(new, expected):
    assert expected in lines(new)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (changed(("paths", "/new"), {"get": {"responses": {}}}), "GET /new: new"),
        (changed(("paths", "/items", "put"), {"responses": {}}), "PUT /items: new"),
        (changed((*GET, "responses", "429"), {}), "GET /items: response 429: new"),
        (
            changed((*GET, "responses", "404", "x-codes"), ["not_found", "gone", "lost"]),
            "GET /items: response 404: code lost: new",
        ),
        (
            changed((*GET, "parameters", 0, "schema", "maximum"), 10),
            "GET /items: query limit: maximum 9 is now 10",
        ),
        (
            changed((*GET, "parameters", 0, "schema", "type")),
            "GET /items: query limit: type 'integer' is now None",
        ),
        (
            changed(("paths", "/items", "delete", "requestBody"), {"required": False}),
            "DELETE /items: request: new",
        ),
        (
            changed((*ITEM, "properties", "new"), {}),
            "request Item.new: new",
        ),
        (
            changed(
                (*GET, "responses", "200", "content", "text/html"), {"schema": {"type": "string"}}
            ),
            "GET /items: response 200: text/html: new",
        ),
    ],
)
def test_compatible_change_is_listed_as_an_addition(new, expected):
    found = lines(new)
    assert f"adds   {expected}" in found
    assert not [line for line in found if line.startswith("breaks")]


def test_new_optional_parameter_is_an_addition():
    new = copy.deepcopy(OLD)
    new["paths"]["/items"]["get"]["parameters"].append(
        {"name": "page", "in": "query", "schema": {}}
    )
    assert lines(new) == ["adds   GET /items: query page: new"]


def test_stored_copy_is_written_compared_and_kept_from_breaking(tmp_path):
    stored = tmp_path / "openapi.json"
    with pytest.raises(SystemExit, match="current document"):
        openapi.run([], stored)
    assert "wrote" in openapi.run(["--write"], stored)
    assert "is the current document" in openapi.run([], stored)
    before = json.loads(stored.read_text())
    before["paths"]["/former"] = {"get": {"responses": {}}}
    stored.write_text(openapi.text_of(before))
    with pytest.raises(SystemExit, match="breaks GET /former: removed"):
        openapi.run([], stored)
    with pytest.raises(SystemExit, match="--breaking"):
        openapi.run(["--write"], stored)
    assert "breaks GET /former" in openapi.run(["--write", "--breaking"], stored)
    assert json.loads(stored.read_text()) == openapi.current()

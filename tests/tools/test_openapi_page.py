"""The page of the site that shows the API's OpenAPI document."""

import re

from tools import openapi
from tools.docs import anchors
from tools.openapi_page import page


def test_page_has_every_operation_parameter_and_schema():
    document = openapi.current()
    shown = page(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"### {method.upper()} {path}\n" in shown
            assert f"`{operation['operationId']}`" in shown
            for parameter in operation["parameters"]:
                assert "$ref" in parameter or f"| `{parameter['name']}` |" in shown
    for name, schema in document["components"]["schemas"].items():
        assert f"### {name}\n" in shown
        assert all(f"| `{field}` |" in shown for field in schema["properties"])


def test_links_of_the_page_lead_to_its_headings():
    shown = page(openapi.current())
    targets = set(re.findall(r"\]\(#([^)]+)\)", shown))
    assert targets
    assert targets <= anchors(shown)


def test_table_of_the_page_has_types_limits_and_alternatives():
    document = {
        "tags": [],
        "paths": {},
        "components": {
            "schemas": {
                "Item": {
                    "properties": {
                        "size": {"type": "integer", "minimum": 1, "maximum": 9},
                        "kind": {"const": "a", "description": "- one | two"},
                        "next": {
                            "anyOf": [{"$ref": "#/components/schemas/Item"}, {"type": "null"}]
                        },
                        "names": {"type": "array", "items": {"type": "string"}},
                        "env": {"type": "object", "additionalProperties": {"type": "string"}},
                        "at": {"type": "string", "format": "date-time"},
                        "any": {},
                    },
                    "required": ["size"],
                }
            }
        },
    }
    shown = page(document)
    for line in (
        "| `size` | integer from 1 to 9 |  |",
        "| `kind` | `a`, optional | one \\| two |",
        "| `next` | [Item](#item) or null, optional |  |",
        "| `names` | list of string, optional |  |",
        "| `env` | object of string, optional |  |",
        "| `at` | date-time, optional |  |",
        "| `any` | any, optional |  |",
    ):
        assert line in shown

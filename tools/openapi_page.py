"""The page of the documentation site that shows the control plane's OpenAPI document."""

from collections.abc import Iterator
from typing import Any

HEADER = """\
# HTTP API reference

For authors of clients: every operation of the control plane, with its parameters, responses and
error codes, made from [openapi.json](openapi.json). [The API for tools](openapi.md) says how to
use the document, [contracts](contracts.md#control-plane-api) explains the API in prose.
"""


def page(document: dict[str, Any]) -> str:
    """Return the Markdown of a document.

    Args:
        document: An OpenAPI document whose schemas are named.
    """
    return "\n".join([HEADER, *_operations(document), *_schemas(document)]) + "\n"


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"## {tag['name'].capitalize()}\n\n{tag['description']}\n"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"] == [tag["name"]]:
                    yield from _operation(f"{method.upper()} {path}", operation)


def _operation(name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{operation['summary']}. `{operation['operationId']}`\n"
    if "description" in operation:
        yield operation["description"] + "\n"
    parameters = [each for each in operation["parameters"] if "$ref" not in each]
    if parameters:
        yield "| parameter | in | type | meaning |\n| --- | --- | --- | --- |"
        for each in parameters:
            type_name = _type(each["schema"])
            yield f"| `{each['name']}` | {each['in']} | {type_name} | {_cell(each)} |"
        yield ""
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        is_required = "" if operation["requestBody"]["required"] else ", optional"
        yield f"Content: {_type(schema)}{is_required}.\n"
    yield "| response | content | meaning |\n| --- | --- | --- |"
    for status, response in sorted(operation["responses"].items()):
        if status != "default":
            yield f"| {status} | {_content(response)} | {_cell(response)} |"
    yield ""


def _content(response: dict[str, Any]) -> str:
    shown = []
    for media_type, media in response.get("content", {}).items():
        kind = media_type.partition(";")[0]
        if kind == "application/problem+json":
            continue
        lines = "lines of " if "x-itemSchema" in media else ""
        schema = media.get("x-itemSchema", media["schema"])
        shown.append(f"`{kind}`: {lines}{_type(schema)}")
    return "<br>".join(shown)


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield "## Schemas\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f"### {name}\n\n{schema.get('description', '')}\n"
        if not schema["properties"]:
            continue
        yield "| field | type | meaning |\n| --- | --- | --- |"
        for field, described in schema["properties"].items():
            mark = "" if field in schema["required"] else ", optional"
            yield f"| `{field}` | {_type(described)}{mark} | {_cell(described)} |"
        yield ""


def _cell(part: dict[str, Any]) -> str:
    """Return a description as the content of a table's cell."""
    text: str = part.get("description", "")
    lines = [line.removeprefix("- ") for line in text.splitlines()]
    return "<br>".join(lines).replace("|", "\\|")


def _type(schema: dict[str, Any]) -> str:
    """Return the name of a schema's type, with a link to the schema if it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for keyword, separator in (("anyOf", " or "), ("allOf", " and ")):
        if keyword in schema:
            return separator.join(map(_type, schema[keyword]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind: str = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" from {low} to {high}" if low is not None and high is not None else ""
    return f"{schema.get('format', kind)}{bounds}"

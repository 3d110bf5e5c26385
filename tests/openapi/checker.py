"""Compares responses of the control plane with its OpenAPI document.

The document allows fields that it does not describe, because later versions may add some. Here,
none is allowed: what this version sends has to be described.
"""

import json
import re
from functools import cache
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from kakuri_control_plane._api import Api
from kakuri_control_plane._openapi import document
from kakuri_rpc import AgentClient
from kakuri_tcp import Endpoint

HTTP_LAYER = {400, 408, 413, 414, 417, 431, 501, 503, 505}
"""Statuses of requests that no operation received."""

ANYWHERE = {
    "connection", "content-length", "content-type", "date", "keep-alive", "traceparent",
    "transfer-encoding",
}  # fmt: skip
"""Header fields that need no description of their own."""

BEFORE_ROUTES = {403: "cross_site", 404: "not_found", 405: "method_not_allowed",
                 421: "misdirected_request", 501: "not_implemented"}  # fmt: skip
"""The codes of requests without a route, by their statuses."""


class UndocumentedResponse(AssertionError):
    """A response is not as the document describes it."""


class Checker:
    """Checks responses against one document."""

    def __init__(self, described) -> None:
        """Prepare a document.

        Args:
            described: The document, as plain values.
        """
        self.document = described
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(
                r"\}", "}"))), operations)
            for path, operations in sorted(described["paths"].items(), key=lambda each: "{" in each[0])
        ]  # fmt: skip
        components = described["components"]
        self._closed = {"components": {"schemas": _closed(components["schemas"])}}

    def check(self, method, target, status, headers, body):
        """Check one response.

        Args:
            method: The method of the request.
            target: Its target, or a URL.
            status: The status of the response.
            headers: Its header fields, a mapping.
            body: Its content, bytes or text; None if it was not read.

        Raises:
            UndocumentedResponse: It is not as the document describes it.
        """
        response = _Response(method, target, status, headers, body)
        operations = self._operations(response.path)
        operation = operations.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            self._check_without_route(response, operations)
            return
        described = operation["responses"].get(str(status))
        if described is None and status in HTTP_LAYER:
            described = self.document["components"]["responses"]["Refused"]
        if described is None:
            raise response.fault(f"status {status} is not described")
        self._check_headers(response, described)
        self._check_content(response, described)

    def _operations(self, path):
        return next((each for pattern, each in self._paths if pattern.fullmatch(path)), {})

    def _check_without_route(self, response, operations):
        if response.method == "OPTIONS" and response.status == 204:
            return
        if response.status not in {*HTTP_LAYER, *BEFORE_ROUTES} or (
            operations and response.status == 404
        ):
            raise response.fault("the path and method are not described")
        found = self._check_problem(response)
        expected = BEFORE_ROUTES.get(response.status)
        if found is not None and expected is not None and found["code"] != expected:
            raise response.fault(f"expected the code {expected}, got {found['code']}")

    def _check_problem(self, response):
        if response.method == "HEAD" or response.body is None:
            return None
        if response.media_type != "application/problem+json":
            raise response.fault("expected problem details")
        return self._check_json(response, {"$ref": "#/components/schemas/Problem"}, response.text)

    def _check_headers(self, response, described):
        fields = {name.lower(): each for name, each in described.get("headers", {}).items()}
        for name, value in response.headers.items():
            if name in ANYWHERE:
                continue
            if name in fields:
                self._validate(response, fields[name]["schema"], value, f"header {name}")
            else:
                raise response.fault(f"the header {name} is not described")

    def _check_content(self, response, described):
        content = described.get("content", {})
        if response.media_type is None:
            if content and response.method != "HEAD":
                raise response.fault("there is no content, though some is described")
            return
        media = {name.partition(";")[0]: each for name, each in content.items()}
        if response.media_type not in media:
            raise response.fault(f"the media type {response.media_type} is not described")
        if response.method == "HEAD" or response.body is None:
            return
        schema = media[response.media_type]
        if "x-itemSchema" in schema:
            for item in response.items():
                self._check_json(response, schema["x-itemSchema"], item)
        elif response.media_type.endswith("json"):
            found = self._check_json(response, schema["schema"], response.text)
            codes = described.get("x-codes")
            if codes is not None and found["code"] not in codes:
                raise response.fault(f"the code {found['code']} is not described")

    def _check_json(self, response, schema, text):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise response.fault(f"the content is not JSON: {error}") from error
        self._validate(response, _closed(schema), value, "content")
        return value

    def _validate(self, response, schema, value, what):
        validator = Draft202012Validator(self._closed | schema)
        for error in validator.iter_errors(value):
            raise response.fault(f"{what}: {_deepest(error).message}")


class _Response:
    def __init__(self, method, target, status, headers, body) -> None:
        self.method, self.target, self.status, self.body = method, target, status, body
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.path = urlsplit(target).path or "/"
        content_type = self.headers.get("content-type")
        self.media_type = content_type and content_type.partition(";")[0].strip()

    @property
    def text(self):
        return self.body.decode() if isinstance(self.body, bytes) else self.body

    def items(self):
        """Return each complete line of JSON, or the data of each complete event."""
        lines = self.text.split("\n")[:-1]
        if self.media_type == "text/event-stream":
            return [line[6:] for line in lines if line.startswith("data: ")]
        return lines

    def fault(self, message):
        shown = (self.text or "")[:500] if self.body is not None else ""
        return UndocumentedResponse(
            f"{self.method} {self.target} was answered with {self.status}: {message}; {shown}"
        )


def _closed(schema):
    """Return a schema that allows no field which it does not describe.

    `unevaluatedProperties` sees through references and `allOf`, so it belongs where a schema is
    used and not where it is defined.
    """
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {}
    for name, value in schema.items():
        if name == "allOf":
            closed[name] = value  # the fields of its parts are allowed together
        elif name in ("const", "enum", "default", "required"):
            closed[name] = value
        else:
            closed[name] = _closed(value)
    if ("$ref" in schema and isinstance(schema["$ref"], str)) or "allOf" in schema:
        closed["unevaluatedProperties"] = False
    return closed


def _deepest(error):
    """Return the cause of an error: of several alternatives, the one that fits best."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


@cache
def installed_checker():
    """Return the checker for the document of the control plane that is installed."""
    router = Api(AgentClient(Endpoint.parse("127.0.0.1:1"))).router()
    return Checker(json.loads(document(router)[0]))


def check_response(method, target, status, headers, body):
    """Check a response of the installed control plane; see `Checker.check`."""
    installed_checker().check(method, target, status, headers, body)

"""Responses with JSON content."""

from collections.abc import Mapping
from typing import Any

from kakuri_http import Response
from kakuri_json import encode

JSON = "application/json"


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response whose content is `value` encoded as JSON."""
    return Response(status, encode(value), headers=headers, content_type=JSON)

"""Problem details (RFC 9457) as `application/problem+json`.

The documents have a fixed shape, so the only part of JSON needed here is escaping strings.
"""

import re
from collections.abc import Iterable, Mapping

from kakuri_http._headers import FieldsLike
from kakuri_http._messages import Response
from kakuri_http.core._writers import REASONS

MEDIA_TYPE = "application/problem+json"

_TRACE_ID = slice(3, 35)
"""The position of the trace id in a `traceparent` (W3C Trace Context, section 3.2)."""

_SPECIAL = re.compile(r'["\\]|[^ -~]')


def quote(text: str) -> str:
    """Return a str as a JSON string (RFC 8259 section 7) that is safe to print on a terminal.

    Escapes every character that `str.isprintable` rejects: controls, bidirectional and other format
    characters, lone surrogates.
    """
    return '"' + _SPECIAL.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def problem(
    status: int,
    *,
    title: str | None = None,
    detail: str | None = None,
    code: str | None = None,
    errors: Iterable[Mapping[str, str]] = (),
    headers: FieldsLike | None = None,
) -> Response:
    """Return a response with problem details (RFC 9457); omitted members are left out.

    Args:
        status: From 200 to 599.
        title: By default, the standard reason phrase of the status.
        detail: What happened to this request.
        code: Short, stable name of the cause, for programs.
        errors: The faults of a document, each `{"path": …, "message": …}`.
        headers: Additional fields, such as Allow.

    Raises:
        LocalProtocolError: The status or a field can't be sent.
        TypeError: An argument has the wrong type.
    """
    try:
        members = [
            f'"title":{quote(title or REASONS.get(status, "Error"))}',
            f'"status":{int.__repr__(status)}',
        ]
        if detail is not None:
            members.append(f'"detail":{quote(detail)}')
        if code is not None:
            members.append(f'"code":{quote(code)}')
    except TypeError:
        raise _wrong_type(status, title=title, detail=detail, code=code) from None
    try:
        listed = ",".join(
            f'{{"path":{quote(error["path"])},"message":{quote(error["message"])}}}'
            for error in errors
        )
    except (TypeError, KeyError):
        expected = "mappings with strings as path and message"
        raise TypeError(f"expected {expected} as errors, got {errors!r:.80}") from None
    if listed:
        members.append(f'"errors":[{listed}]')
    body = "{" + ",".join(members) + "}"
    response = Response(status, body.encode(), headers=headers, content_type=MEDIA_TYPE)
    response.code = code
    return response


def _wrong_type(status: object, **members: object) -> TypeError:
    """Return the error for the first member that is not a str, otherwise for the status."""
    for name, value in members.items():
        if value is not None and not isinstance(value, str):
            return TypeError(f"expected a string as {name}, got {value!r:.80}")
    return TypeError(f"expected an integer as status, got {type(status).__name__}")


def traced(response: Response, traceparent: str) -> Response:
    """Return problem details with the request's trace id as the member `trace`.

    Args:
        response: The response; anything except problem details is returned unchanged.
        traceparent: The value of the response's field `traceparent`.
    """
    body = response.body
    if response.content_type != MEDIA_TYPE or not isinstance(body, bytes):
        return response
    members, end, after = body.rpartition(b"}")
    if not end or after.strip():
        return response
    comma = b"" if members.strip() == b"{" else b","
    member = b'"trace":"%b"}' % traceparent[_TRACE_ID].encode("ascii", "replace")
    return Response(
        response.status,
        members + comma + member,
        headers=response.headers,
        content_type=MEDIA_TYPE,
    )

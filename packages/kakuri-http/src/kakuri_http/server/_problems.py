"""Problem details (RFC 9457) as `application/problem+json`.

One fixed shape has to be written, so a string escaper is all the JSON there is here.
"""

import re
from collections.abc import Iterable, Mapping

from kakuri_http._headers import FieldsLike
from kakuri_http._messages import Response
from kakuri_http.core._writers import REASONS

MEDIA_TYPE = "application/problem+json"

_SPECIAL = re.compile(r'["\\]|[^ -~]')


def quote(text: str) -> str:
    """Write text as a JSON string (RFC 8259 section 7) that a terminal shows as it is.

    Whatever `str.isprintable` does not count as printable is escaped: controls, bidirectional
    and other format characters, lone surrogates.
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
    """Make a response of problem details: `title`, `status`, `detail`, `code`, `errors`.

    `title` defaults to the status's phrase; `errors` are `{"path": …, "message": …}`, one for
    each fault of a document. What is not given is left out.
    """
    members = [f'"title":{quote(title or REASONS.get(status, "Error"))}', f'"status":{status}']
    if detail is not None:
        members.append(f'"detail":{quote(detail)}')
    if code is not None:
        members.append(f'"code":{quote(code)}')
    listed = ",".join(
        f'{{"path":{quote(error["path"])},"message":{quote(error["message"])}}}' for error in errors
    )
    if listed:
        members.append(f'"errors":[{listed}]')
    body = "{" + ",".join(members) + "}"
    return Response(status, body.encode(), headers=headers, content_type=MEDIA_TYPE)

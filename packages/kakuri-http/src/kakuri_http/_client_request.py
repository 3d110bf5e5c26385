"""From what a caller asks for to a request that may be sent."""

from collections.abc import Iterable, Mapping

from kakuri_http._errors import LocalProtocolError
from kakuri_http._headers import Headers
from kakuri_http._request import Request
from kakuri_http._response import Body
from kakuri_http._url import Url

_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


def make_request(
    method: str,
    url: Url,
    headers: Headers | Mapping[str, str] | Iterable[tuple[str, str]],
    body: Body,
) -> Request:
    """Make the request; `Expect: 100-continue` among the fields is honoured.

    Raises LocalProtocolError for fields that may not be sent or are the client's business.
    """
    fields = Headers(headers)
    for name, _ in fields:
        if name.lower() in _OURS:
            raise LocalProtocolError(f"expected a field that is not the client's own, got {name!r}")
    expects = (fields.get("expect") or "").lower() == "100-continue"
    if expects:
        fields = Headers([field for field in fields if field[0].lower() != "expect"])
    is_whole = isinstance(body, bytes)
    request = Request(
        method,
        url.target,
        fields,
        host=url.host,
        length=len(body) if isinstance(body, bytes) else 0 if body is None else None,
    )
    if isinstance(body, bytes) and not expects:
        request.body = body
    request.expects_continue = expects and bool(body or not is_whole)
    return request

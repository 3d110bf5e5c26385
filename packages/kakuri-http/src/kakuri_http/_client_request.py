"""From what a caller asks for to a request that may be sent."""

from typing import Any

from kakuri_tcp import Endpoint

from kakuri_http._errors import LocalProtocolError
from kakuri_http._headers import Headers
from kakuri_http._request import Request
from kakuri_http._request_body import Content
from kakuri_http._types import checked
from kakuri_http._url import Url

_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


def client_endpoint(endpoint: Any) -> Endpoint | None:
    """Return where a client connects whatever a URL says, as it was passed or from its text.

    Raises:
        EndpointError: the text is not an endpoint.
        TypeError: it is neither text nor an endpoint.

    """
    if endpoint is None or isinstance(endpoint, Endpoint):
        return endpoint
    if isinstance(endpoint, str):
        return Endpoint.parse(endpoint)
    raise TypeError(f"expected an Endpoint or its text as endpoint, got {type(endpoint).__name__}")


def make_request(method: str, url: Url, fields: Headers, body: Content) -> Request:
    """Make the request; `Expect: 100-continue` among the fields is honoured.

    Raises:
        LocalProtocolError: a field may not be sent, or is the client's business.
        TypeError: the method is not text.

    """
    checked(method, str, "method")
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
        length=len(body) if isinstance(body, bytes) else None,
    )
    if isinstance(body, bytes) and not expects:
        request.body = body
    request.expects_continue = expects and bool(body or not is_whole)
    return request

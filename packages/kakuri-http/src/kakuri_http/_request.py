"""A request: an event of the core, and what a handler gets."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from kakuri_http._errors import RemoteProtocolError
from kakuri_http._headers import Headers
from kakuri_http._target import parse_query


class BodyStream(Protocol):
    """What a streaming handler reads content from."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Request:
    """One request.

    `method` and `target` are as sent; `path` and `query_string` the target's parts, still
    percent-encoded; `params` what the route's pattern took out of the path, decoded once;
    `headers` and `trailers` the fields; `body` the content, complete unless the route streams.
    `host` is the Host field, checked. `length` is the announced size of the content in bytes,
    None where it is chunked.
    """

    # Defaults of the class: most requests never set these, and a server makes many.
    http_version = "1.1"
    keep_alive = True
    expects_continue = False
    params: Mapping[str, Any] = MappingProxyType({})
    peer: object = None
    stream_source: BodyStream | None = None
    trailers: Headers | None = None
    body = b""

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        path: str = "",
        query_string: str = "",
        host: str = "",
        length: int | None = 0,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.path = path
        self.query_string = query_string
        self.host = host
        self.length = length

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded once; of a repeated name the last value.

        Raises RemoteProtocolError, which a server answers with 400, for a bad escape.
        """
        return dict(self.query_pairs)

    @property
    def query_pairs(self) -> tuple[tuple[str, str], ...]:
        """The query's parameters in order, with repeated names."""
        try:
            return parse_query(self.query_string)
        except ValueError as error:
            raise RemoteProtocolError(f"expected an encoded query, got {error}") from error

    def stream(self) -> AsyncIterator[bytes]:
        """Iterate over the content as it arrives; only in routes that were added as streaming.

        Ends at the content's end; raises ClientDisconnected where the client goes before that.
        """
        if self.stream_source is None:
            raise RuntimeError("expected a route added with streaming=True, got an ordinary one")
        return self.stream_source.__aiter__()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"

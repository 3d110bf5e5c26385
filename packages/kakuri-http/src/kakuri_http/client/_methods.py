"""The methods of HTTP as methods of both clients."""

from typing import Generic, TypedDict, TypeVar, Unpack

from kakuri_http._headers import FieldsLike
from kakuri_http._limits import Timeouts
from kakuri_http._url import Params

BodyT = TypeVar("BodyT")
ResultT = TypeVar("ResultT")


class RequestOptions(TypedDict, total=False):
    """What `request` accepts besides method, URL and body."""

    headers: FieldsLike
    params: Params
    timeouts: Timeouts | None
    redirects: int


class Methods(Generic[BodyT, ResultT]):
    """`get`, `post` and the others, which call `request` with their name as the method."""

    def _request(
        self, method: str, url: str, body: BodyT | bytes, options: RequestOptions
    ) -> ResultT:
        raise NotImplementedError

    def get(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a GET request; `options` as for `request`."""
        return self._request("GET", url, b"", options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a HEAD request; `options` as for `request`. The response has no content."""
        return self._request("HEAD", url, b"", options)

    def post(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a POST request; `body` and `options` as for `request`."""
        return self._request("POST", url, body, options)

    def put(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a PUT request; `body` and `options` as for `request`."""
        return self._request("PUT", url, body, options)

    def patch(
        self, url: str, body: BodyT | bytes = b"", **options: Unpack[RequestOptions]
    ) -> ResultT:
        """Send a PATCH request; `body` and `options` as for `request`."""
        return self._request("PATCH", url, body, options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> ResultT:
        """Send a DELETE request; `options` as for `request`."""
        return self._request("DELETE", url, b"", options)

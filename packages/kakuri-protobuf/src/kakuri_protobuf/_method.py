"""A method of a service, as a value."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """One call that a service offers.

    Attributes:
        path: of the HTTP/2 request in gRPC, such as `/runtime.v1.RuntimeService/Version`.
        request: class of the messages that the client sends.
        response: class of the messages that the server sends.
        client_streams: whether the client sends any number of messages instead of one.
        server_streams: whether the server sends any number of messages instead of one.

    """

    path: str
    request: type[Request]
    response: type[Response]
    client_streams: bool = False
    server_streams: bool = False

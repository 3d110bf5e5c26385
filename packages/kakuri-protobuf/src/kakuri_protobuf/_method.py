"""The description of a method of a service."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Response_co = TypeVar("Response_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response_co]):
    """A method of a service.

    Attributes:
        path: Path of the gRPC request, such as `/runtime.v1.RuntimeService/Version`.
        request: Class of the messages that the client sends.
        response: Class of the messages that the server sends.
        client_streams: Whether the client sends any number of messages instead of one.
        server_streams: Whether the server sends any number of messages instead of one.
    """

    path: str
    request: type[Request]
    response: type[Response_co]
    client_streams: bool = False
    server_streams: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise TypeError(f"expected the path of a method, got {self.path!r}")
        start, *parts = self.path.split("/")
        is_visible = self.path.isascii() and self.path.isprintable() and " " not in self.path
        if start or len(parts) < 2 or not all(parts) or not is_visible:
            raise ValueError(f"expected a path such as '/package.Service/Name', got {self.path!r}")
        for name, message in (("request", self.request), ("response", self.response)):
            if not isinstance(message, type):
                raise TypeError(f"expected a class as {name} of {self.path}, got {message!r:.80}")

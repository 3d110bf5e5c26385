"""What a runtime client needs of gRPC: calls that send and return the bytes of messages."""

from collections.abc import AsyncGenerator
from typing import Protocol


class ChannelError(Exception):
    """A call ended without an answer, or with another status than OK.

    Attributes:
        code: name of the status of gRPC, such as `NOT_FOUND`. A channel without a connection raises
            `UNAVAILABLE`, one whose time is over `DEADLINE_EXCEEDED`, one that received a message
            over its limit `RESOURCE_EXHAUSTED`.
        message: what the server says about it, or the channel.

    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class Channel(Protocol):
    """Calls methods of a server by their path.

    `GrpcChannel` is the one that `Runtime` uses unless it is given another. A channel

    - connects when it is first used, and again after the connection was lost, by the path of the
      socket, at the latest 3 s after the server listens again;
    - fails a call at once while there is no connection, and repeats a call only if the server
      surely did not receive it: creating a sandbox twice makes two;
    - sends `localhost` as `:authority`: servers built on hyper refuse the path of a socket;
    - accepts messages of at least 16 MiB, which is what containerd sends at most;
    - does not connect to a socket of a user other than root and the user of this process.
    """

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send one message and return the one answer.

        A call that is cancelled is also cancelled on the server.

        Args:
            path: of the method, such as `/runtime.v1.RuntimeService/Version`.
            request: the encoded message.
            timeout: seconds for everything, connecting included; None for no limit.

        Raises:
            ChannelError: there is no answer, or a status other than OK.

        """
        ...

    def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Send one message and yield the answers until the server ends the call.

        Closing the generator cancels the call. Answers that are not read hold the server back.

        Raises:
            ChannelError: the call ended with a status other than OK, or its connection was lost.

        """
        ...

    async def close(self) -> None:
        """Close the connection; calls under way raise ChannelError."""
        ...

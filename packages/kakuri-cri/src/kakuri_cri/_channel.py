"""The interface to gRPC that Runtime needs: calls that send and return encoded messages."""

from collections.abc import AsyncGenerator
from typing import Protocol


class ChannelError(Exception):
    """A call ended without a response, or with a status other than OK.

    Attributes:
        code: Name of a gRPC status, such as `NOT_FOUND`. The channel itself uses `UNAVAILABLE` if
            there is no connection, `DEADLINE_EXCEEDED` after the timeout, and `RESOURCE_EXHAUSTED`
            for a message over its limit.
        message: The message of the server or of the channel.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class Channel(Protocol):
    """An interface to call methods of a server by their path.

    `Runtime` uses `GrpcChannel` by default. A channel

    - connects on first use, and reconnects to the socket's path after a lost connection, at the
      latest 3 s after the server listens again;
    - keeps short calls, such as status reads, from waiting for long ones, such as pulls, by one
      connection per `CallKind`;
    - fails calls at once while there is no connection, and retries a call only if the server
      certainly did not receive it: RunPodSandbox, sent twice, would create two sandboxes;
    - sends `localhost` as `:authority`: servers built on hyper refuse the path of a socket;
    - accepts messages of up to at least 16 MiB, the most that containerd sends;
    - connects only to sockets served by root or by the user of this process.
    """

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send one message and return the single response.

        Cancelling the call also cancels it on the server.

        Args:
            path: Path of the method, such as `/runtime.v1.RuntimeService/Version`.
            request: The encoded message.
            timeout: Seconds for the whole call, including connecting; None for no limit.

        Raises:
            ChannelError: There is no response, or the status is not OK.
        """
        ...

    def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Send one message and yield the responses until the server ends the call.

        Closing the generator cancels the call. The server has to wait while responses are not read.

        Raises:
            ChannelError: The call ended with a status other than OK, or its connection was lost.
        """
        ...

    async def close(self) -> None:
        """Close the connection; calls in progress raise ChannelError."""
        ...

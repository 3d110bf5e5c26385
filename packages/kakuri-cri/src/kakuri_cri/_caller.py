"""One call to the runtime: encode, send with a deadline, decode, and translate errors."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from kakuri_protobuf import AsyncCodec, Method, encode

import kakuri_cri
from kakuri_cri._channel import Channel, ChannelError
from kakuri_cri._errors import (
    CallUnanswered,
    CriError,
    RuntimeUnavailable,
    failure_of,
    printable,
)
from kakuri_cri._events import Events
from kakuri_cri._limits import Timeouts, check_seconds
from kakuri_cri._responses import name_of, read_response

if TYPE_CHECKING:
    from kakuri_tcp import Endpoint

log = logging.getLogger("kakuri_cri")

Request = TypeVar("Request")
Response = TypeVar("Response")
T = TypeVar("T")

OnCall: TypeAlias = Callable[[str, float, str], None]
"""Called with the name of a call, its duration in seconds, and the name of its gRPC status."""


class Caller:
    """Calls methods of a runtime over a channel.

    Attributes:
        timeouts: How long calls may take.
    """

    def __init__(
        self,
        runtime: "Channel | Endpoint | str",
        *,
        timeouts: Timeouts | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        """Create a client; the first call connects.

        Args:
            runtime: The endpoint of the runtime's socket, such as
                `unix:/run/containerd/containerd.sock`, or a channel, which the client then owns and
                closes.
            timeouts: How long calls may take.
            on_call: Called after each call with its name, such as `RunPodSandbox`, its duration in
                seconds, and its gRPC status: `OK`, an error of the runtime or the channel,
                `INTERNAL` if the response can't be decoded, or `CANCELLED` if the caller was
                cancelled. It must not raise. Calls in which the server streams are not reported.

        Raises:
            EndpointError: The text is not an endpoint.
            TypeError: An argument has the wrong type.
        """
        if not isinstance(timeouts, Timeouts | None):
            raise TypeError(f"expected Timeouts as timeouts, got {timeouts!r:.80}")
        if on_call is not None and not callable(on_call):
            raise TypeError(f"expected a function as on_call, got {on_call!r:.80}")
        self._on_call = on_call
        self._name = str(runtime)
        self._channel: Channel
        if hasattr(runtime, "stream"):
            self._channel = cast("Channel", runtime)
        else:  # the first use of kakuri_cri.GrpcChannel imports kakuri-grpc
            self._channel = kakuri_cri.GrpcChannel(runtime)
        self._codec = AsyncCodec()
        self._silent_at = -math.inf
        self.timeouts: Timeouts = timeouts or Timeouts()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def seconds_since_silence(self) -> float:
        """The seconds since the runtime was last unavailable; infinite if it never was."""
        return time.monotonic() - self._silent_at

    async def call(
        self, method: Method[Request, Response], request: Request, *, timeout: float | None
    ) -> Response:
        """Call any method without streaming.

        Args:
            method: An attribute of `api.RuntimeService` or `api.ImageService`.
            request: The request message.
            timeout: Seconds for the whole call, including decoding; None for no limit.

        Raises:
            CriError: The call failed; the class depends on how.
            TypeError: The request is not an instance of the method's request class, or the timeout
                is not a number.
            EncodeError: A field of the request has a value that its kind cannot hold.
        """
        data = _encoded(method, request, timeout)
        began = time.monotonic()
        deadline = asyncio.get_running_loop().time() + (math.inf if timeout is None else timeout)
        status = detail = "CANCELLED"
        try:
            received = await self._channel.call(method.path, data, timeout=timeout)
            response = await read_response(self._codec, method, received, deadline)
            status = detail = "OK"
        except ChannelError as error:
            status, detail = error.code, printable(str(error))
            # No local variable may hold the raised error: its traceback holds this frame, and the
            # cycle would keep the frames above with everything that they have received.
            raise self._failed(method, error) from error.with_traceback(None)
        except CallUnanswered as error:
            status, detail = error.code, error.message
            raise
        finally:
            seconds = time.monotonic() - began
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s took %.2f ms: %s", name_of(method), seconds * 1000, detail)
            if self._on_call is not None:
                self._on_call(name_of(method), seconds, status)
        return response

    def stream(
        self, method: Method[Request, Response], request: Request, *, timeout: float | None
    ) -> Events[Response]:
        """Call any method in which the server streams.

        See `call` for the arguments. The timeout does not include decoding.
        """
        data = _encoded(method, request, timeout)
        responses = self._channel.stream(method.path, data, timeout=timeout)
        return Events(method, responses, self._codec)

    def _seconds(self, timeout: float | None) -> float:
        """Return the timeout of a call: the caller's, or the usual one if it is None."""
        return self.timeouts.usual if timeout is None else timeout

    def _seconds_after(self, seconds: float, name: str) -> float:
        """Return the usual timeout plus the seconds for which the runtime itself may wait."""
        check_seconds(seconds, name)
        return self.timeouts.usual + seconds

    def _failed(self, method: Method[Any, Any], error: ChannelError) -> CriError:
        """Return the error to raise for a failed call."""
        failure = failure_of(name_of(method), error)
        if isinstance(failure, RuntimeUnavailable):
            self._silent_at = time.monotonic()
        return failure


def required(name: str, field: str, value: T | None) -> T:
    """Return a field of a response that every runtime has to set.

    An empty id, for example, would later select every sandbox.

    Raises:
        CallUnanswered: The field is absent or empty.
    """
    if not value:
        raise CallUnanswered(name, f"the response has no {field}", "INTERNAL")
    return value


def _encoded(method: Method[Request, Response], request: Request, timeout: object) -> bytes:
    """Check the arguments of a call, and return the encoded request."""
    if timeout is not None:
        check_seconds(timeout, "timeout", expected="seconds or None")
    # A message of another class could be encoded, too, but the runtime would misinterpret its
    # fields.
    if not isinstance(request, method.request):
        name = method.request.__name__
        raise TypeError(f"expected a message of class {name}, got {request!r:.200}")
    return encode(request)

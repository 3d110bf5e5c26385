"""One call to the runtime: encode, send with a deadline, decode, and translate errors."""

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kakuri_protobuf import Method, encode

import kakuri_cri
from kakuri_cri._answers import name_of, read_answer
from kakuri_cri._channel import Channel, ChannelError
from kakuri_cri._errors import CallUnanswered, CriError, RuntimeUnavailable, failure_of
from kakuri_cri._events import Events
from kakuri_cri._limits import Timeouts

if TYPE_CHECKING:
    from kakuri_tcp import Endpoint

log = logging.getLogger("kakuri_cri")

R = TypeVar("R")
A = TypeVar("A")


class Caller:
    """Calls methods of a runtime over a channel.

    Attributes:
        timeouts: How long calls may take.
    """

    def __init__(
        self, runtime: "Channel | Endpoint | str", *, timeouts: Timeouts | None = None
    ) -> None:
        """Create a client; the first call connects.

        Args:
            runtime: The endpoint of its socket, such as `unix:/run/containerd/containerd.sock`, or
                a channel, which the client then closes.
            timeouts: How long calls may take.

        Raises:
            EndpointError: The text is not an endpoint.
        """
        self._name = str(runtime)
        self._channel: Channel
        if hasattr(runtime, "stream"):
            self._channel = cast("Channel", runtime)
        else:  # the first use of kakuri_cri.GrpcChannel imports kakuri-grpc
            self._channel = kakuri_cri.GrpcChannel(runtime)
        self._silent_at = -math.inf
        self.timeouts: Timeouts = timeouts or Timeouts()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def seconds_since_silence(self) -> float:
        """The seconds since the runtime was last found unavailable; infinite if it never was."""
        return time.monotonic() - self._silent_at

    async def call(self, method: Method[R, A], request: R, *, timeout: float | None) -> A:
        """Call any method that neither side streams.

        Args:
            method: An attribute of `api.RuntimeService` or `api.ImageService`.
            request: Its message.
            timeout: Seconds for the whole call; None for no limit.

        Raises:
            CriError: The call failed; the class says how.
            TypeError: The request is not of the method's class.
            EncodeError: A field of the request has a value that its kind cannot hold.
        """
        data = _encoded(method, request)
        began = time.monotonic()
        try:
            answer = await self._channel.call(method.path, data, timeout=timeout)
        except ChannelError as error:
            # No local variable may hold the raised error: its traceback holds this frame, and the
            # cycle would keep the frames above with everything that they have received.
            raise self._failed(method, error, began) from error.with_traceback(None)
        except asyncio.CancelledError:
            log.debug("%s was cancelled after %.2f ms", name_of(method), _milliseconds_since(began))
            raise
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s took %.2f ms", name_of(method), _milliseconds_since(began))
        return await read_answer(method, answer)

    def stream(self, method: Method[R, A], request: R, *, timeout: float | None) -> Events[A]:
        """Call any method in which the server streams; see `call` for the arguments."""
        data = _encoded(method, request)
        answers = self._channel.stream(method.path, data, timeout=timeout)
        return Events(method, answers)

    def _seconds(self, timeout: float | None) -> float:
        """Return how long a call may take whose caller may have left that open."""
        return self.timeouts.usual if timeout is None else timeout

    def _failed(self, method: Method[Any, Any], error: ChannelError, began: float) -> CriError:
        """Return the error to raise for a failed call."""
        failure = failure_of(name_of(method), error)
        if isinstance(failure, RuntimeUnavailable):
            self._silent_at = time.monotonic()
        log.debug("%s (after %.2f ms)", failure, _milliseconds_since(began))
        return failure


def expected(name: str, field: str, value: A | None) -> A:
    """Return a field of an answer that every runtime has to set.

    An empty id, for instance, would later select every sandbox.

    Raises:
        CallUnanswered: The field is absent or empty.
    """
    if not value:
        raise CallUnanswered(name, f"the answer has no {field}", "INTERNAL")
    return value


def _encoded(method: Method[R, A], request: R) -> bytes:
    # One of another class could be encoded, too, and the runtime would take its fields for others.
    if not isinstance(request, method.request):
        name = method.request.__name__
        raise TypeError(f"expected a message of class {name}, got {request!r:.200}")
    return encode(request)


def _milliseconds_since(began: float) -> float:
    return (time.monotonic() - began) * 1000

"""One request and its reply over a connection to an agent."""

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kakuri_tcp import LineClient, RepeatCache, RequestLost

from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._errors import AgentError, RPCError, UnexpectedReply
from kakuri_rpc._fields import TRACE
from kakuri_rpc._messages import Node
from kakuri_rpc._reply_checks import as_rpc_error, decode_reply, error_of, mismatch
from kakuri_rpc._requests import (
    DescribeNode,
    Request,
    RerunWorkload,
    RestartWorkload,
    encode_request,
)
from kakuri_rpc._traces import AgentTraces, may_be_refused_trace, without_trace

NOT_REPEATED = (RerunWorkload, RestartWorkload)
"""Requests that are never sent again, because a second one could begin another run."""

R = TypeVar("R")
T = TypeVar("T")


class Call(Generic[R]):
    """A request in flight; await it once for the reply.

    Unlike an asyncio future, it calls its callback as soon as the reply arrives. This saves a task
    and a turn of the event loop. Only connecting and retrying need a task.

    If the connection breaks before the reply, the request is sent once more, unless it is not
    idempotent. The retry, and the functions passed to a call, run in a copy of the context
    (contextvars) in which the call was made. Cancelling the call drops the reply.

    Awaiting it raises:

    - AgentError: the agent answered with an error.
    - AgentUnreachable: the request could not be sent, or got no reply after all retries.
    - AgentTimeout: there was no reply in time; it is unknown whether the agent acted.
    - UnexpectedReply: the reply does not match the request.
    - ClientClosed: the caller closed the client.
    """

    __slots__ = (  # CPython 3.11 reads a slot much faster than the default of a class
        "__weakref__", "_began", "_cached_convert", "_callback", "_caller_context", "_convert",
        "_error", "_is_counted", "_is_done", "_is_repeated", "_lines", "_metrics", "_recover",
        "_reply_type", "_request", "_result", "_task", "_timeout", "_traces",
    )  # fmt: skip

    def __init__(
        self,
        lines: LineClient,
        request: Request,
        reply_type: type[R],
        timeout: float,
        metrics: CallMetrics,
        traces: AgentTraces | None = None,
        encoded_workload: bytes | None = None,
        line: bytes | None = None,
    ) -> None:
        """Send a request.

        Args:
            lines: The connection to the agent.
            request: The request.
            reply_type: The class of its reply.
            timeout: Seconds for the whole call.
            metrics: Counts the request.
            traces: Records whether the agent accepts traces, for requests that can have one.
            encoded_workload: The workload of a StartWorkload as JSON, if the caller already has it.
            line: The line of the request, if the caller already has it; not with `traces`.
        """
        if traces is not None:
            request = traces.prepared(request)
        self._lines = lines
        self._request = request
        self._reply_type = reply_type
        self._timeout = timeout
        self._metrics = metrics
        self._traces = traces
        self._is_repeated = self._is_counted = self._is_done = False
        self._task: asyncio.Task[None] | None = None
        self._convert: Callable[[R], Any] | None = None
        self._recover: Callable[[AgentError], Coroutine[Any, Any, Any]] | None = None
        self._cached_convert: Callable[[R], Any] | None = None
        self._callback: tuple[Callable[[Call[R]], object], contextvars.Context] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._caller_context = contextvars.copy_context()  # in constant time (PEP 567)
        if line is None:
            line = encode_request(request, encoded_workload)
        is_sent = lines.try_send(line, self, timeout=timeout)
        metrics.in_flight += 1
        self._began = time.monotonic()
        if not is_sent:
            self._continue(self._send())

    # The caller's side.

    def converted(self, convert: Callable[[R], T]) -> "Call[T]":
        """Convert the reply with a function, and return this call.

        If `convert` raises, its exception is the call's.
        """
        self._convert = convert
        return self  # type: ignore[return-value]  # its result is of the new type from now on

    def cached(self, convert: Callable[[R], T]) -> "Call[T]":
        """Convert the reply with a pure function whose results are cached, and return this call.

        Another call with an equal `convert` gets the cached result if its reply line is the same.
        `converted` can convert the result further.

        Args:
            convert: A pure function of the reply. It must be equal for each call: a new lambda or
                partial gets no cached result. Callers must not modify its results.
        """
        self._cached_convert = convert
        return self  # type: ignore[return-value]  # its result is of the new type from now on

    def recovered(self, recover: Callable[[AgentError], Coroutine[Any, Any, R]]) -> "Call[R]":
        """Call `recover` if the agent replies with an error, and return this call.

        The result of `recover` becomes the call's result, and its exception the call's exception.
        """
        self._recover = recover
        return self

    def __await__(self) -> Generator[Any, None, R]:
        if not self._is_done:
            replied = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: _wake(replied))
            try:
                yield from replied
            except asyncio.CancelledError:
                self.cancel()
                raise
        try:
            return self.result()
        finally:
            del self  # break the reference cycle: the traceback has this frame

    def add_done_callback(
        self,
        callback: Callable[["Call[R]"], object],
        *,
        context: contextvars.Context | None = None,
    ) -> None:
        """Set the function to call on completion.

        It runs in `context`; without one, in a copy of the context in which the call was made.

        Raises:
            RuntimeError: The call is done, or has a callback or an awaiter already.
        """
        if self._is_done or self._callback is not None:
            raise RuntimeError("a call that is not done accepts one callback or one awaiter")
        self._callback = callback, self._caller_context.copy() if context is None else context

    def done(self) -> bool:
        """Return whether the call has a result or an exception, or was cancelled."""
        return self._is_done

    def cancelled(self) -> bool:
        """Return whether the call was cancelled."""
        return isinstance(self._error, asyncio.CancelledError)

    def exception(self) -> BaseException | None:
        """Return the exception of a call; None if it has a result.

        Raises:
            asyncio.InvalidStateError: The call is not done.
        """
        if not self._is_done:
            raise asyncio.InvalidStateError("the call is not done")
        return self._error

    def result(self) -> R:
        """Return the reply of a call, or raise its exception.

        Raises:
            asyncio.InvalidStateError: The call is not done.
        """
        if not self._is_done:
            raise asyncio.InvalidStateError("the call is not done")
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # as in __await__
        result: R = self._result
        return result

    def cancel(self) -> bool:
        """Drop the reply; return False if the call is already done."""
        if self._is_done:
            return False
        if self._task is not None:
            self._task.cancel()
        error = self._error = asyncio.CancelledError()
        self._count(error)
        self._is_done = True
        # In a later turn, as for a task, so that the caller continues first.
        asyncio.get_running_loop().call_soon(self._notify)
        return True

    # The connection's side.

    def receive(self, line: bytes) -> None:
        """Receive the line that answers the request; the connection calls this."""
        request, cached_convert = self._request, self._cached_convert
        known = None if cached_convert is None else _cache.find(line)
        try:
            if known is not None and known.convert == cached_convert:
                reply = known.reply
            else:
                known, reply = None, decode_reply(line, request)
            fault = mismatch(request, reply)
        except UnexpectedReply as error:
            # Break the reference cycle: its frames refer to this call.
            self._fail(error.with_traceback(None))
            return
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._fail(error)
            return
        if fault is not None or not isinstance(reply, self._reply_type):
            refusal = error_of(request, reply, self._reply_type, fault)
            if isinstance(refusal, AgentError):
                self._refused(refusal)
            else:
                self._fail(refusal)
            return
        self._metrics.succeed(type(request), time.monotonic() - self._began, self._caller_context)
        try:
            result: Any = reply
            if known is not None:
                result = known.result
            elif cached_convert is not None:
                result = cached_convert(reply)
                if _cache.mark_seen(line):
                    _cache.add(line, _CachedReply(cached_convert, reply, result))
            if self._convert is not None:
                # A copy: `_send` may be running in the context, which can't be entered twice.
                result = self._caller_context.copy().run(self._convert, result)
            self._result = result
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._error = error
        self._is_done = True
        self._notify()

    def _refused(self, error: AgentError) -> None:
        if self._traces is not None and may_be_refused_trace(self._request, error):
            self._continue(self._send_without_trace(error))
        elif self._recover is not None:
            self._count(error)
            self._continue(self._run_recovery(self._recover, error))
        else:
            self._fail(error)

    def fail(self, error: Exception) -> None:
        """Receive the error if there is no reply; the connection calls this."""
        if (
            isinstance(error, RequestLost)
            and not self._is_repeated
            and not isinstance(self._request, NOT_REPEATED)
        ):
            self._is_repeated = True
            self._metrics.retry(self._request)
            self._continue(self._send())
        else:
            self._fail(as_rpc_error(error))

    def _fail(self, error: Exception) -> None:
        if not self._is_done:
            self._count(error)
            self._error = error
            self._is_done = True
            self._notify()

    def _count(self, error: BaseException) -> None:
        if not self._is_counted:
            self._is_counted = True
            self._metrics.fail(
                type(self._request), time.monotonic() - self._began, self._caller_context, error
            )

    def _notify(self) -> None:
        if self._callback is None:
            return
        (callback, context), self._callback = self._callback, None
        try:
            context.run(callback, self)
        except Exception as error:  # noqa: BLE001 - reported as asyncio does; the connection continues
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the callback {callback!r} failed", "exception": error}
            )

    def _continue(self, steps: Coroutine[Any, Any, None]) -> None:
        """Run steps that need a task in the caller's context, so that log lines have its trace.

        Replies and errors arrive in the context of the connection, which all callers share.
        """
        # Not `create_task`: with `asyncio.eager_task_factory`, the steps would run before this
        # returns, perhaps inside other steps that run in the same context.
        loop = asyncio.get_running_loop()
        self._task = asyncio.Task(steps, loop=loop, context=self._caller_context)
        self._task.add_done_callback(self._continued)

    def _continued(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self.cancel()  # the event loop is shut down
        elif isinstance(error := task.exception(), Exception):
            self._fail(error)

    async def _send(self) -> None:
        """Send the request, after connecting if necessary."""
        try:
            line = await self._lines.request(
                encode_request(self._request), timeout=self._remaining()
            )
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self.fail(error)
        else:
            self.receive(line)

    async def _send_without_trace(self, refusal: AgentError) -> None:
        """Send the request again without its trace, if the agent does not support traces."""
        try:
            node = await Call(self._lines, DescribeNode(), Node, self._remaining(), self._metrics)
            features = node.features
        except AgentError:  # an agent that can't describe its node supports no features
            features = []
        except RPCError as error:
            self._fail(error)
            return
        if TRACE in features:
            self._traces = None
            self._refused(refusal)
            return
        assert self._traces is not None
        self._traces.set_unsupported()
        self._request = without_trace(self._request)
        await self._send()

    async def _run_recovery(
        self, recover: Callable[[AgentError], Coroutine[Any, Any, Any]], refusal: AgentError
    ) -> None:
        try:
            self._result = await recover(refusal)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._error = error
        try:
            self._is_done = True
            self._notify()
        finally:
            del self  # as in __await__

    def _remaining(self) -> float:
        return max(0.0, self._began + self._timeout - time.monotonic())


def check_seconds(value: object, name: str) -> None:
    """Raise TypeError unless an argument is a number, ValueError if it is NaN or too large."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected seconds as {name}, got {value!r:.80}")
    try:
        is_nan = math.isnan(value)
    except OverflowError:
        message = f"expected seconds as {name}, got an integer too large for a float"
        raise ValueError(message) from None
    if is_nan:
        raise ValueError(f"expected seconds as {name}, got NaN")


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


@dataclass(slots=True)
class _CachedReply:
    """A decoded reply line and the result of converting it."""

    convert: Callable[[Any], object]
    reply: Any
    result: Any
    """The result of `convert` for the reply."""


_cache: RepeatCache[_CachedReply] = RepeatCache()

"""One connection of a line server.

Replies keep the order of the requests. A handler that returns bytes costs one call. An awaitable is
queued, and later replies of the connection wait for it.

Several lines are parsed before the first of them is handled. Code that runs several times in a row
stays in the processor's caches, so parsing takes a third less time. For the same reason, replies
for `encode` are encoded together, just before they are written.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from kakuri_tcp._connection import Connection
from kakuri_tcp._errors import (
    ConnectionFault,
    ForbiddenUser,
    HandlerFailed,
    IdleTimeout,
    LineError,
    UnexpectedProtocol,
    shown,
)
from kakuri_tcp._late_replies import LargeReply, Pending, cancel_replies, encoded_result, start
from kakuri_tcp._line_limits import LineServerLimits
from kakuri_tcp._lines import LineDecoder

_log = logging.getLogger("kakuri_tcp")


# Maximum number of lines between two reads of the clock. The number doubles until then, while the
# lines take less than an eighth of a slice.
_MAX_UNTIMED_LINES = 8

# Lines with more bytes may take longer: the clock is read after each, and each is parsed only when
# it is handled, because it may take far more memory after parsing. Smaller lines are parsed
# together up to this many bytes.
_LARGE_LINE = 4096

# Bytes that a reply counts against the limit of the write buffer until it is encoded.
_SMALL_REPLY = 256

# Requests that each connection may have in flight even if all together exceed the limit.
_ALWAYS_IN_FLIGHT = 4

LineHandler = Callable[[Any], Any]
LineParser = Callable[[bytes], Any]
ReplyEncoder = Callable[[Any], bytes]
ResultEncoder = Callable[["asyncio.Future[Any]"], bytes]
FaultHandler = Callable[[LineError | HandlerFailed | ForbiddenUser], bytes | None]


class LineServerConnection(Connection):
    """The server's side of a connection: answers its lines in order."""

    __slots__ = (
        "_counted", "_decoder", "_encode", "_encode_result", "_first_byte", "_handler",
        "_is_ending", "_is_reading", "_last_reply", "_line_began", "_line_limits", "_loop",
        "_on_fault", "_parse", "_parse_first", "_parsed", "_pending_bytes", "_takes_requests",
        "_turn", "_untimed_lines", "_waiting", "_waiting_bytes", "_watched",
    )  # fmt: skip

    def __init__(
        self,
        handler: LineHandler,
        on_fault: FaultHandler | None,
        encode_result: ResultEncoder,
        first_byte: bytes | None,
        parse: LineParser,
        parse_first: LineParser | None,
        limits: LineServerLimits,
        encode: ReplyEncoder | None = None,
    ) -> None:
        super().__init__()
        self._handler = handler
        self._encode = encode
        self._encode_result = encode_result
        self._on_fault = on_fault
        self._first_byte = first_byte  # until the first byte has come
        self._parse = parse
        self._parse_first = parse_first  # until the first line has come
        self._line_limits = limits
        self._loop = asyncio.get_running_loop()
        self._decoder = LineDecoder(limit=limits.line)
        # The next lines in reverse order: each parsed, or as received if it is large, with its size
        # in bytes. In place of a line that was refused, its error with size 0.
        self._parsed: list[tuple[Any, int]] = []
        # A list, although it is a queue: it is short, and takes less memory when empty.
        self._waiting: list[bytes | Pending] = []
        self._waiting_bytes = 0
        self._pending_bytes = 0  # of them, those of replies whose future is not done
        self._watched: asyncio.Future[Any] | None = None  # the first reply, if it is not ready
        self._counted = 0  # waiting replies, as last reported
        self._turn: asyncio.Handle | None = None  # of a scheduled call of `process`
        self._line_began = 0.0
        self._untimed_lines = 1  # between two reads of the clock
        self._is_reading = True
        self._takes_requests = True  # until the end of the stream, or drain
        self._is_ending = False  # answer no further line; close when all replies are sent
        self._last_reply: bytes | None = None

    def data_received(self, data: bytes) -> None:
        if self._first_byte is not None:
            if data[0] not in self._first_byte:
                self.abort(UnexpectedProtocol(self._first_byte, data[:1]))
                return
            self._first_byte = None
        self._decoder.receive_data(data)
        if self._turn is None:
            # Not through `self.process`, because this is called for each read.
            self.turns.process(self)

    def receive_eof(self) -> None:
        self._decoder.receive_eof()
        self._takes_requests = False
        if self._turn is None:
            self.process()

    def drain(self) -> None:
        self._takes_requests = False
        self.pause_reading()
        if self._turn is None:
            self.process()

    def discard_input(self, fault: ConnectionFault) -> None:
        self._decoder = LineDecoder(limit=self._line_limits.line)
        self._parsed.clear()
        self._cancel_waiting()
        self.account_output()
        self._fault = self._fault or fault
        self.close_lingering()

    def refuse(self, fault: ConnectionFault) -> None:
        if isinstance(fault, ForbiddenUser) and self._on_fault is not None:
            last = self.context.copy().run(self._on_fault, fault)
            if last is not None:
                self._write_lines([last])
        self.close_lingering()

    def writing_resumed(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._continue)

    def closed(self, fault: ConnectionFault | None) -> None:  # noqa: ARG002 - the base's
        self._cancel_waiting()

    def sweep(self, now: float) -> None:
        if self._waiting or self._turn is not None or self in self.turns:
            self.made_progress = True  # the peer waits for this side
        if self.made_progress or not self._decoder.has_partial_line:
            self._line_began = now
        elif now - self._line_began >= self._line_limits.line_timeout:
            timeout = self._line_limits.line_timeout
            self.close_with(IdleTimeout(f"a line was not complete within {timeout:g} s"))
        super().sweep(now)

    def unprocessed(self) -> int:
        return self._decoder.buffered + sum(size for _, size in self._parsed)

    def held_output(self) -> int:
        return super().held_output() + max(0, self._waiting_bytes - self._pending_bytes)

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting) or self in self.turns or super().is_busy

    def _continue(self) -> None:
        self._turn = None
        self.process()

    def work(self) -> None:
        """Write replies that are ready, answer received lines, and pause or resume reading."""
        if self.is_closing:
            return
        replies: list[Any] = []
        try:
            self._collect_replies(replies)
            is_drained = self._is_ending or self._answer_lines(replies)
        except (LineError, HandlerFailed) as error:
            self._end(error)
            is_drained = True
        if self._counted != len(self._waiting):
            self._count_waiting()
        if replies:
            self._write_lines(replies)
        if is_drained and not self._takes_requests:
            self._is_ending = True
        if self._is_ending and not self._waiting:
            if self._last_reply is not None:
                self._write_lines([self._last_reply])
            self.close_lingering()
        elif self._is_reading is not is_drained:
            self._is_reading = is_drained
            if is_drained:
                self.resume_reading()
            else:
                self.pause_reading()
        if self._held or not is_drained or self._decoder.has_partial_line:
            self.account()
        if self._waiting_bytes or self.has_reported_output:
            self.account_output()

    def _answer_lines(self, replies: list[Any]) -> bool:
        """Answer lines; return whether all of them were answered.

        Return False if a reply has to be sent first, the peer has to read, or other connections are
        due.
        """
        waiting = self._waiting
        parsed = self._parsed
        handler = self._handler
        encode = self._encode
        new_context = self.context.copy
        # Lines until the clock is read again: more while they are cheap, in the next call too.
        countdown = lines = self._untimed_lines
        before = self.limits.slice_time  # left of the slice at the last read of the clock
        size = 0
        while True:
            if self.is_writing_paused or (waiting and self._is_in_flight_limit_reached()):
                return False
            if not parsed and not self._parse_lines():
                return True
            request, received = parsed.pop()
            if received == 0:
                raise request
            if received > _LARGE_LINE:
                request = self._parse_line(request)
            context = new_context()
            try:
                reply = context.run(handler, request)
                is_ready = isinstance(reply, bytes) or (
                    encode is not None and not hasattr(reply, "__await__")
                )
                if is_ready and waiting and encode is not None and not isinstance(reply, bytes):
                    reply = encode(reply)
            except (LineError, HandlerFailed):
                raise
            except (Exception, asyncio.CancelledError) as error:
                raise HandlerFailed(f"{shown(handler)} raised {shown(error)}") from error
            if not is_ready:
                self._wait_for(reply, received, context, replies)
            elif waiting:
                waiting.append(reply)
                self._waiting_bytes += len(reply)
            else:
                replies.append(reply)
                size += len(reply) if isinstance(reply, bytes) else _SMALL_REPLY
                if size > self.limits.write_buffer:  # check whether the peer reads
                    self._write_lines(replies)
                    replies.clear()
                    size = 0
            countdown = countdown - 1 if received <= _LARGE_LINE else 0
            if not countdown and (parsed or self._decoder.has_unread):
                left = self.turns.slice_left()
                if left <= 0:
                    self.process_later()
                    return False
                is_cheap = (before - left) * _MAX_UNTIMED_LINES < self.limits.slice_time
                self._untimed_lines = lines = min(lines * 2, _MAX_UNTIMED_LINES) if is_cheap else 1
                countdown, before = lines, left

    def _wait_for(
        self, awaitable: Any, received: int, context: contextvars.Context, replies: list[Any]
    ) -> None:
        size = 0
        if isinstance(awaitable, LargeReply):
            size, awaitable = awaitable.size, awaitable.awaitable
        if not asyncio.isfuture(awaitable):
            self.turns.expect(received)
            awaitable = start(awaitable, context, self._loop)
        if size and not awaitable.done():
            self._pending_bytes += size
            awaitable.add_done_callback(partial(self._reply_exists, size), context=self.context)
        self._waiting.append((awaitable, context, size))
        self._waiting_bytes += size
        if len(self._waiting) == 1:  # otherwise, it is watched when all before it are sent
            self._collect_replies(replies)

    def _reply_exists(self, size: int, _future: asyncio.Future[Any]) -> None:
        self._pending_bytes -= size
        if not self.is_closing:
            self.account_output()

    def _parse_lines(self) -> bool:
        """Parse the next lines, the first of a connection alone; return whether there is one."""
        left = _LARGE_LINE if self._parse_first is None else 1
        next_line, parsed = self._decoder.next_line, self._parsed
        try:
            while left > 0 and (line := next_line()) is not None:
                self.made_progress = True
                size = len(line) + 1
                left -= size
                parsed.append((line if size > _LARGE_LINE else self._parse_line(line), size))
        except (LineError, HandlerFailed) as error:
            parsed.append((error, 0))
        parsed.reverse()
        return bool(parsed)

    def _parse_line(self, line: bytes) -> object:
        parse = self._parse
        if self._parse_first is not None:
            parse, self._parse_first = self._parse_first, None
        try:
            return parse(line)
        except LineError:
            raise
        except Exception as error:
            raise HandlerFailed(f"{shown(parse)} raised {shown(error)}") from error

    def _is_in_flight_limit_reached(self) -> bool:
        """Return whether a waiting reply has to be sent before another line is answered."""
        limits = self._line_limits
        if self._waiting_bytes >= limits.write_buffer:
            return True
        own = len(self._waiting)
        if own < _ALWAYS_IN_FLIGHT or self._shared is None:
            return own >= limits.requests_in_flight
        self._count_waiting()
        return (
            own >= limits.requests_in_flight
            or self._shared.in_flight >= limits.requests_in_flight_of_all
        )

    def _count_waiting(self) -> None:
        if self._shared is not None:
            self._shared.in_flight += len(self._waiting) - self._counted
            self._counted = len(self._waiting)

    def _collect_replies(self, replies: list[bytes]) -> None:
        """Append the replies that are ready to `replies`, until this connection's slice is over.

        Many can become ready at once, and each may have to be encoded. Only the first one that is
        not ready has a callback: the others can't be sent before it.
        """
        waiting = self._waiting
        while waiting:
            first = waiting[0]
            if isinstance(first, bytes):
                del waiting[0]
                self._waiting_bytes -= len(first)
                replies.append(first)
                continue
            future, context, expected = first
            if not future.done():
                if future is not self._watched:
                    self._watched = future
                    future.add_done_callback(self._future_done, context=self.context)
                return
            if replies and self.turns.slice_left() <= 0:
                self.process_later()
                return
            del waiting[0]
            self._waiting_bytes -= expected
            replies.append(encoded_result(future, context, self._encode_result))

    def _future_done(self, future: asyncio.Future[Any]) -> None:
        if self._watched is future:
            self._watched = None
            if self._turn is None and self._waiting:
                self._turn = self._loop.call_soon(self._continue)

    def _end(self, error: LineError | HandlerFailed) -> None:
        """Stop answering lines; the reply of `on_fault` is the last one."""
        if isinstance(error, HandlerFailed):
            _log.error("%s: %s", self.peer, error, exc_info=error.__cause__)
            self._cancel_waiting()  # replies to requests after the one that failed
        self._is_ending = True
        self._parsed.clear()
        if self._on_fault is not None:
            self._last_reply = self.context.copy().run(self._on_fault, error)

    def _cancel_waiting(self) -> None:
        cancel_replies(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._count_waiting()

    def _write_lines(self, replies: list[Any]) -> None:
        """Encode the replies that are not bytes, and write all of them."""
        encode = self._encode
        if encode is not None:
            try:
                replies = [each if isinstance(each, bytes) else encode(each) for each in replies]
            except Exception:  # noqa: BLE001 - logged; later replies can't be sent without this one
                _log.error("%s: a reply could not be encoded", self.peer, exc_info=True)
                self.abort()
                return
        data = replies[0] + b"\n" if len(replies) == 1 else b"\n".join([*replies, b""])
        if data.count(b"\n") != len(replies):
            _log.error("%s: a reply contains a line feed: %.200r", self.peer, data)
            self.abort()
            return
        self.write(data)

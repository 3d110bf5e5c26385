"""The server: the agent's side of the protocol."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from kakuri_json import JSONError, ValidationError, decode, encode
from kakuri_tcp import (
    Endpoint,
    ForbiddenUser,
    HandlerFailed,
    LargeReply,
    LineError,
    LineServerLimits,
    LocalAccess,
    Server,
    listen_lines,
)
from kakuri_workload import MAX_DOCUMENT_BYTES

from kakuri_rpc._document import LIMITS, check_document, check_received
from kakuri_rpc._errors import DocumentTooLarge, one_line
from kakuri_rpc._fields import ErrorCode
from kakuri_rpc._messages import REPLIES, ErrorReply, Reply, Status
from kakuri_rpc._metrics import ReadMetrics
from kakuri_rpc._requests import ReadLog, Request, StartWorkload

log = logging.getLogger("kakuri_rpc")

OPENING = b"{"
"""The first byte of every connection. Request lines, banners and handshakes of other protocols
begin with other bytes. Whitespace or a byte order mark before the first message is rejected."""


INTERNAL = encode(ErrorReply(ErrorCode.INTERNAL, "the agent failed; its log says why"))


class _NotARequest(LineError):
    """A line is not a request, so the connection has to close."""


class _TooLarge(_NotARequest):
    """A line is too large to be a request, and is not decoded."""


_LATE_BYTES: dict[type, int] = {ReadLog: 32_768, ReadMetrics: 16_384}
"""How many bytes a pending reply to each request counts as. With a write buffer of 64 KiB, a
connection runs two ReadLog or four ReadMetrics at a time. Replies of other kinds are small, or are
built when they are sent."""


LateReply: TypeAlias = Reply | Callable[[], Reply]
"""The result of a handler's awaitable: a reply, or a function that builds it."""


async def serve(
    endpoint: Endpoint | str,
    handler: Callable[[Request], Reply | Awaitable[LateReply]],
    *,
    limits: LineServerLimits | None = None,
    max_document: int = MAX_DOCUMENT_BYTES,
    local_access: LocalAccess | None = None,
    on_error: Callable[[ErrorCode], None] = lambda _code: None,
) -> Server:
    """Listen for control planes, and answer each request with the handler's reply.

        async def handler(request: Request) -> Reply:
            match request:
                case GetStatus(id=workload_id):
                    return await status_of(workload_id)
                case _:
                    return ErrorReply(ErrorCode.BAD_REQUEST, "not supported")

        async with await serve("127.0.0.1:9000", handler) as server:
            ...

    The port fails closed, because any protocol that can carry a line feed and attacker-controlled
    bytes (a web page's POST, a session ticket in a TLS handshake) could otherwise carry a request:

    - A connection that does not begin with `{` is aborted; none of it is decoded.
    - A first line that is not a valid request gets an `ErrorReply`, and the connection closes.
    - So does any later line that is not JSON, or is too large to be decoded. A line that is JSON
      but not a valid request gets an `ErrorReply` with every fault, and the connection continues.

    Replies keep the order of the requests: while a handler waits, later requests of the same
    connection are handled, but answered after it. With the default limits, two pending ReadLog
    requests stop the connection: no later request of any kind is handled until one of them is
    answered. An awaitable is cancelled when its connection is lost. A closed connection looks
    half-closed until a reply is written, so no awaitable should take longer than its request
    allows.

    Each request has its own context (contextvars), a copy of this call's: the handler, its
    awaitable, and the function that builds a late reply share it.

    Args:
        endpoint: Where to listen.
        handler: Returns the reply, or an awaitable of it. The awaitable may return a function that
            builds a large reply. It is called within the connection's share of the loop's time, so
            that many replies that become ready together use little memory and don't delay other
            connections. If the handler raises, the client gets the error `internal`, and the
            traceback is logged.
        limits: Limits of connections and lines.
        max_document: Maximum size of a workload's compact encoding in bytes; larger ones get the
            error `too_large`.
        local_access: Who on this machine may connect.
        on_error: Called with the code of each `ErrorReply` that is sent, for counting.

    Raises:
        kakuri_tcp.ListenFailed: The address can't be used.
        TypeError: The handler is not a function.
    """
    if not callable(handler):
        raise TypeError(f"expected a function as handler, got {handler!r:.80}")
    answers = _Answers(handler, max_document, on_error)
    return await listen_lines(
        endpoint,
        answers.answer,
        limits=limits,
        on_fault=answers.final_reply,
        encode=answers.encode,
        encode_result=answers.encode_result,
        parse=answers.parse,
        parse_first=answers.parse_first,
        first_byte=OPENING,
        local_access=local_access,
    )


class _Answers:
    """The replies to the lines of all connections of a server."""

    def __init__(
        self,
        handler: Callable[[Request], Reply | Awaitable[LateReply]],
        max_document: int,
        on_error: Callable[[ErrorCode], None],
    ) -> None:
        self._handler = handler
        self._max_document = max_document
        self._on_error = on_error

    def parse(self, line: bytes) -> Request | ErrorReply:
        """Parse the request in a line; for an invalid request, return the reply."""
        try:
            request = _read(line)
        except ValidationError as error:
            return ErrorReply(ErrorCode.BAD_REQUEST, one_line(error))
        except JSONError as error:
            raise _NotARequest(one_line(error)) from error
        return self._checked(request, len(line))

    def parse_first(self, line: bytes) -> Request | ErrorReply:
        """Parse the first line of a connection, which has to be a valid request."""
        try:
            request = _read(line)
        except JSONError as error:
            raise _NotARequest(one_line(error)) from error
        return self._checked(request, len(line))

    def answer(self, request: Request | ErrorReply) -> bytes | Status | Awaitable[LateReply]:
        """Return the reply to a request: encoded, a Status for `encode`, or an awaitable.

        If an ErrorReply is passed instead of a request, it is the reply.
        """
        if isinstance(request, ErrorReply):
            return self._encode(request)
        try:
            reply = self._handler(request)
            if reply.__class__ is Status and reply.workload is None and reply.message is None:
                return reply  # small, as `listen_lines` expects of replies that it encodes
            if not hasattr(reply, "__await__"):  # much faster than a check for Awaitable
                return self._encode(reply)
            late = cast("Awaitable[LateReply]", reply)
            size = _LATE_BYTES.get(request.__class__)
            return late if size is None else LargeReply(late, size)
        except (Exception, asyncio.CancelledError):
            log.exception("a request could not be answered")
            return self._fail()

    def encode(self, reply: Status) -> bytes:
        """Encode a status; if that fails, return an internal error."""
        try:
            return encode(reply)
        except Exception:
            log.exception("a request could not be answered")
            return self._fail()

    def encode_result(self, handling: asyncio.Future[LateReply]) -> bytes:
        """Encode the reply of a handler that returned an awaitable."""
        try:
            reply = handling.result()
            return self._encode(reply() if callable(reply) else reply)
        except (Exception, asyncio.CancelledError) as error:
            log.exception("a request could not be answered")
            # Break the reference cycle: its frames refer to the future that has it.
            error.__traceback__ = None
            return self._fail()

    def final_reply(self, fault: LineError | HandlerFailed | ForbiddenUser) -> bytes:
        """Return the last reply before a connection closes."""
        if isinstance(fault, ForbiddenUser):
            return self._encode(ErrorReply(ErrorCode.FORBIDDEN, str(fault)))
        is_large = isinstance(fault, _TooLarge)
        code = ErrorCode.TOO_LARGE if is_large else ErrorCode.BAD_REQUEST
        return self._encode(ErrorReply(code, str(fault)))

    def _checked(self, request: Request, size: int) -> Request | ErrorReply:
        """Return the request; if it is a start whose workload is too large, return the error."""
        if not isinstance(request, StartWorkload):
            return request
        try:
            check_document(request.workload, size, limit=self._max_document, path="$.workload")
        except DocumentTooLarge as error:
            return ErrorReply(ErrorCode.TOO_LARGE, str(error))
        except ValidationError as error:
            return ErrorReply(ErrorCode.BAD_REQUEST, one_line(error))
        return request

    def _encode(self, reply: Reply) -> bytes:
        if reply.__class__ not in REPLIES:
            raise TypeError(f"expected a reply from the handler, got {reply!r:.80}")
        if reply.__class__ is ErrorReply:
            self._on_error(reply.code)
        return encode(reply)

    def _fail(self) -> bytes:
        self._on_error(ErrorCode.INTERNAL)
        return INTERNAL


def _read(line: bytes) -> Request:
    if len(line) > MAX_DOCUMENT_BYTES:
        try:
            # Not if only max_document is lower: closing the connection would lose the client's
            # other requests.
            check_received(line)
        except DocumentTooLarge as error:
            raise _TooLarge(str(error)) from error
    request: Request = decode(line, type=Request, limits=LIMITS)
    return request

"""The agent's end of the conversation."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from kakuri_json import JSONError, ValidationError, decode, encode
from kakuri_tcp import (
    Endpoint,
    HandlerFailed,
    LineError,
    LineServerLimits,
    Server,
    UnixAccess,
    listen_lines,
)
from kakuri_workload import MAX_DOCUMENT_BYTES

from kakuri_rpc._document import LIMITS, check_document, check_received
from kakuri_rpc._errors import DocumentTooLarge, one_line
from kakuri_rpc._fields import ErrorCode
from kakuri_rpc._messages import REPLIES, ErrorReply, Reply
from kakuri_rpc._requests import Request, StartWorkload

log = logging.getLogger("kakuri_rpc")

OPENING = b"{"
"""The byte that every connection begins with. Request lines, banners and handshakes of other
protocols begin with others; whitespace or a byte order mark before the first message is refused."""


INTERNAL = encode(ErrorReply(ErrorCode.INTERNAL, "the agent failed; its log says why"))


class _NotARequest(LineError):
    """A line after which the connection has to close."""


class _TooLarge(_NotARequest):
    """A line that is not decoded because it can't be a request within the limits."""


LateReply: TypeAlias = Reply | Callable[[], Reply]
"""The result of a handler's awaitable: a reply, or a function that builds it."""


async def serve(
    endpoint: Endpoint | str,
    handler: Callable[[Request], Reply | Awaitable[LateReply]],
    *,
    limits: LineServerLimits | None = None,
    max_document: int = MAX_DOCUMENT_BYTES,
    unix_access: UnixAccess | None = None,
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

    The port fails closed, because anything that carries a line feed and bytes of an attacker's
    choice (a web page's POST, a session ticket in a TLS handshake) could carry a request as well:

    - A connection that does not begin with `{` is aborted; none of it is decoded.
    - A first line that is not a valid request gets an `ErrorReply`, and the connection closes.
    - So does any later line that is not JSON, or is too large to be decoded. A line that is JSON
      but not a valid request gets an `ErrorReply` with every fault, and the connection continues.

    Replies keep the order of the requests: later requests of the same connection are handled
    concurrently with a handler that waits, but answered after it. An awaitable is cancelled when
    its connection is lost. A connection that was closed looks half-closed until a reply is written,
    so no awaitable should take longer than its request allows.

    Args:
        endpoint: Where to listen.
        handler: Returns the reply, or an awaitable of it. The result of the awaitable may be a
            function that builds a large reply: it is called within the connection's share of the
            loop's time, so that many replies that become ready together use little memory and
            don't delay other connections. If the handler raises, the reply is `internal` and the
            log has the traceback.
        limits: Limits of connections and lines.
        max_document: Bytes of a workload in its compact encoding; larger ones get `too_large`.
        unix_access: Who may connect to a Unix socket.

    Raises:
        kakuri_tcp.ListenFailed: The address can't be used.
    """

    def read(line: bytes) -> Request:
        try:
            # Not with a lower max_document: that would cut off the client's other requests.
            check_received(line)
        except DocumentTooLarge as error:
            raise _TooLarge(str(error)) from error
        request: Request = decode(line, type=Request, limits=LIMITS)
        return request

    def answer(line: bytes) -> bytes | Awaitable[LateReply]:
        try:
            request = read(line)
        except ValidationError as error:
            return encode(ErrorReply(ErrorCode.BAD_REQUEST, one_line(error)))
        except JSONError as error:
            raise _NotARequest(one_line(error)) from error
        return perform(request, len(line))

    def answer_first(line: bytes) -> bytes | Awaitable[LateReply]:
        try:
            request = read(line)
        except JSONError as error:
            raise _NotARequest(one_line(error)) from error
        return perform(request, len(line))

    def perform(request: Request, size: int) -> bytes | Awaitable[LateReply]:
        try:
            if isinstance(request, StartWorkload):
                check_document(request.workload, size, limit=max_document, path="$.workload")
        except DocumentTooLarge as error:
            return encode(ErrorReply(ErrorCode.TOO_LARGE, str(error)))
        except ValidationError as error:
            return encode(ErrorReply(ErrorCode.BAD_REQUEST, one_line(error)))
        try:
            reply = handler(request)
            if reply.__class__ in REPLIES:  # much faster than a check for Awaitable
                return encode(reply)
            return asyncio.ensure_future(cast("Awaitable[LateReply]", reply))
        except Exception:
            log.exception("a request could not be answered")
            return INTERNAL

    return await listen_lines(
        endpoint,
        answer,
        limits=limits,
        on_fault=_final_reply,
        encode_result=_encode_result,
        first_byte=OPENING,
        first_line=answer_first,
        unix_access=unix_access,
    )


def _encode_result(handling: asyncio.Future[LateReply]) -> bytes:
    """Return the encoded reply of a handler that returned an awaitable."""
    try:
        reply = handling.result()
        return encode(reply() if callable(reply) else reply)
    except (Exception, asyncio.CancelledError):
        log.exception("a request could not be answered")
        return INTERNAL


def _final_reply(fault: LineError | HandlerFailed) -> bytes:
    code = ErrorCode.TOO_LARGE if isinstance(fault, _TooLarge) else ErrorCode.BAD_REQUEST
    return encode(ErrorReply(code, str(fault)))

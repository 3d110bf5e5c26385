"""The agent's end of the conversation."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

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
from kakuri_rpc._errors import DocumentTooLarge
from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import AnyReply, Error, Reply, Request, StartWorkload
from kakuri_rpc._words import ErrorCode

log = logging.getLogger("kakuri_rpc")

OPENING = b"{"
"""The byte that every connection begins with. No request line, banner or handshake of another
protocol does, and white space or a byte order mark before the first message is not accepted."""

DEFAULT_LIMITS = LineServerLimits()

INTERNAL = encode(Error(ErrorCode.INTERNAL, "the agent failed; its log says why"))


class _NotARequest(LineError):
    """A line after which its connection has to end."""


class _TooLarge(_NotARequest):
    """A line that was not read because it can't be a request within the limits."""


LateReply: TypeAlias = Reply | Callable[[], Reply]
"""What an awaitable of a handler gives: a reply, or a function that builds it."""


async def serve(
    endpoint: Endpoint,
    handler: Callable[[Request], Reply | Awaitable[LateReply]],
    *,
    limits: LineServerLimits = DEFAULT_LIMITS,
    max_document: int = MAX_DOCUMENT_BYTES,
    access: UnixAccess | None = None,
) -> Server:
    """Listen for control planes and answer each request with what `handler` returns for it.

    The port fails closed, because whatever carries a line feed and bytes of somebody's choice
    (a web page's POST, a session ticket in a TLS handshake) could carry a request as well:

    - A connection that does not begin with `{` is aborted; none of it is read.
    - A first line that is not a valid request gets an `Error`, and the connection closes.
    - So does any later line that is not JSON, or too large to be read. One that is JSON but no
      valid request gets an `Error` with every fault, and the connection goes on.

    The handler answers at once, or with an awaitable; what comes on the same connection is
    answered behind that, though handled meanwhile. It is cancelled when its connection is lost;
    one that was merely closed looks like half a close until a reply is written, so no awaitable
    should take longer than its request allows. A large reply that had to wait is best given as a
    function that builds it: that is called within the connection's share of the loop's time, and
    replies whose wait ends together neither take up memory nor hold up other connections. If the
    handler raises, the answer is an `internal`
    error and the log has the trace. A workload of more than `max_document` bytes in its compact
    encoding is refused with `too_large`. `access` is as for `kakuri_tcp.listen`.

    Raises:
        ListenFailed: (of kakuri_tcp) the endpoint can't be listened on.

    """

    def read(line: bytes) -> Request:
        try:
            # Not by a lower limit of this node's: a client's other requests would be cut off.
            check_received(line)
        except DocumentTooLarge as error:
            raise _TooLarge(str(error)) from error
        request: Request = decode(line, type=Request, limits=LIMITS)
        return request

    def answer(line: bytes) -> bytes | Awaitable[LateReply]:
        try:
            request = read(line)
        except ValidationError as error:
            return encode(Error(ErrorCode.BAD_REQUEST, one_line(error)))
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
            return encode(Error(ErrorCode.TOO_LARGE, str(error)))
        except ValidationError as error:
            return encode(Error(ErrorCode.BAD_REQUEST, one_line(error)))
        try:
            reply = handler(request)
            if isinstance(reply, AnyReply):  # in a quarter of the time of a question for Awaitable
                return encode(reply)
            return asyncio.ensure_future(reply)
        except Exception:
            log.exception("a request could not be answered")
            return INTERNAL

    return await listen_lines(
        endpoint,
        answer,
        limits=limits,
        on_fault=_last_words,
        encode_result=_encode_result,
        first_byte=OPENING,
        first_line=answer_first,
        access=access,
    )


def _encode_result(handling: asyncio.Future[LateReply]) -> bytes:
    """Return what a reply that was waited for is on the wire."""
    try:
        reply = handling.result()
        return encode(reply if isinstance(reply, AnyReply) else reply())
    except (Exception, asyncio.CancelledError):
        log.exception("a request could not be answered")
        return INTERNAL


def _last_words(fault: LineError | HandlerFailed) -> bytes:
    code = ErrorCode.TOO_LARGE if isinstance(fault, _TooLarge) else ErrorCode.BAD_REQUEST
    return encode(Error(code, str(fault)))

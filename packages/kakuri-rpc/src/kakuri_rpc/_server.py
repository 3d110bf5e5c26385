"""The agent's end of the conversation."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

from kakuri_json import JSONError, decode, encode
from kakuri_registry import MAX_DOCUMENT_BYTES
from kakuri_tcp import (
    Endpoint,
    HandlerFailed,
    LineError,
    LineServerLimits,
    Server,
    listen_lines,
)

from kakuri_rpc._document import check_document
from kakuri_rpc._errors import DocumentTooLarge
from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import AnyReply, Error, Reply, Request, StartWorkload
from kakuri_rpc._words import ErrorCode

log = logging.getLogger("kakuri_rpc")

_HTTP = re.compile(rb"[A-Z]+ \S* HTTP/")
"""The first line of an HTTP request. A browser can be made to send one here by any page, with a
body that is a request of ours; so none of what follows is read."""

INTERNAL = encode(Error(ErrorCode.INTERNAL, "the agent failed; its log says why"))


class _SpeaksHttp(LineError):
    """The peer speaks another protocol: its connection is ended."""


async def serve(
    endpoint: Endpoint,
    handler: Callable[[Request], Reply | Awaitable[Reply]],
    *,
    limits: LineServerLimits | None = None,
    max_document: int = MAX_DOCUMENT_BYTES,
) -> Server:
    """Listen for control planes and answer each request with what `handler` returns for it.

    The handler answers at once, or with an awaitable; what comes on the same connection is
    answered behind that, though handled meanwhile. It is cancelled when its connection is lost;
    one that was merely closed looks like half a close until a reply is written, so no awaitable
    should take longer than its request allows. What is no request never reaches the handler; if
    it raises, the answer is an `internal` error and the log has the trace. A line of HTTP ends its
    connection. A workload of more than `max_document` bytes in its compact encoding is refused with
    `too_large`. Raises kakuri_tcp.ListenFailed.
    """

    def answer(line: bytes) -> bytes | Awaitable[Reply]:
        try:
            request: Request = decode(line, type=Request)
            if isinstance(request, StartWorkload):
                check_document(request.workload, len(line), limit=max_document)
        except JSONError as error:
            if _HTTP.match(line):
                raise _SpeaksHttp("expected a JSON message, got an HTTP request") from None
            return encode(Error(ErrorCode.BAD_REQUEST, one_line(error)))
        except DocumentTooLarge as error:
            return encode(Error(ErrorCode.TOO_LARGE, str(error)))
        try:
            reply = handler(request)
            if isinstance(reply, AnyReply):  # in a quarter of the time of a question for Awaitable
                return encode(reply)
            return asyncio.ensure_future(reply)
        except Exception:
            log.exception("a request could not be answered")
            return INTERNAL

    return await listen_lines(endpoint, answer, limits=limits, on_fault=_last_words, finish=_finish)


def _finish(handling: asyncio.Future[Reply]) -> bytes:
    """Give what a reply that was waited for is on the wire."""
    try:
        return encode(handling.result())
    except (Exception, asyncio.CancelledError):
        log.exception("a request could not be answered")
        return INTERNAL


def _last_words(fault: LineError | HandlerFailed) -> bytes:
    return encode(Error(ErrorCode.BAD_REQUEST, str(fault)))

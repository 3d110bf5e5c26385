"""The agent's end of the conversation."""

import logging
from collections.abc import Callable

from kakuri_json import JSONError, decode, encode
from kakuri_tcp import (
    Endpoint,
    HandlerFailed,
    LineError,
    LineServerLimits,
    Server,
    listen_lines,
)

from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import Error, ErrorCode, Reply, Request

log = logging.getLogger("kakuri_rpc")


async def serve(
    endpoint: Endpoint,
    handler: Callable[[Request], Reply],
    *,
    limits: LineServerLimits | None = None,
) -> Server:
    """Listen for control planes and answer each request with what `handler` returns for it.

    The handler answers at once. What is no request never reaches it; if it raises, the answer is
    an `internal` error and the log has the trace. Raises kakuri_tcp.ListenFailed.
    """

    def answer(line: bytes) -> bytes:
        try:
            request: Request = decode(line, type=Request)
        except JSONError as error:
            return encode(Error(ErrorCode.BAD_REQUEST, one_line(error)))
        try:
            return encode(handler(request))
        except Exception:
            log.exception("a request could not be answered")
            return encode(Error(ErrorCode.INTERNAL, "the agent failed; its log says why"))

    return await listen_lines(endpoint, answer, limits=limits, on_fault=_last_words)


def _last_words(fault: LineError | HandlerFailed) -> bytes:
    return encode(Error(ErrorCode.BAD_REQUEST, str(fault)))

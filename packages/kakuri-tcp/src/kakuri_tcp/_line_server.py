"""Request and reply, one line each: the server's side."""

import asyncio
from typing import Any

from kakuri_tcp._connection import Connection
from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._limits import check_type
from kakuri_tcp._line_limits import DEFAULT_LINE_SERVER_LIMITS, LineServerLimits
from kakuri_tcp._line_server_connection import (
    FaultHandler,
    LineHandler,
    LineParser,
    LineServerConnection,
    ReplyEncoder,
    ResultEncoder,
)
from kakuri_tcp._local_access import LocalAccess
from kakuri_tcp._server import Server, listen
from kakuri_tcp._tls import ServerTLS


async def listen_lines(
    endpoint: Endpoint | str,
    handler: LineHandler,
    *,
    limits: LineServerLimits | None = None,
    on_fault: FaultHandler | None = None,
    encode: ReplyEncoder | None = None,
    encode_result: ResultEncoder | None = None,
    parse: LineParser | None = None,
    parse_first: LineParser | None = None,
    first_byte: bytes | None = None,
    tls: ServerTLS | None = None,
    local_access: LocalAccess | None = None,
) -> Server:
    r"""Listen on an endpoint, and answer every request line with a reply line.

        def handler(line: bytes) -> bytes | Awaitable[bytes]:
            return line.upper() if line.isascii() else translate(line)

        async with await listen_lines("127.0.0.1:9000", handler) as server:
            ...

    Replies keep the order of the requests. The handler's awaitables of one connection run
    concurrently, and are cancelled when the connection is lost. While the replies that wait for an
    earlier one have `limits.write_buffer` bytes, the next line is not handled. Each line has its
    own context (contextvars), a copy of this call's; its awaitable runs in it, and `encode_result`
    in a copy.

    Args:
        endpoint: Where to listen.
        handler: Called with each line without its end, or with the result of `parse` for it.
            Returns the reply without its end, or an awaitable of it; a LargeReply if many such
            replies would take too much memory. To reject a line and close the connection, it raises
            a LineError synchronously. Any other exception is logged as a bug in the handler and
            also closes the connection.
        limits: Limits of connections and lines; None for the defaults.
        on_fault: Returns the last reply before the connection closes, or None to send none. Called
            with LineTooLong, IncompleteLine, the handler's LineError, HandlerFailed or
            ForbiddenUser.
        encode: Called with each reply that is neither bytes nor an awaitable, just before it is
            written; returns the bytes. Replies that are written together are encoded in a row,
            which is faster. It must not raise; if it does, the connection is aborted. Use it for
            small replies: until it is encoded, each counts as 256 bytes of `limits.write_buffer`.
        encode_result: Called with the completed future of an awaitable when its reply is due;
            returns the reply and must not raise. By default, the reply is the future's result.
        parse: Called with each line before the handler, outside the line's context. Several lines
            that arrived together are parsed before the first of them is handled, so it must not
            depend on what the handler does. It may raise the same errors as the handler: the lines
            before are then answered first, and no later line is parsed.
        parse_first: Called instead of `parse` with the first line of each connection; it may be
            stricter. If it raises a LineError, nothing else of the connection is read.
        first_byte: The bytes that a connection may begin with, such as `b"{"` if every line is a
            JSON object. A connection that begins with any other byte speaks another protocol: it is
            aborted with the fault UnexpectedProtocol and without a reply, and none of its lines
            reaches the handler.
        tls: See `listen`.
        local_access: See `listen`.

    Raises:
        ListenFailed: The address is in use, not of this machine, or not permitted.
        EndpointError: The text is not an endpoint.
        TLSSettingsError: A file of the TLS settings can't be used.
        TypeError: An argument has the wrong type.
    """
    limits = DEFAULT_LINE_SERVER_LIMITS if limits is None else limits
    check_type("limits", limits, LineServerLimits)
    if not callable(handler):
        raise TypeError(f"expected a function as handler, got {handler!r:.80}")
    functions = {"on_fault": on_fault, "encode": encode, "encode_result": encode_result,
                 "parse": parse, "parse_first": parse_first}  # fmt: skip
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"expected a function as {name}, got {function!r:.80}")
    if first_byte is not None:
        check_type("first_byte", first_byte, bytes)

    def factory() -> Connection:
        return LineServerConnection(
            handler,
            on_fault,
            encode_result or _result_of,
            first_byte,
            parse or bytes,  # the line itself
            parse_first,
            limits,
            encode,
        )

    return await listen(endpoint, factory, limits=limits, tls=tls, local_access=local_access)


def _result_of(future: asyncio.Future[Any]) -> bytes:
    reply: bytes = future.result()
    return reply

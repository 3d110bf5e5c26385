"""Serving a router at an endpoint."""

from kakuri_tcp import Endpoint, ListeningSockets, LocalAccess, Server, ServerTLS, listen

from kakuri_http._limits import Limits, checked, checked_or_default
from kakuri_http.core._fast_head import compile_fast_head
from kakuri_http.server._exchange import AccessLog
from kakuri_http.server._outbox import Outbox
from kakuri_http.server._protocol import ServerProtocol
from kakuri_http.server._responses import ServerState
from kakuri_http.server._router import Router


async def serve(
    endpoint: Endpoint | str | ListeningSockets,
    router: Router,
    *,
    limits: Limits | None = None,
    access_log: AccessLog | None = None,
    tls: ServerTLS | None = None,
    local_access: LocalAccess | None = None,
) -> Server:
    """Serve HTTP/1.1 at an endpoint, and return the running server.

    Requests on one connection are handled in order, each in its own context (contextvars). Handlers
    run in the event loop, so they must not block. If a handler raises, the client receives a 500
    and the traceback is logged to the logger `kakuri_http`.

    Args:
        endpoint: Where to listen: `127.0.0.1:8080`, `[::1]:0`, `unix:/run/x.sock`, `tls://…`. With
            port 0, the kernel chooses a port; the server's `endpoint` has it.
        router: The routes and checks. Routes can be added while the server is running.
        limits: What clients may send, and how slowly; None for `Limits()`.
        access_log: Called after each exchange, in its context. Its exceptions are logged.
        tls: Certificate and key, for `tls://` endpoints.
        local_access: Who on this machine may connect. By default, only root and this process's user
            may connect to a Unix socket, and every user may connect over loopback. Other users get
            a 403 over loopback.

    Returns:
        The `kakuri_tcp.Server`. `await server.drain(seconds)` completes the requests in progress,
        `await server.close()` does not; `async with` closes it at the end of the block.

    Raises:
        kakuri_tcp.EndpointError: The endpoint is not valid.
        kakuri_tcp.ListenFailed: The endpoint is in use, or listening on it is not permitted.
        TypeError: An argument has the wrong type.

    Example:
        >>> router = Router()
        >>> router.add("GET", "/hello", lambda request: Response(200, b"hello"))
        >>> async with await serve("127.0.0.1:0", router) as server:
        ...     print(server.endpoint)
        ...     await asyncio.Event().wait()
    """
    checked(router, Router, "router")
    bounds = checked_or_default(limits, Limits, "limits")
    if access_log is not None and not callable(access_log):
        raise TypeError(f"expected a function as access_log, got {access_log!r:.80}")
    state = ServerState(bounds, access_log, Outbox(), compile_fast_head(bounds))
    return await listen(
        endpoint,
        lambda: ServerProtocol(router, state),
        limits=bounds,
        tls=tls,
        local_access=local_access,
    )

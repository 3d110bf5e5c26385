"""Serving a router at an endpoint."""

from kakuri_tcp import Endpoint, Server, ServerTLS, UnixAccess, listen

from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http.server._exchange import AccessLog
from kakuri_http.server._protocol import ServerProtocol
from kakuri_http.server._router import Router


async def serve(
    endpoint: Endpoint | str,
    router: Router,
    *,
    limits: Limits = DEFAULT_LIMITS,
    access_log: AccessLog | None = None,
    tls: ServerTLS | None = None,
    access: UnixAccess | None = None,
) -> Server:
    """Answer HTTP/1.1 at an endpoint.

    `access_log` is told of each exchange; `tls` goes with `tls://` endpoints, `access` with Unix
    sockets. Returns the server of kakuri_tcp: `.endpoint` has the real port, `await
    .drain(seconds)` finishes what is in flight, `await .close()` does not; `async with` closes.

    Raises:
        kakuri_tcp.ListenFailed: the endpoint is taken, or may not be used.
        TypeError: an argument is of another type.

    """
    if isinstance(endpoint, str):
        endpoint = Endpoint.parse(endpoint)
    _check_types(router, limits, access_log)
    return await listen(
        endpoint,
        lambda: ServerProtocol(router, limits, access_log),
        limits=limits,
        tls=tls,
        access=access,
    )


def _check_types(router: object, limits: object, access_log: object) -> None:
    for name, value, expected in (("router", router, Router), ("limits", limits, Limits)):
        if not isinstance(value, expected):
            raise TypeError(f"expected {name} of type {expected.__name__}, got {value!r:.80}")
    if access_log is not None and not callable(access_log):
        raise TypeError(f"expected a function as access_log, got {access_log!r:.80}")

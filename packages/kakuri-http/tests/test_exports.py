"""The public surface is this list."""

import kakuri_http

NAMES = [
    "CONNECTION_CLOSED",
    "END_OF_MESSAGE",
    "NEED_DATA",
    "PAUSED",
    "REQUEST_TABLE",
    "RESPONSE_TABLE",
    "Access",
    "AccessLog",
    "Check",
    "Client",
    "ClientConnection",
    "ClientDisconnected",
    "ClientError",
    "ConnectFailed",
    "ConnectionBroken",
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "Handler",
    "Headers",
    "HttpError",
    "InterimResponse",
    "InvalidUrl",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "NeedData",
    "Paused",
    "PoolLimits",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "RequestTimeout",
    "Response",
    "Route",
    "RouteConflict",
    "RouteError",
    "Router",
    "ServerConnection",
    "State",
    "StreamedResponse",
    "Timeouts",
    "TooManyRedirects",
    "UntrustedServer",
    "__version__",
    "problem",
    "serve",
]


def test_exports_are_these_and_no_others():
    assert sorted(kakuri_http.__all__) == sorted(NAMES)
    assert all(hasattr(kakuri_http, name) for name in NAMES)

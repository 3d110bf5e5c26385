"""The public names, so that a change of them is a decision."""

import kakuri_http2


def test_exports():
    assert sorted(kakuri_http2.__all__) == [
        "ClientConnection", "ClientDriver", "ConnectionEnded", "Data", "Drained", "ErrorCode",
        "Event", "Exchange", "ExchangeEnded", "GoingAway", "HPACKError", "HTTP2Error",
        "HeaderListTooLarge", "LimitExceeded", "Limits", "LocalProtocolError", "PingAcknowledged",
        "PreparedRequest", "Processed", "Receiver", "RemoteProtocolError", "Request", "Response",
        "ServerConnection",
        "ServerDriver", "SettingsReceived", "StreamReset", "Trailers", "__version__",
    ]  # fmt: skip
    for name in kakuri_http2.__all__:
        assert getattr(kakuri_http2, name) is not None

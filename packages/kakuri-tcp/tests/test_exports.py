import kakuri_tcp
import kakuri_tcp.blocking
import kakuri_tcp.testing


def test_the_public_names_are_these():
    assert sorted(kakuri_tcp.__all__) == kakuri_tcp.__all__
    assert set(kakuri_tcp.__all__) == {
        "ClientClosed", "ClientTLS", "ConnectFailed", "Connection", "ConnectionFault", "ConnectionLost",
        "Counters", "Credentials", "Endpoint", "EndpointError", "FaultHandler", "HandlerFailed",
        "IdleTimeout", "IncompleteLine", "LineClient", "LineClientLimits", "LineDecoder", "LineError",
        "LineHandler", "LineServerLimits", "LineTooLong", "ListenFailed", "Overloaded", "RequestLost",
        "RequestNotSent", "RequestTimeout", "Server", "ServerLimits", "ServerTLS", "TCPError",
        "TLSSettingsError", "TooManyRequests", "UnexpectedProtocol", "UnixAccess", "UntrustedServer",
        "WriteTimeout",
        "__version__", "connect", "listen", "listen_lines",
    }  # fmt: skip
    assert all(hasattr(kakuri_tcp, name) for name in kakuri_tcp.__all__)


def test_the_public_names_of_the_other_modules_are_these():
    assert kakuri_tcp.blocking.__all__ == ["Connection", "LineReader", "Server", "connect"]
    assert kakuri_tcp.testing.__all__ == [
        "End", "Expect", "FaultProxy", "Faults", "MemoryTransport", "Send", "Step", "pair", "play",
        "settle", "until",
    ]  # fmt: skip

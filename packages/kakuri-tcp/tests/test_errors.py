"""Errors survive pickle, copy and process pools: type, text and fields."""

import copy
import pickle

import kakuri_tcp
import pytest

ERRORS = [
    kakuri_tcp.EndpointError("text"),
    kakuri_tcp.TLSSettingsError("a certificate", "/x", "it is missing"),
    kakuri_tcp.ListenFailed("127.0.0.1:1", "it is taken"),
    kakuri_tcp.ConnectFailed("127.0.0.1:1", "it refused"),
    kakuri_tcp.TooManyRequests("127.0.0.1:1", 5),
    kakuri_tcp.ClientClosed("text"),
    kakuri_tcp.RequestLost("127.0.0.1:1", "it ended"),
    kakuri_tcp.RequestTimeout("127.0.0.1:1", 1.5),
    kakuri_tcp.ConnectionLost("text"),
    kakuri_tcp.UnrequestedLine(b"line"),
    kakuri_tcp.IdleTimeout("text"),
    kakuri_tcp.WriteTimeout("text"),
    kakuri_tcp.Overloaded("unfinished_input"),
    kakuri_tcp.UnexpectedProtocol(b"{", b"G"),
    kakuri_tcp.LineTooLong(5),
    kakuri_tcp.IncompleteLine(5),
    kakuri_tcp.HandlerFailed("text"),
]


def pickled(error):
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_pickled_error_keeps_type_text_and_fields(error, again):
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert repr(other) == repr(error)
    assert other.__dict__ == error.__dict__

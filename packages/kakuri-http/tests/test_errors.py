"""Errors survive pickle, copy and process pools: type, text and fields."""

import copy
import pickle

import kakuri_http
import pytest

ERRORS = [
    kakuri_http.RemoteProtocolError("text", status=414, code="uri_too_long"),
    kakuri_http.LimitExceeded("text", limit="body", status=413, code="content_too_large"),
    kakuri_http.LocalProtocolError("text"),
    kakuri_http.RouteError("text"),
    kakuri_http.RouteConflict("text"),
    kakuri_http.ConnectionBroken("text"),
    kakuri_http.RequestTimeout("text", phase="read"),
    kakuri_http.ClientDisconnected("text"),
    kakuri_http.ResponseAborted("text"),
]


def pickled(error):
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_error_keeps_type_text_and_fields(error, again):
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert repr(other) == repr(error)
    assert other.__dict__ == error.__dict__

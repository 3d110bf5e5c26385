"""The content of requests: its media type, its coding, and options that are left out."""

import pytest
from kakuri_control_plane._content import (
    MAX_OPTIONS,
    NoOptions,
    StopOptions,
    UnsupportedContent,
    check_content_type,
    read_options,
    refuse_content,
)
from kakuri_http import Headers, Request
from kakuri_json import JSONError, ValidationError


def request(body=b"{}", **fields):
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    made = Request("POST", "/", headers)
    made.body = body
    return made


@pytest.mark.parametrize(
    ("content_type", "is_accepted"),
    [
        ("application/json", True), ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True), ("text/json", True), ("text/plain", True),
        ("application/octet-stream", True), ("application/x-www-form-urlencoded", True),
        ("application/json ; a=b", True), ("application/xml", False), ("text/html", False),
        ("application/jsonx", False), ("", False),
    ],
)  # fmt: skip
def test_content_type_that_cannot_be_json_raises_unsupported_content(content_type, is_accepted):
    given = request(content_type=content_type)
    check_content_type(request())
    if is_accepted:
        check_content_type(given)
    else:
        with pytest.raises(UnsupportedContent, match="expected application/json, got"):
            check_content_type(given)


@pytest.mark.parametrize(
    ("coding", "is_accepted"),
    [("identity", True), ("Identity", True), ("gzip", False), ("", False)],
)
def test_content_with_a_coding_raises_unsupported_content(coding, is_accepted):
    given = request(content_encoding=coding)
    if is_accepted:
        check_content_type(given)
    else:
        with pytest.raises(UnsupportedContent, match="expected content without a coding, got"):
            check_content_type(given)


def test_options_have_their_defaults_without_content():
    assert read_options(request(b"", content_encoding="gzip"), StopOptions) == StopOptions(10)
    assert read_options(request(b"", content_type="text/html"), NoOptions) == NoOptions()
    assert read_options(request(b'{"grace_seconds":3}'), StopOptions) == StopOptions(3)
    with pytest.raises(UnsupportedContent):
        read_options(request(content_encoding="gzip"), StopOptions)
    with pytest.raises(JSONError):
        read_options(request(b'{"grace":3}'), StopOptions)
    assert MAX_OPTIONS == 4096


def test_content_of_a_request_that_takes_none_raises_validation_error():
    refuse_content(request(b""), "it has none")
    with pytest.raises(ValidationError, match="expected no content, because it has none"):
        refuse_content(request(b" "), "it has none")

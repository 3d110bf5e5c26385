"""The tables of the protocol: codes, units of time, framing, defaults."""

import pytest
from kakuri_grpc import (
    Backoff,
    Keepalive,
    Limits,
    MessageTooLarge,
    StatusCode,
    StatusError,
    status_error,
)
from kakuri_grpc._errors import KnownStatusError
from kakuri_grpc._framing import MessageReader, frame_message, sole_message
from kakuri_grpc._metadata import decode_timeout, encode_timeout
from kakuri_grpc._outcome import check_head, check_trailers
from kakuri_grpc._status import status_of_http, status_of_number, status_of_reset

NAMES = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
GRPC = b"application/grpc"


def test_codes_have_the_numbers_of_the_specification():
    assert [StatusCode(number).name for number in range(17)] == NAMES
    assert [status_of_number(b"%d" % number).name for number in range(17)] == NAMES
    assert {status_of_number(text) for text in (b"17", b"", b"x", b"-1", b"00")} == {
        StatusCode.UNKNOWN
    }


def test_http_statuses_have_the_codes_of_the_specification():
    codes = {status: status_of_http(status).name for status in range(200, 600)}
    named = {status: code for status, code in codes.items() if code != "UNKNOWN"}
    assert named == {
        400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED",
        429: "UNAVAILABLE", 431: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE",
        504: "UNAVAILABLE",
    }  # fmt: skip


def test_reset_codes_have_the_codes_of_the_specification():
    codes = [status_of_reset(code).name for code in range(15)]
    assert codes == [
        "INTERNAL", "INTERNAL", "INTERNAL", "INTERNAL", "INTERNAL", "INTERNAL", "INTERNAL",
        "UNAVAILABLE", "CANCELLED", "INTERNAL", "INTERNAL", "RESOURCE_EXHAUSTED",
        "PERMISSION_DENIED", "INTERNAL", "UNKNOWN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2H", 7200.0), ("2M", 120.0), ("2S", 2.0), ("2m", 2e-3), ("2u", 2e-6), ("2n", 2e-9)],
)
def test_timeout_has_the_unit_that_it_names(text, seconds):
    assert decode_timeout(text.encode()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1n"), (-5.0, "1n"), (1e-9, "1n"), (99_999e-9, "99999n"), (100_001e-9, "101u"),
        (0.05, "50000u"), (0.5, "500m"), (99.999, "99999m"), (100.5, "101S"), (99_999.0, "99999S"),
        (100_000.0, "1667M"), (6_000_001.0, "1667H"), (1e12, "99999999H"),
    ],
)  # fmt: skip
def test_timeout_is_written_in_the_smallest_unit_with_five_digits(seconds, text):
    assert encode_timeout(seconds).decode() == text


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_message_at_the_limit_is_read_and_over_it_too_large(limit):
    content = frame_message(b"x" * limit)
    assert sole_message(content, limit) == b"x" * limit
    reader = MessageReader(limit)
    reader.feed(content)
    assert reader.next_message() == b"x" * limit
    assert reader.is_empty
    larger = frame_message(b"x" * (limit + 1))
    assert sole_message(larger, limit) is None
    reader.feed(larger)
    with pytest.raises(MessageTooLarge):
        reader.next_message()


def test_content_that_is_not_one_message_needs_a_reader():
    one = frame_message(b"abc")
    for content in (b"", one[:4], one[:-1], one + b"x", one + one, b"\1" + one[1:]):
        assert sole_message(content, 100) is None


def test_messages_that_follow_each_other_are_read_one_by_one():
    reader = MessageReader(100)
    messages = [b"", b"a", b"", b"b" * 100]
    reader.feed(b"".join(map(frame_message, messages)))
    assert [reader.next_message() for _ in messages] == messages
    assert reader.is_empty
    assert reader.next_message() is None
    reader.feed(frame_message(b"cut")[:-1])
    assert reader.next_message() is None
    assert not reader.is_empty
    reader.feed(b"t")
    assert reader.next_message() == b"cut"


@pytest.mark.parametrize(
    ("status", "fields", "code"),
    [
        (200, {b"content-type": GRPC}, None),
        (200, {b"content-type": GRPC + b"+proto"}, None),
        (200, {b"content-type": b"text/html"}, "UNKNOWN"),
        (200, {}, "UNKNOWN"),
        (503, {b"content-type": GRPC}, "UNAVAILABLE"),
        (404, {b"content-type": b"text/html"}, "UNIMPLEMENTED"),
    ],
)
def test_head_without_grpc_content_type_has_the_code_of_its_http_status(status, fields, code):
    if code is None:
        assert check_head(status, tuple(fields.items()))
        return
    with pytest.raises(StatusError) as caught:
        check_head(status, tuple(fields.items()))
    assert caught.value.code.name == code


def test_head_with_a_status_ends_the_call():
    fields = ((b"content-type", GRPC), (b"grpc-status", b"5"), (b"grpc-message", b"no%20such"))
    assert not check_head(200, fields)
    with pytest.raises(StatusError, match="no such") as caught:
        check_trailers(fields, None)
    assert caught.value.code is StatusCode.NOT_FOUND


@pytest.mark.parametrize("number", [b"17", b"abc", b"-1", b"05", b""])
def test_unknown_grpc_status_without_a_message_is_named(number):
    fields = ((b"grpc-status", number), (b"grpc-message", b""))
    with pytest.raises(StatusError) as caught:
        check_trailers(fields, None)
    assert caught.value.code is StatusCode.UNKNOWN
    assert caught.value.message == f"expected a grpc-status from 0 to 16, got {number!r}"
    with pytest.raises(StatusError, match=r"^UNKNOWN: why$"):
        check_trailers(((b"grpc-status", number), (b"grpc-message", b"why")), None)


def test_defaults_match_the_documentation():
    limits, backoff, keepalive = Limits(), Backoff(), Keepalive()
    assert (limits.received, limits.sent) == (4_194_304, None)
    assert (limits.waiting_calls, limits.calls) == (1000, 10_000)
    assert (limits.server.connections, limits.server.connections_per_peer) == (1000, 500)
    assert (backoff.first, backoff.factor, backoff.longest) == (0.1, 1.6, 3.0)
    assert (backoff.jitter, backoff.connect) == (0.2, 20.0)
    assert (keepalive.interval, keepalive.timeout) == (30.0, 10.0)


@pytest.mark.parametrize("code", ["no such order", 5, None])
def test_status_error_with_a_code_of_wrong_type_raises_type_error(code):
    with pytest.raises(TypeError, match="expected a StatusCode"):
        StatusError(code)


def test_status_error_with_the_code_of_success_raises_value_error():
    with pytest.raises(ValueError, match="expected the status of a failure, got OK"):
        StatusError(StatusCode.OK)


@pytest.mark.parametrize("kind", KnownStatusError.__subclasses__())
def test_error_of_one_status_needs_only_a_message(kind):
    error = kind("no order 7", (("a", "b"),))
    assert type(status_error(error.code, "no order 7")) is kind
    assert str(error) == f"{error.code.name}: no order 7"
    assert (error.message, error.trailers) == ("no order 7", (("a", "b"),))
    with pytest.raises(TypeError, match="expected a message, got <StatusCode"):
        kind(error.code)


def test_error_of_a_status_without_a_class_has_its_code():
    error = status_error(StatusCode.ABORTED, "text", (("a", "b"),))
    assert type(error) is StatusError
    assert (error.code, error.trailers) == (StatusCode.ABORTED, (("a", "b"),))

"""Statuses, metadata, timeouts and messages as they are written."""

import copy
import math
import pickle

import pytest
from kakuri_grpc import (
    DeadlineExceeded,
    LocalError,
    MessageTooLarge,
    NotFound,
    Processed,
    StatusCode,
    StatusError,
    Unavailable,
)
from kakuri_grpc._framing import CompressedMessage, MessageReader, frame_message
from kakuri_grpc._metadata import (
    MAX_MESSAGE,
    decode_message,
    decode_metadata,
    decode_timeout,
    encode_message,
    encode_metadata,
    encode_timeout,
)
from kakuri_grpc._status import status_of_number, status_of_reset


@pytest.mark.parametrize(
    "text", ["", "plain", "100 %", "a\nb", "☺ 😈", "\0\x7f", "%41", " ", "a ", "  a"]
)
def test_message_of_a_status_is_read_back(text):
    encoded = encode_message(text)
    assert encoded == encoded.strip()
    assert decode_message(encoded) == text


@pytest.mark.parametrize("character", ["a", "é", "😈"])
def test_long_status_message_is_truncated_between_characters(character):
    encoded = encode_message(character * 10_000)
    assert len(encoded) <= MAX_MESSAGE + 20
    text, dots = decode_message(encoded)[:-3], decode_message(encoded)[-3:]
    assert (set(text), dots) == ({character}, "...")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"%", "%"), (b"%4", "%4"), (b"a%", "a%"), (b"%zz", "%zz"), (b"%4z", "%4z"),
        (b"%+4", "%+4"), (b"%-4", "%-4"), (b"% 4", "% 4"), (b"%4_", "%4_"), (b"%%41", "%A"),
        (b"%2541", "%41"), (b"%c3%A9", "é"), (b"x%41y%42z", "xAyBz"), (b"%ff%fe", "\ufffd\ufffd"),
        (b"\xff", "\ufffd"), (b"%C3%28", "\ufffd("),
    ],
)  # fmt: skip
def test_invalid_escape_in_a_status_message_is_kept(value, text):
    assert decode_message(value) == text


@pytest.mark.parametrize(
    "seconds", [0, 1e-12, 1e-9, 0.1, 0.3, 1, 59.999, 3600, 1e6, 1e9, 1e18, 1e300, math.inf]
)
def test_timeout_is_at_most_eight_digits_and_never_shorter(seconds):
    value = encode_timeout(seconds)
    assert len(value) <= 9
    assert not value.startswith(b"0")
    if seconds < 1e11:
        assert decode_timeout(value) >= seconds * (1 - 1e-9)


@pytest.mark.parametrize("value", [b"", b"1", b"S", b"1s", b"-1S", b"1.5S", b"123456789S", b" 1S"])
def test_timeout_that_is_not_valid_raises_value_error(value):
    with pytest.raises(ValueError, match="one to eight digits"):
        decode_timeout(value)


def test_metadata_is_read_back_with_bytes_under_names_that_end_in_bin():
    metadata = (("a", "b"), ("x-bin", b"\0\xff"), ("x-bin", b""))
    assert decode_metadata(encode_metadata(metadata)) == metadata
    assert decode_metadata(((b"x-bin", b"AAE,AQ=="),)) == (("x-bin", b"\0\1"), ("x-bin", b"\1"))


@pytest.mark.parametrize(
    "name",
    [
        "", "A", "a b", ":path", "grpc-timeout", "content-type", "content-length", "te", "host",
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
    ],
)  # fmt: skip
def test_metadata_name_that_is_invalid_or_in_use_raises_value_error(name):
    with pytest.raises(ValueError, match=r"expected a (metadata )?name"):
        encode_metadata([(name, "x")])


def test_metadata_with_more_than_a_thousand_binary_values_raises_value_error():
    fields = ((b"a-bin", b"," * 499), (b"b", b"," * 2000), (b"c-bin", b"," * 499))
    assert len(decode_metadata(fields)) == 1001
    with pytest.raises(ValueError, match="expected at most 1000 binary values in metadata"):
        decode_metadata((*fields, (b"d-bin", b"")))


def test_metadata_that_is_not_base64_raises_value_error():
    with pytest.raises(ValueError, match="expected base64"):
        decode_metadata(((b"x-bin", b"?"),))


@pytest.mark.parametrize("cut", range(1, 12))
def test_messages_are_read_however_the_bytes_are_split(cut):
    data = frame_message(b"abc") + frame_message(b"") + frame_message(b"defg")
    reader, messages = MessageReader(10), []
    for start in range(0, len(data), cut):
        reader.feed(data[start : start + cut])
        while (message := reader.next_message()) is not None:
            messages.append(message)
    assert messages == [b"abc", b"", b"defg"]
    assert reader.is_empty


@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("size", [256, 257, 1000])
def test_message_after_a_short_piece_is_read_with_the_long_one(cut, size):
    data = frame_message(b"x" * size)
    reader = MessageReader(size)
    for piece in (data[:cut], data[cut:], data[:cut], data[cut:]):
        reader.feed(piece)
    assert [reader.next_message() for _ in range(3)] == [b"x" * size, b"x" * size, None]
    assert reader.is_empty


def test_announced_size_raises_message_too_large_before_anything_is_kept():
    reader = MessageReader(100)
    reader.feed(b"\0\xff\xff\xff\xff")
    with pytest.raises(MessageTooLarge, match="at most 100 bytes, got 4294967295"):
        reader.next_message()


def test_compressed_message_is_rejected():
    reader = MessageReader(100)
    reader.feed(b"\1\0\0\0\1a")
    with pytest.raises(CompressedMessage):
        reader.next_message()


def test_numbers_without_a_name_are_unknown():
    assert status_of_number(b"5") is StatusCode.NOT_FOUND
    for number in (b"99", b"-1", b"x", b"", b"05", b"1" * 5000):
        assert status_of_number(number) is StatusCode.UNKNOWN
    assert status_of_reset(0xFF) is StatusCode.UNKNOWN


@pytest.mark.parametrize(
    "error",
    [
        StatusError(StatusCode.ABORTED, "text", (("a", "b"),)),
        NotFound("text", (("a", "b"),)),
        Unavailable(message="text", processed=Processed.NO),
        DeadlineExceeded(1.5),
        MessageTooLarge(5, 3),
        LocalError("text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickle_and_copy(error):
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_details_are_the_bytes_of_their_trailer():
    error = StatusError(StatusCode.ABORTED, "", (("grpc-status-details-bin", b"\1"),))
    assert error.details == b"\1"
    assert StatusError(StatusCode.ABORTED).details == b""


@pytest.mark.parametrize(
    "name",
    [
        "te", "content-type", "grpc-status", "grpc-message", "grpc-timeout", "grpc-encoding",
        "grpc-accept-encoding",
    ],
)  # fmt: skip
def test_field_of_the_protocol_is_not_metadata(name):
    fields = ((b"a", b"1"), (name.encode(), b"x"), (b"grpc-status-details-bin", b"AQ"))
    assert decode_metadata(fields) == (("a", "1"), ("grpc-status-details-bin", b"\1"))

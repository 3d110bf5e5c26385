"""What HPACK's coders remember between blocks: never more than allowed, and never what is stale."""

import pytest
from kakuri_http2 import HeaderListTooLarge, HPACKError, Limits
from kakuri_http2.hpack import Decoder, Encoder, NeverIndexed
from kakuri_http2.hpack._encoder import _MAX_CACHED, CHANGING, SECRET, encode_integer

PLAIN = ((b":method", b"GET"), (b":scheme", b"https"))


def test_repeated_block_is_encoded_and_decoded_identically():
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    first = encoder.encode(PLAIN)
    assert encoder.encode(PLAIN) == encoder.encode(tuple(PLAIN)) == first
    assert decoder.decode(first) == decoder.decode(first) == PLAIN


def test_encoder_caches_a_bounded_number_of_blocks():
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    for number in range(3 * _MAX_CACHED):
        fields = ((b":path", b"/"), (b"etag", b"%d" % number))
        for again in (fields, (*fields,), fields):
            assert decoder.decode(encoder.encode(again)) == fields
        assert len(encoder._cached) <= _MAX_CACHED
        assert len(encoder._cached_by_id) <= _MAX_CACHED + 1
        assert len(decoder._cached) <= _MAX_CACHED


def test_cached_block_is_not_sent_after_the_table_has_changed():
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    fields = ((b"x-first", b"value"),)
    for _ in range(3):
        assert decoder.decode(encoder.encode(fields)) == fields
    for number in range(100):  # they take the place of the first one
        other = ((b"x-other-%d" % number, b"y" * 100),)
        assert decoder.decode(encoder.encode(other)) == other
        assert decoder.decode(encoder.encode(fields)) == fields


def test_cached_block_is_not_sent_while_a_size_update_is_due():
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    encoder.encode(PLAIN)
    encoder.limit_table_size(100)
    decoder.allow_table_size(100)
    block = encoder.encode(PLAIN)
    assert block[0] & 0xE0 == 0x20
    assert decoder.decode(block) == PLAIN
    assert encoder.encode(PLAIN)[0] & 0xE0 != 0x20


def test_cached_block_raises_hpack_error_while_a_size_update_is_due():
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    block = encoder.encode(PLAIN)
    assert decoder.decode(block) == PLAIN
    decoder.allow_table_size(100)
    with pytest.raises(HPACKError):
        decoder.decode(block)


@pytest.mark.parametrize("name", sorted(SECRET | CHANGING - {b":path"}))
def test_secret_or_rarely_repeated_field_is_not_indexed(name):
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    fields = ((name, b"a value"),)
    block = encoder.encode(fields)
    assert len(encoder.table.entries) == 0
    assert decoder.decode(block) == fields
    assert isinstance(decoder.decode(block)[0], NeverIndexed) == (name in SECRET)


@pytest.mark.parametrize("indexes", [True, False])
def test_paths_are_indexed_if_they_are_repeated(indexes):
    encoder = Encoder(indexes_paths=indexes)
    encoder.encode(((b":path", b"/service/method"),))
    assert len(encoder.table.entries) == indexes


def test_field_of_half_the_table_is_not_indexed():
    encoder = Encoder(table_size=200)
    encoder.encode(((b"x", b"y" * (100 - 33)),))
    assert len(encoder.table.entries) == 1
    encoder.encode(((b"x", b"z" * (101 - 33)),))
    assert len(encoder.table.entries) == 1


@pytest.mark.parametrize(
    ("value", "bits", "data"),
    [
        (10, 5, "0a"), (30, 5, "1e"), (31, 5, "1f00"), (158, 5, "1f7f"), (159, 5, "1f8001"),
        (1337, 5, "1f9a0a"), (42, 8, "2a"), (254, 8, "fe"), (255, 8, "ff00"),
    ],
)  # fmt: skip
def test_integer_is_written_as_the_specification_shows(value, bits, data):
    assert encode_integer(value, bits, 0).hex() == data
    assert encode_integer(value, bits, 0)[1:].hex() == data[2:]


def test_default_limits_match_the_documentation():
    limits = Limits()
    assert (limits.stream_window, limits.connection_window) == (4 << 20, 16 << 20)
    assert (limits.concurrent_streams, limits.frame_size) == (100, 16_384)
    assert (limits.header_list, limits.header_table, limits.header_block) == (65_536, 4096, 65_536)
    assert (limits.continuations, limits.settings, limits.settings_frames) == (32, 32, 10)
    assert (limits.unsent_control_frames, limits.idle_frames, limits.empty_frames) == (
        100,
        1000,
        100,
    )
    assert (limits.interim_responses, limits.peer_resets, limits.own_resets) == (10, 200, 1000)


@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization"])
def test_credentials_are_never_indexed(name):
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    assert isinstance(decoder.decode(encoder.encode(((name, b"secret"),)))[0], NeverIndexed)
    assert encoder.table.entries == []


@pytest.mark.parametrize("name", [b"content-length", b"etag", b"date", b"age"])
def test_field_whose_value_is_rarely_repeated_is_not_indexed(name):
    encoder, decoder = Encoder(), Decoder(max_list_size=10_000)
    (field,) = decoder.decode(encoder.encode(((name, b"1"),)))
    assert not isinstance(field, NeverIndexed)
    assert encoder.table.entries == []


@pytest.mark.parametrize("count", [1, 3])
def test_list_of_exactly_the_largest_size_is_decoded_whole(count):
    fields = tuple((b"name-%d" % number, b"x" * 60) for number in range(count))
    size = sum(len(name) + len(value) + 32 for name, value in fields)
    block = Encoder().encode(fields)
    assert Decoder(max_list_size=size).decode(block) == fields
    with pytest.raises(HeaderListTooLarge) as caught:
        Decoder(max_list_size=size - 1).decode(block)
    assert caught.value.maximum == size - 1

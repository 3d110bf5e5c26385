"""HPACK: tables, Huffman strings, limits, and the same fields as another implementation."""

import random

import pytest
from hpack import Decoder as OtherDecoder
from hpack import Encoder as OtherEncoder
from kakuri_http2 import HeaderListTooLarge, HPACKError, LimitExceeded
from kakuri_http2.hpack import Decoder, Encoder, NeverIndexed, _huffman
from kakuri_http2.hpack._encoder import encode_integer
from kakuri_http2.hpack._table import DynamicTable, SearchableTable

NAMES = [b":method", b":path", b"content-type", b"x-a", b"x-b", b"cookie", b"etag", b"grpc-status"]


def some_fields(chance):
    return tuple(
        (chance.choice(NAMES), chance.randbytes(chance.choice([0, 1, 5, 30, 200])))
        for _ in range(chance.randint(0, 8))
    )


@pytest.mark.parametrize("seed", range(20))
def test_fields_are_read_back_by_both_implementations_over_many_blocks(seed):
    chance = random.Random(seed)
    encoder, decoder, other = Encoder(), Decoder(), OtherDecoder()
    other_encoder, other_reader = OtherEncoder(), Decoder()
    for _ in range(60):
        fields = some_fields(chance)
        if chance.random() < 0.1:
            size = chance.choice([0, 100, 1000, 4096])
            encoder.limit_table_size(size)
        block = encoder.encode(fields)
        assert decoder.decode(block) == fields
        assert tuple(other.decode(block, raw=True)) == fields
        assert other_reader.decode(other_encoder.encode(fields)) == fields
        assert decoder.table.size <= decoder.table.max_size


def test_encoder_finds_each_field_that_its_table_has():
    chance = random.Random(3)
    encoder, decoder = Encoder(), Decoder()
    names = [b"x-%d" % number for number in range(12)]
    for _ in range(300):
        fields = tuple((chance.choice(names), chance.randbytes(chance.choice([1, 2, 90, 1000])))
                       for _ in range(6))  # fmt: skip
        if chance.random() < 0.1:
            encoder.limit_table_size(chance.choice([0, 200, 1000, 4096]))
        assert decoder.decode(encoder.encode(fields)) == fields
        table = encoder.table
        assert table.entries == decoder.table.entries
        for position, field in enumerate(table.entries):
            assert table.entries[table.index_of(field) - 62] == field
            assert table.index_of_name(field[0]) <= position + 62
        assert len(table._fields) == len({*table.entries})
        assert len(table._names) == len({name for name, _ in table.entries})


def test_repeated_fields_become_one_byte_each():
    encoder = Encoder()
    fields = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))
    first, second, third = (encoder.encode(fields) for _ in range(3))
    assert len(second) == len(third) == 2 < len(first)


def test_block_that_is_encoded_again_and_again_follows_the_table():
    encoder, decoder = Encoder(), Decoder()
    first, second = ((b"x-a", b"1"),), ((b"x-b", b"2"),)
    for fields in (first, second, first, second):
        for _ in range(4):  # the same tuple: what was encoded is remembered
            assert decoder.decode(encoder.encode(fields)) == fields
    for number in range(3):
        new = ((b"x-c", b"%d" % number),)
        for fields in (new, new, new, first, second, first):
            assert decoder.decode(encoder.encode(fields)) == fields


def test_fields_that_were_encoded_without_indexing_are_indexed_later():
    encoder, decoder = Encoder(), Decoder()
    fields = ((b"x-a", b"1"),)
    literal = encoder.encode(fields, indexes=False)
    assert encoder.encode(fields, indexes=False) == literal
    assert not encoder.table.entries
    blocks = [encoder.encode(fields) for _ in range(2)]
    assert encoder.table.entries
    assert [decoder.decode(block) for block in (literal, *blocks)] == [fields] * 3
    assert len(blocks[1]) == 1


def test_secret_fields_are_never_indexed():
    encoder, decoder = Encoder(), Decoder()
    secret = (b"authorization", b"Bearer x")
    for _ in range(2):
        block = encoder.encode((secret,))
        assert b"Bearer" in block or len(block) > 6
        (field,) = decoder.decode(block)
        assert field == secret
        assert isinstance(field, NeverIndexed)
    assert not encoder.table.entries
    marked = NeverIndexed((b"x-token", b"y"))
    assert isinstance(decoder.decode(encoder.encode((marked,)))[0], NeverIndexed)


def test_lowered_table_needs_an_update_in_the_next_block():
    decoder = Decoder()
    decoder.allow_table_size(100)
    with pytest.raises(HPACKError, match="expected a size update"):
        decoder.decode(b"\x82")
    decoder = Decoder()
    decoder.allow_table_size(100)
    assert decoder.decode(encode_integer(100, 5, 0x20) + b"\x82") == ((b":method", b"GET"),)


def test_third_size_update_of_a_block_raises_hpack_error():
    updates = b"\x20" + encode_integer(100, 5, 0x20)
    assert Decoder().decode(updates + b"\x82") == ((b":method", b"GET"),)
    with pytest.raises(HPACKError, match="expected at most two size updates"):
        Decoder().decode(updates + updates[1:] + b"\x82")


def test_encoder_reports_the_smallest_size_in_between():
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(((b"x-a", b"y" * 50),)))
    encoder.limit_table_size(0)
    encoder.limit_table_size(4096)
    block = encoder.encode(((b"x-a", b"y" * 50),))
    assert block.startswith(b"\x20")
    assert decoder.decode(block) == ((b"x-a", b"y" * 50),)


@pytest.mark.parametrize("text", [b"", b"a", b"www.example.com", bytes(range(256)), b"\xff" * 1000])
def test_huffman_strings_are_read_back(text):
    data = _huffman.encode(text)
    assert _huffman.decode(data) == text
    assert _huffman.encoded_length(text) == len(data)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\xff\xff\xff\xff", b"\x00\xff\xff", bytes.fromhex("f1e3c2e5f23a6ba0ab90f400")],
    ids=bytes.hex,
)
def test_huffman_padding_that_is_not_valid_raises_hpack_error(data):
    with pytest.raises(HPACKError):
        _huffman.decode(data)


def test_fields_beyond_the_limit_are_counted_while_decoding_and_the_table_stays_right():
    encoder, decoder = Encoder(), Decoder(max_list_size=500)
    large = tuple((b"x-%d" % number, b"y" * 20) for number in range(15))
    with pytest.raises(HeaderListTooLarge) as caught:
        decoder.decode(encoder.encode(large))
    assert caught.value.maximum == 500
    assert decoder.decode(encoder.encode(large[-2:])) == large[-2:]


def test_bomb_of_references_raises_limit_exceeded_without_being_built():
    decoder = Decoder(max_list_size=65_536)
    value = b"x" * 4063
    block = b"\x40\x01x" + encode_integer(len(value), 7, 0) + value + b"\xbe" * 16_000
    with pytest.raises(LimitExceeded):
        decoder.decode(block)


def test_one_byte_more_than_twice_the_limit_raises_limit_exceeded():
    get, post = b"\x82", b"\x02\x04POST"  # 42 and 43 bytes
    with pytest.raises(HeaderListTooLarge):
        Decoder(max_list_size=42).decode(get + get)
    with pytest.raises(LimitExceeded):
        Decoder(max_list_size=42).decode(get + post)


def test_decoding_stops_at_twice_the_limit_even_if_the_rest_is_not_valid():
    with pytest.raises(LimitExceeded) as caught:
        Decoder(max_list_size=33 * 100).decode(b"\x41\x00" * 200 + b"\x80")
    assert caught.value.limit == "header_list"


@pytest.mark.parametrize(
    "block", [b"\x40", b"\x00\x05ab", b"\x7f", b"\x00\x01a\x7f", b"\x80", b"\x3f"]
)
def test_block_that_ends_early_raises_hpack_error(block):
    with pytest.raises(HPACKError):
        Decoder().decode(block)


def test_integer_of_too_many_bytes_raises_hpack_error():
    with pytest.raises(HPACKError, match="at most 5 bytes"):
        Decoder().decode(b"\xff" + b"\x80" * 5 + b"\x01")


def test_cached_block_is_decoded_again_after_the_table_changed():
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(((b"x-a", b"1"),)))
    assert decoder.decode(b"\xbe") == ((b"x-a", b"1"),)
    assert decoder.decode(b"\xbe") == ((b"x-a", b"1"),)
    decoder.decode(encoder.encode(((b"x-b", b"2"),)))
    assert decoder.decode(b"\xbe") == ((b"x-b", b"2"),)


def test_random_blocks_decode_equally_or_are_rejected_by_both():
    chance = random.Random(7)
    for _ in range(3000):
        block = chance.randbytes(chance.randint(1, 12))
        try:
            theirs = tuple(OtherDecoder(max_header_list_size=65_536).decode(block, raw=True))
        except Exception:  # noqa: BLE001 - whatever it raises
            with pytest.raises((HPACKError, HeaderListTooLarge)):
                Decoder().decode(block)
        else:
            assert Decoder().decode(block) == theirs


@pytest.mark.parametrize(
    ("sizes", "signalled"),
    [
        ([100], [100]),
        ([100, 200], [100, 200]),
        ([200, 100], [100]),
        ([100, 200, 100], [100]),
        ([100, 200, 50], [50]),
        ([100, 50, 200], [50, 200]),
        ([4096], []),
    ],
)
def test_encoder_signals_the_smallest_and_the_last_size_of_its_table(sizes, signalled):
    encoder = Encoder()
    for size in sizes:
        encoder.limit_table_size(size)
    updates = b"".join(encode_integer(size, 5, 0x20) for size in signalled)
    assert encoder.encode(((b":method", b"GET"),)) == updates + b"\x82"
    assert encoder.encode(((b":method", b"GET"),)) == b"\x82"


@pytest.mark.parametrize("table", [DynamicTable, SearchableTable])
def test_field_larger_than_the_table_empties_it(table):
    table = table(100)
    for value in (b"1", b"2"):
        table.add((b"x", value))
    assert table.entries == [(b"x", b"2"), (b"x", b"1")]
    before = table.generation
    table.add((b"y", b"z" * 68))  # one byte too many, with the 32 of each entry
    assert (table.entries, table.size) == ([], 0)
    assert table.generation > before
    table.add((b"y", b"z" * 67))
    assert (table.entries, table.size) == ([(b"y", b"z" * 67)], 100)


def test_encoder_after_a_field_larger_than_its_table_sends_fields_as_literals():
    encoder, decoder = Encoder(), Decoder()
    small, large = (b"x-a", b"y"), (b"x-b", b"z" * 4096)
    for fields in ((small,), (small, large), (small,), (small,)):
        assert decoder.decode(encoder.encode(fields)) == fields
        assert decoder._table.entries == encoder.table.entries

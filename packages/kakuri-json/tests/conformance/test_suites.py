"""The public conformance suites, read from the directory that KAKURI_CORPORA names."""

import json
import os
import re
import struct
from pathlib import Path

import kakuri_json
import pytest
from kakuri_json import JSONError

CORPORA = Path(os.environ["KAKURI_CORPORA"])


def files(pattern):
    found = sorted(CORPORA.glob(pattern))
    assert found, f"expected files {pattern} in {CORPORA}"
    return [pytest.param(path, id=path.name) for path in found]


# y_object_duplicated_key*: RFC 8259 section 4 leaves it open. Parsers disagree about which value
# counts, so kakuri-json rejects it unless the caller chooses.
DUPLICATES = re.compile("y_object_duplicated_key")


@pytest.mark.parametrize("path", files("json-test-suite/test_parsing/y_*.json"))
def test_valid_document_is_accepted(path):
    data = path.read_bytes()
    if DUPLICATES.match(path.name):
        with pytest.raises(JSONError, match="every key of an object once"):
            kakuri_json.loads(data)
        assert kakuri_json.loads(data, duplicate_keys="last") == json.loads(data)
    else:
        value = kakuri_json.loads(data)
        assert value == json.loads(data)
        assert kakuri_json.loads(kakuri_json.dumps(value)) == value


@pytest.mark.parametrize("path", files("json-test-suite/test_parsing/n_*.json"))
def test_invalid_document_is_rejected(path):
    with pytest.raises(JSONError):
        kakuri_json.loads(path.read_bytes())


# What the RFC leaves open, and which of it we accept; the rest is refused.
ACCEPTED_DOUBTS = {
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
    "i_structure_500_nested_arrays.json",
}


def test_implementation_defined_document_has_the_documented_outcome():
    for path in CORPORA.glob("json-test-suite/test_parsing/i_*.json"):
        try:
            kakuri_json.loads(path.read_bytes())
        except JSONError:
            assert path.name not in ACCEPTED_DOUBTS
        else:
            assert path.name in ACCEPTED_DOUBTS


TRANSFORMED = {
    "number_-9223372036854775809.json": [-9223372036854775809],
    "number_1.000000000000000005.json": [1.0],
    "number_1000000000000000.json": [1000000000000000],
    "number_10000000000000000999.json": [10000000000000000999],
    "number_9223372036854775807.json": [9223372036854775807],
    "number_9223372036854775808.json": [9223372036854775808],
    "number_1e-999.json": [0.0],
    "number_1e6.json": [1000000.0],
    "number_1.0.json": [1.0],
    "number_-0.0.json": [-0.0],
    "object_key_nfc_nfd.json": {"\u00e9": "NFC", "e\u0301": "NFD"},
    "object_key_nfd_nfc.json": {"e\u0301": "NFD", "\u00e9": "NFC"},
    "string_with_escaped_NULL.json": ["A\0B"],
}
"""What is read from the doubtful documents; all others are refused."""


@pytest.mark.parametrize("path", files("json-test-suite/test_transform/*.json"))
def test_ambiguous_document_has_the_documented_value(path):
    data = path.read_bytes()
    if path.name in TRANSFORMED:
        assert kakuri_json.loads(data) == TRANSFORMED[path.name]
    else:
        with pytest.raises(JSONError):
            kakuri_json.loads(data)


@pytest.mark.parametrize("path", files("json-roundtrip/roundtrip*.json"))
def test_document_is_printed_unchanged(path):
    text = path.read_text().strip()
    printed = kakuri_json.dumps(kakuri_json.loads(text))
    if "e" not in text.lower():
        assert printed == text
    assert repr(kakuri_json.loads(printed)) == repr(json.loads(text))


NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


@pytest.mark.parametrize("path", files("float-parse/*.txt"))
def test_float_is_parsed_to_the_expected_bits(path):
    count = 0
    for line in path.read_text().splitlines():
        _, _, bits, text = line.split()
        if (
            NUMBER.fullmatch(text) is None
            or bits == "7FF0000000000000"
            or bits == "FFF0000000000000"
        ):
            with pytest.raises(JSONError):
                kakuri_json.loads(text)
            continue
        count += 1
        assert struct.pack(">d", float(kakuri_json.loads(text))).hex().upper() == bits or (
            bits == "8000000000000000" and "." not in text  # the integer -0 has no sign
        )
    assert count > 30


@pytest.mark.parametrize("path", files("jcs/input/*.json"))
def test_canonical_form_is_the_expected_one(path):
    expected = (path.parent.parent / "output" / path.name).read_bytes().strip(b"\n")
    assert kakuri_json.canonical(kakuri_json.loads(path.read_bytes())) == expected
    outhex = (path.parent.parent / "outhex" / path.with_suffix(".txt").name).read_text()
    assert bytes.fromhex(outhex) == expected


def test_canonical_number_is_the_expected_one():
    lines = next(iter(CORPORA.glob("jcs/es6-numbers-*.txt"))).read_text().split()
    assert len(lines) >= 1000
    for line in lines:
        bits, text = line.split(",")
        number = struct.unpack(">d", bytes.fromhex(bits.zfill(16)))[0]
        assert kakuri_json.canonical(number) == text.encode()


@pytest.mark.parametrize("path", files("json-bench/*.json"))
def test_real_document_is_parsed_by_every_function(path):
    data = path.read_bytes()
    value = kakuri_json.loads(data)
    assert value == json.loads(data)
    assert kakuri_json.loads(kakuri_json.encode(value)) == value
    events(data, value)


def events(data, value):
    parser = kakuri_json.IncrementalParser()
    scalars = 0
    for start in [*range(0, len(data), 65536), None]:
        parser.receive_data(b"" if start is None else data[start : start + 65536])
        while (event := parser.next_event()).kind is not kakuri_json.EventKind.NEED_DATA:
            scalars += event.kind is kakuri_json.EventKind.VALUE
            if event.kind is kakuri_json.EventKind.END:
                break
    assert scalars == count(value)


def count(value):
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, list) else 1


@pytest.mark.parametrize("path", files("json-bench/*.ndjson"))
def test_real_lines_are_decoded(path):
    data = path.read_bytes()
    chunks = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    assert list(kakuri_json.decode_lines(chunks)) == [
        json.loads(line) for line in data.splitlines()
    ]

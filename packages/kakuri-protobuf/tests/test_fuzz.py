"""The official library reads what we write, and we read what it writes and refuse what it refuses."""

import math
import random
import struct
from typing import Any

import kakuri_protobuf as kp
import pytest
from google.protobuf.message import DecodeError as OfficialError
from google.protobuf.message import EncodeError
from kakuri_protobuf import DecodeError, decode, encode
from kakuri_protobuf._fields import Label, schema_of
from kakuri_protobuf._kinds import Kind

from tools.fuzzing import seeds

from .conftest import module_of
from .descriptors import official_class

FILES = {name: module_of(name, keep_unknown=True) for name in ("everything", "legacy")}
CLASSES = [
    (FILES["everything"].Everything, official_class("everything.proto", "kakuri.test.Everything")),
    (FILES["legacy"].Legacy, official_class("legacy.proto", "kakuri.legacy.Legacy")),
]
TEXTS = ["", "a", "ä", "\0", "\U0001f600", "x" * 127, "x" * 128, "\x7f"]
REALS = [0.0, -0.0, 1.5, -1e300, math.inf, -math.inf, math.nan, 5e-324]


def value_of(chance: random.Random, kind: Kind, cls: Any, depth: int) -> Any:
    """Return a value of a kind, often one at its bounds."""
    if kind in (Kind.MESSAGE, Kind.GROUP):
        return message_of(chance, cls, depth - 1)
    if kind is Kind.ENUM:
        if issubclass(cls, kp.Enum) and chance.random() < 0.3:
            return cls(chance.randint(-(1 << 31), (1 << 31) - 1))
        return chance.choice(list(cls))
    if kind.bounds is not None:
        low, high = kind.bounds
        bits = chance.randint(1, 64)
        return min(
            max(chance.choice([low, high, 0, 1, 127, 128, chance.getrandbits(bits)]), low), high
        )
    if kind is Kind.FLOAT:
        value = chance.choice([*REALS[:3], *REALS[4:7], chance.random()])
        return struct.unpack("<f", struct.pack("<f", value))[0]
    return {
        Kind.BOOL: lambda: chance.random() < 0.5,
        Kind.DOUBLE: lambda: chance.choice([*REALS, chance.random()]),
        Kind.STRING: lambda: chance.choice(TEXTS),
        Kind.BYTES: lambda: chance.randbytes(chance.randint(0, 8)),
    }[kind]()


def message_of(chance: random.Random, cls: Any, depth: int = 2) -> Any:
    """Return a message of a class with few of its fields set."""
    fields = schema_of(cls).fields
    chosen = {chance.choice(fields).name for _ in range(chance.randint(0, 5))} if fields else set()
    values: dict[str, Any] = {}
    taken: set[str | None] = {None}
    for one in fields:
        is_nested = one.kind in (Kind.MESSAGE, Kind.GROUP)
        is_chosen = one.name in chosen and not (is_nested and depth == 0)
        if not is_chosen and one.label is not Label.REQUIRED:
            continue
        if one.oneof is not None:
            if one.oneof in taken:
                continue
            taken.add(one.oneof)
        if one.label is Label.REPEATED:
            values[one.name] = tuple(
                value_of(chance, one.kind, one.type, depth) for _ in range(chance.randint(0, 4))
            )
        elif one.label is Label.MAP:
            assert one.key is not None
            values[one.name] = {
                value_of(chance, one.key, None, 0): value_of(chance, one.kind, one.type, depth)
                for _ in range(chance.randint(0, 3))
            }
        else:
            values[one.name] = value_of(chance, one.kind, one.type, depth)
    return cls(**values)


def changed(chance: random.Random, data: bytes) -> bytes:
    """Return data with a few bytes set, inserted, cut or repeated."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randint(0, len(result))
        match chance.choice(["set", "insert", "cut", "repeat", "end"]):
            case "insert":
                result.insert(place, chance.randint(0, 255))
            case "repeat":
                result += result[place:]
            case "set" if place < len(result):
                result[place] = chance.randint(0, 255)
            case "cut" if place < len(result):
                del result[place]
            case "end":
                del result[place:]
    return bytes(result)


def comparable(value: Any) -> Any:
    """Return a value in which NaN equals NaN, and -0.0 is not 0.0."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, tuple):
        return [comparable(one) for one in value]
    if isinstance(value, dict):
        return {key: comparable(one) for key, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: comparable(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


@pytest.mark.parametrize(("cls", "official"), CLASSES)
def test_messages_are_read_by_the_official_library_and_back(cls, official):
    for seed in seeds(400):
        message = message_of(random.Random(seed), cls)
        data = encode(message)
        assert comparable(decode(data, type=cls)) == comparable(message)
        written = official.FromString(data).SerializeToString()
        assert comparable(decode(written, type=cls)) == comparable(message)
        assert len(written) == len(data)


@pytest.mark.parametrize(("cls", "official"), CLASSES)
def test_mutated_messages_decode_equally_or_are_rejected_by_both(cls, official):
    for seed in seeds(400):
        chance = random.Random(seed)
        data = encode(message_of(chance, cls))
        for _ in range(10):
            same_result(changed(chance, data), cls, official)


@pytest.mark.parametrize(("cls", "official"), CLASSES)
def test_random_bytes_decode_equally_or_are_rejected_by_both(cls, official):
    for seed in seeds(1000):
        chance = random.Random(seed)
        for _ in range(4):
            same_result(chance.randbytes(chance.randint(0, 16)), cls, official)


def same_result(data: bytes, cls: Any, official: Any) -> None:
    """Check that both libraries give the same message for some bytes, or both refuse them."""
    try:
        theirs = official.FromString(data)
        theirs.SerializeToString()  # here the official library looks for required fields
    except (OfficialError, EncodeError):
        with pytest.raises(DecodeError):
            decode(data, type=cls)
        return
    try:
        ours = decode(data, type=cls)
    except DecodeError as error:
        # The official library takes any bytes as text of proto2, and 0 as a number of a field in
        # an unknown group.
        is_text = "expected UTF-8" in error.message and cls is FILES["legacy"].Legacy
        if not is_text and "a field number of at least 1" not in error.message:
            raise
        return
    expected = decode(theirs.SerializeToString(), type=cls)
    assert comparable(ours) == comparable(expected)
    written = encode(ours)
    assert comparable(decode(written, type=cls)) == comparable(ours)
    assert encode(decode(written, type=cls)) == written

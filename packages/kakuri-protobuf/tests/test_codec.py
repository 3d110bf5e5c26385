"""What is written for each value, and what is read back."""

import copy
import math
import pickle
import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Annotated

import kakuri_protobuf as kp
import pytest
from kakuri_protobuf import DecodeError, EncodeError, LimitError, Limits, decode, encode
from kakuri_protobuf._wire import write_varint


class Word(str):
    """A class derived from str whose `encode` returns other bytes."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"other"


class State(kp.Enum):
    CREATED = 0
    RUNNING = 1


class Closed(IntEnum):
    ZERO = 0
    ONE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: Annotated[str, 1] = ""
    size: Annotated[kp.UInt32, 2] = 0
    tags: Annotated[tuple[str, ...], 3] = ()
    child: Annotated["Inner | None", 4] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalars:
    i32: Annotated[kp.Int32, 1] = 0
    i64: Annotated[kp.Int64, 2] = 0
    u32: Annotated[kp.UInt32, 3] = 0
    u64: Annotated[kp.UInt64, 4] = 0
    s32: Annotated[kp.SInt32, 5] = 0
    s64: Annotated[kp.SInt64, 6] = 0
    f32: Annotated[kp.Fixed32, 7] = 0
    f64: Annotated[kp.Fixed64, 8] = 0
    sf32: Annotated[kp.SFixed32, 9] = 0
    sf64: Annotated[kp.SFixed64, 10] = 0
    real32: Annotated[kp.Float, 11] = 0.0
    real64: Annotated[float, 12] = 0.0
    flag: Annotated[bool, 13] = False
    text: Annotated[str, 14] = ""
    data: Annotated[bytes, 15] = b""
    state: Annotated[State, 16] = State.CREATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    inner: Annotated[Inner | None, 1] = None
    maybe: Annotated[kp.Int32 | None, 2] = None
    numbers: Annotated[tuple[kp.Int32, ...], 3] = ()
    loose: Annotated[tuple[kp.Int32, ...], 4, kp.Unpacked] = ()
    inners: Annotated[tuple[Inner, ...], 5] = ()
    labels: Annotated[Mapping[str, str], 6] = field(default_factory=dict)
    by_number: Annotated[Mapping[kp.Int32, Inner], 7] = field(default_factory=dict)
    left: Annotated[str | None, 8, kp.OneOf("side")] = None
    right: Annotated[Inner | None, 9, kp.OneOf("side")] = None
    closed: Annotated[Closed, 10] = Closed.ZERO
    closed_many: Annotated[tuple[Closed, ...], 11] = ()
    group: Annotated[Inner | None, 12, kp.Group] = None
    reals: Annotated[tuple[float, ...], 13] = ()
    unknown: Annotated[bytes, kp.Unknown] = b""


SCALARS = [
    ("i32", 1, "0801"),
    ("i32", -1, "08ffffffffffffffffff01"),
    ("i32", -(1 << 31), "0880808080f8ffffffff01"),
    ("i64", (1 << 63) - 1, "10ffffffffffffffff7f"),
    ("i64", -(1 << 63), "1080808080808080808001"),
    ("u32", (1 << 32) - 1, "18ffffffff0f"),
    ("u64", (1 << 64) - 1, "20ffffffffffffffffff01"),
    ("s32", -1, "2801"),
    ("s32", -(1 << 31), "28ffffffff0f"),
    ("s64", (1 << 63) - 1, "30feffffffffffffffff01"),
    ("s64", -(1 << 63), "30ffffffffffffffffff01"),
    ("f32", 1, "3d01000000"),
    ("f64", (1 << 64) - 1, "41ffffffffffffffff"),
    ("sf32", -2, "4dfeffffff"),
    ("sf64", -2, "51feffffffffffffff"),
    ("real32", 1.5, "5d0000c03f"),
    ("real64", -0.0, "610000000000000080"),
    ("real64", math.inf, "61000000000000f07f"),
    ("flag", True, "6801"),
    ("text", "ä\0", "7203c3a400"),
    ("data", b"\xff\0", "7a02ff00"),
    ("state", State.RUNNING, "800101"),
    ("state", State(-7), "8001f9ffffffffffffffff01"),
]


@pytest.mark.parametrize(("name", "value", "expected"), SCALARS)
def test_scalar_is_written_and_read(name, value, expected):
    message = Scalars(**{name: value})
    assert encode(message).hex() == expected
    back = getattr(decode(bytes.fromhex(expected), type=Scalars), name)
    assert back == value
    assert type(back) is type(value)
    if isinstance(value, float):
        assert math.copysign(1, back) == math.copysign(1, value)


def test_zero_without_presence_is_not_written():
    assert encode(Scalars()) == b""
    assert decode(b"", type=Scalars) == Scalars()


def test_field_with_presence_is_written_even_if_it_is_zero_or_empty():
    assert encode(Shapes(maybe=0)).hex() == "1000"
    assert encode(Shapes(inner=Inner())).hex() == "0a00"
    assert encode(Shapes(left="")).hex() == "4200"
    assert decode(bytes.fromhex("10000a004200"), type=Shapes) == Shapes(
        maybe=0, inner=Inner(), left=""
    )


def test_nan_is_read_as_nan():
    data = encode(Scalars(real64=math.nan, real32=math.nan))
    back = decode(data, type=Scalars)
    assert math.isnan(back.real64)
    assert math.isnan(back.real32)


SHAPES = [
    (Shapes(numbers=(1, 150, -1)), "1a0d019601ffffffffffffffffff01"),
    (Shapes(loose=(1, 150)), "2001209601"),
    (Shapes(inners=(Inner(name="a"), Inner())), "2a030a01612a00"),
    (Shapes(labels={"a": "b", "": ""}), "32060a0161120162" + "32040a001200"),
    (Shapes(by_number={-1: Inner(size=1)}), "3a0f08ffffffffffffffffff0112021001"),
    (Shapes(right=Inner(name="x")), "4a030a0178"),
    (Shapes(closed=Closed.ONE, closed_many=(Closed.ONE, Closed.ZERO)), "50015a020100"),
    (Shapes(group=Inner(size=3)), "63100364"),
    (Shapes(reals=(1.0,)), "6a08000000000000f03f"),
    (Shapes(unknown=bytes.fromhex("f80707")), "f80707"),
]


@pytest.mark.parametrize(("message", "expected"), SHAPES)
def test_field_of_each_shape_is_written_and_read(message, expected):
    assert encode(message).hex() == expected
    assert decode(bytes.fromhex(expected), type=Shapes) == message


READ = [
    ("packed elements of an unpacked field", "2203019601", Shapes(loose=(1, 150))),
    ("single elements of a packed field", "18011802", Shapes(numbers=(1, 2))),
    ("both, mixed", "18011a02020318041a00", Shapes(numbers=(1, 2, 3, 4))),
    ("the last of two scalars", "10011002", Shapes(maybe=2)),
    ("two messages are merged", "0a061a017a0a01610a051a01791002",
     Shapes(inner=Inner(name="a", size=2, tags=("z", "y")))),
    ("an explicit zero overrides when merged", "0a0210050a021000", Shapes(inner=Inner())),
    ("nested messages are merged", "0a0422021001" + "0a0522030a0161",
     Shapes(inner=Inner(child=Inner(name="a", size=1)))),
    ("the last member of a oneof", "42016c4a00", Shapes(right=Inner())),
    ("the last member of a oneof, the other way", "4a0042016c", Shapes(left="l")),
    ("the same message member of a oneof is merged", "4a0210014a030a0161",
     Shapes(right=Inner(name="a", size=1))),
    ("a message member that was replaced is not merged", "4a02100142016c4a030a0161",
     Shapes(right=Inner(name="a"))),
    ("a map entry without key", "3203120162", Shapes(labels={"": "b"})),
    ("a map entry without value", "32030a0161", Shapes(labels={"a": ""})),
    ("an empty map entry", "3200", Shapes(labels={"": ""})),
    ("a map entry with its value first", "32061201620a0161", Shapes(labels={"a": "b"})),
    ("a map entry with unknown fields", "32080a01611801120162", Shapes(labels={"a": "b"})),
    ("a map entry without message", "3a020801", Shapes(by_number={1: Inner()})),
    ("the last of two entries with a key", "32060a016112016232060a0161120163",
     Shapes(labels={"a": "c"})),
    ("fields in any order", "6a00500118011001", Shapes(closed=Closed.ONE, numbers=(1,), maybe=1)),
    ("a tag of too many bytes", "908000" + "05", Shapes(maybe=5)),
    ("a varint of too many bytes", "10858000", Shapes(maybe=5)),
    ("a varint of more than 64 bits is cut", "10ffffffffffffffffff7f", Shapes(maybe=-1)),
    ("an int32 of 64 bits is cut", "1081808080808080808001", Shapes(maybe=1)),
    ("a wire type that a field does not have is unknown", "0d01020304",
     Shapes(unknown=bytes.fromhex("0d01020304"))),
    ("unknown fields in their order", "f807011001fa070161",
     Shapes(maybe=1, unknown=bytes.fromhex("f80701fa070161"))),
    ("an unknown group", "fb070801fb07fc07fc07", Shapes(unknown=bytes.fromhex("fb070801fb07fc07fc07"))),
    ("what a closed enum does not name is unknown", "5007", Shapes(unknown=bytes.fromhex("5007"))),
    ("the same among others", "5a03010701", Shapes(closed_many=(Closed.ONE, Closed.ONE),
     unknown=bytes.fromhex("5807"))),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=i) for i, d, e in READ])
def test_message_is_read_as_the_specification_says(data, expected):
    assert decode(bytes.fromhex(data), type=Shapes) == expected


UNREADABLE = [
    ("08", Scalars, "i32", 1, "the rest of the field"),
    ("0880", Scalars, "i32", 1, "the rest of the field"),
    ("08ffffffffffffffffffff01", Scalars, "i32", 1, "at most 10 bytes"),
    ("7203c3a4", Scalars, "text", 2, "the rest of the field"),
    ("7201c3", Scalars, "text", 2, "expected UTF-8, got byte 0xc3"),
    ("720361eda0", Scalars, "text", 3, "expected UTF-8, got byte 0xed"),
    ("3d010000", Scalars, "f32", 1, "the rest of the field"),
    ("0a040a036162", Shapes, "inner.name", 4, "the rest of the field"),
    ("2a002a030a0261", Shapes, "inners[1].name", 6, "the rest of the field"),
    ("3a0512030a0261", Shapes, "by_number.value.name", 6, "the rest of the field"),
    ("32060a01611201ff", Shapes, "labels.value", 7, "expected UTF-8, got byte 0xff"),
    ("00", Shapes, "", 1, "a field number of at least 1"),
    ("0c", Shapes, "inner", 1, "the end of group 1"),
    ("0e", Shapes, "inner", 1, "a wire type from 0 to 5, got 6"),
    ("0f", Shapes, "inner", 1, "a wire type from 0 to 5, got 7"),
    ("63", Shapes, "group", 1, "the end of group 12"),
    ("6364ff", Shapes, "", 3, "the rest"),
    ("ffffffffff1f", Shapes, "", 1, "a tag of at most 32 bits"),
    ("90808080800001", Shapes, "", 1, "a tag of at most 32 bits in 5 bytes"),
    ("6a07000000000000f0", Shapes, "reals[0]", 2, "a multiple of 8 bytes, got 7"),
    ("1a0180", Shapes, "numbers[0]", 2, "the rest of the field"),
    ("fb0708", Shapes, "127", 2, "the rest"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "cls", "path", "position", "message"), UNREADABLE)
def test_malformed_data_raises_decode_error_with_path_and_position(
    data, cls, path, position, message
):
    with pytest.raises(DecodeError) as caught:
        decode(bytes.fromhex(data), type=cls)
    assert message in caught.value.message
    if path:
        assert (caught.value.path, caught.value.position) == (path, position)
    assert str(caught.value).endswith(f"at byte {caught.value.position}")


@pytest.mark.parametrize(
    "message",
    [
        Shapes(inner=Inner(name="abc", tags=("x", "y"), child=Inner(size=300))),
        Shapes(labels={"a": "b" * 200}, by_number={1: Inner(name="n")}, reals=(1.0, 2.0)),
        Shapes(numbers=(1, -1), closed_many=(Closed.ONE,), group=Inner(name="g")),
    ],
)
def test_every_part_of_a_message_is_a_message_or_an_error(message):
    data = encode(message)
    positions = []
    for end in range(len(data)):
        try:
            decode(data[:end], type=Shapes)
        except DecodeError as error:
            positions.append(error.position)
        else:
            positions.append(end)
        assert 0 <= positions[-1] <= end


UNWRITABLE = [
    (Scalars(i32=1 << 31), "i32", "an integer from -2147483648 to 2147483647 (int32)"),
    (Scalars(u32=-1), "u32", "an integer from 0 to 4294967295 (uint32), got -1"),
    (Scalars(s64=1 << 63), "s64", "an integer from"),
    (Scalars(f32=1 << 32), "f32", "an integer from"),
    (Scalars(i32=10**5000), "i32", "got an integer of 16610 bits"),
    (Inner(tags="ab"), "tags", "expected a tuple, got 'ab'"),
    (Inner(tags=Word("ab")), "tags", "expected a tuple, got 'ab'"),
    (Scalars(i32=1.5), "i32", "expected an integer (int32), got 1.5"),
    (Scalars(i32=None), "i32", "expected an integer (int32), got None"),
    (Scalars(i32=""), "i32", "expected an integer (int32), got ''"),
    (Scalars(text=b"x"), "text", "expected str, got b'x'"),
    (Scalars(text=None), "text", "expected str, got None"),
    (Scalars(text="\ud800"), "text", "text without lone surrogates"),
    (Scalars(data="x"), "data", "expected bytes, got 'x'"),
    (Scalars(data=3), "data", "expected bytes, got 3"),
    (Scalars(data=[1]), "data", "expected bytes, got [1]"),
    (Scalars(flag=2), "flag", "expected bool, got 2"),
    (Scalars(real64="1"), "real64", "expected a number, got '1'"),
    (Scalars(real32=1e39), "real32", "a number that a float can hold"),
    (Shapes(maybe="x"), "maybe", "an integer"),
    (Shapes(inner=Scalars()), "inner", "expected Inner, got Scalars("),
    (Shapes(inner=Inner(tags=("a", 1))), "inner.tags[1]", "expected str, got 1"),
    (Shapes(inners=(Inner(), Inner(size=-1))), "inners[1].size", "an integer from 0"),
    (Shapes(inners=None), "inners", "expected a tuple, got None"),
    (Shapes(inners=Inner()), "inners", "expected a tuple, got Inner("),
    (Shapes(numbers=(1, "2")), "numbers[1]", "an integer"),
    (Shapes(reals=(1.0, "2")), "reals[1]", "a number"),
    (Shapes(labels={"a": 1}), "labels['a']", "expected str, got 1"),
    (Shapes(labels={1: "a"}), "labels[1]", "expected str, got 1"),
    (Shapes(labels=[("a", "b")]), "labels", "expected a mapping"),
    (Shapes(labels=None), "labels", "expected a mapping, got None"),
    (Shapes(left="l", right=Inner()), "side", "at most one member of the oneof, got left, right"),
    (Shapes(unknown="x"), "unknown", "expected bytes, got 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "path", "expected"), UNWRITABLE)
def test_wrong_value_raises_encode_error_with_its_path(message, path, expected):
    with pytest.raises(EncodeError) as caught:
        encode(message)
    assert caught.value.path == path
    assert expected in caught.value.message


def test_bytes_like_data_is_read_and_written():
    data = encode(Scalars(text="a"))
    assert decode(bytearray(data), type=Scalars) == Scalars(text="a")
    assert decode(memoryview(data), type=Scalars) == Scalars(text="a")
    assert encode(Scalars(data=bytearray(b"x"))) == encode(Scalars(data=b"x"))


@pytest.mark.parametrize("code", ["B", "H", "I", "d"])
def test_view_of_items_of_any_size_is_written_as_its_bytes(code):
    view = memoryview(array(code, [1, 2, 300 if code != "B" else 3]))
    assert encode(Scalars(data=view)) == encode(Scalars(data=view.tobytes()))
    every_second = memoryview(b"a-b-c-")[::2]
    assert encode(Scalars(data=every_second)) == encode(Scalars(data=b"abc"))


def test_required_field_is_always_written_and_has_to_be_there():
    @dataclass(frozen=True)
    class Needed:
        id: Annotated[kp.Int32, 1, kp.Required]

    assert encode(Needed(0)).hex() == "0800"
    with pytest.raises(DecodeError, match="expected field 'id', which is required"):
        decode(b"", type=Needed)


def test_deterministic_encoding_sorts_maps_at_every_level():
    one = Shapes(labels={"b": "", "a": ""}, by_number={2: Inner(), 1: Inner()})
    other = Shapes(labels={"a": "", "b": ""}, by_number={1: Inner(), 2: Inner()})
    assert encode(one) != encode(other)
    assert encode(one, deterministic=True) == encode(other, deterministic=True)


# Limits.


def nested(levels):
    message = Inner()
    for _ in range(levels):
        message = Inner(child=message)
    return message


def test_more_than_a_hundred_levels_raise_encode_or_limit_error():
    data = encode(nested(100))
    assert decode(data, type=Inner) == nested(100)
    with pytest.raises(EncodeError, match="nest less deeply"):
        encode(nested(101))
    data = encode(nested(101), limits=Limits(depth=101))
    with pytest.raises(LimitError, match="at most 100 levels of nested messages") as caught:
        decode(data, type=Inner)
    assert (caught.value.limit, caught.value.maximum) == ("depth", 100)
    assert decode(data, type=Inner, limits=Limits(depth=101)) == nested(101)


def test_depth_that_the_stack_does_not_allow_is_a_limit_error():
    limits = Limits(depth=10_000)
    data = b""
    for _ in range(2_000):
        data = b"\x22" + write_varint(len(data)) + data
    with pytest.raises(LimitError, match="the interpreter's stack") as caught:
        decode(data, type=Inner, limits=limits)
    assert caught.value.limit == "depth"
    with pytest.raises(EncodeError, match="the interpreter's stack"):
        encode(nested(2_000), limits=limits)


@pytest.mark.parametrize("number", [1, 15, 100])
def test_unknown_groups_count_as_levels(number):
    start, end = bytes([0xFB, 0x07]), bytes([0xFC, 0x07])
    data = start * number + end * number
    assert decode(data, type=Shapes, limits=Limits(depth=number)).unknown == data
    with pytest.raises(LimitError):
        decode(start + data + end, type=Shapes, limits=Limits(depth=number))


def test_a_million_open_groups_raise_limit_error_without_recursion():
    with pytest.raises(LimitError):
        decode(b"\x0b" * 1_000_000, type=Inner)


def test_size_is_limited_before_anything_is_read():
    with pytest.raises(LimitError, match="expected at most 3 bytes, got 4") as caught:
        decode(b"\xff" * 4, type=Inner, limits=Limits(size=3))
    assert caught.value.limit == "size"


@pytest.mark.parametrize(
    "message",
    [
        Shapes(numbers=(1,) * 161),
        Shapes(numbers=(300,) * 161),
        Shapes(loose=(1,) * 11),
        Shapes(inners=(Inner(),) * 11),
        Shapes(reals=(0.5,) * 161),
        Shapes(labels={str(number): "" for number in range(11)}),
        Shapes(by_number={number: Inner() for number in range(11)}),
        Shapes(inners=(Inner(tags=("",) * 4),) * 3),
    ],
)
def test_elements_are_limited_over_the_whole_message(message):
    data = encode(message)
    with pytest.raises(LimitError, match="expected at most 10 elements in all"):
        decode(data, type=Shapes, limits=Limits(elements=10))
    assert decode(data, type=Shapes, limits=Limits(elements=len(data) - 1 or 1)) == message


@pytest.mark.parametrize("message", [Shapes(numbers=(300,) * 160), Shapes(reals=(0.5,) * 160)])
def test_sixteen_packed_numbers_count_as_one_element(message):
    assert decode(encode(message), type=Shapes, limits=Limits(elements=10)) == message


@pytest.mark.parametrize("message", [Shapes(numbers=(300,)), Shapes(reals=(0.5,) * 15)])
def test_each_short_run_of_packed_numbers_counts_as_one_element(message):
    chunk, limits = encode(message), Limits(elements=10)
    assert decode(chunk * 10, type=Shapes, limits=limits)
    with pytest.raises(LimitError, match="at most 10 elements"):
        decode(chunk * 11, type=Shapes, limits=limits)


def test_sixteen_packed_numbers_of_a_message_that_is_merged_count_as_one_element():
    @dataclass(frozen=True)
    class Outer:
        shapes: Annotated[Shapes | None, 1] = None

    first, empty = encode(Outer(Shapes(numbers=(1,) * 160))), encode(Outer(Shapes()))
    assert (
        decode(first + empty, type=Outer, limits=Limits(elements=20)).shapes.numbers == (1,) * 160
    )
    with pytest.raises(LimitError, match="at most 20 elements"):
        decode(first + empty * 2, type=Outer, limits=Limits(elements=20))


def test_merging_a_growing_message_again_and_again_is_limited():
    part = encode(Shapes(inner=Inner(tags=("x",) * 1000)))
    with pytest.raises(LimitError, match="elements"):
        decode(part * 100, type=Shapes)


def test_merging_unknown_fields_again_and_again_is_limited():
    @dataclass(frozen=True)
    class Keeper:
        unknown: Annotated[bytes, kp.Unknown] = b""

    @dataclass(frozen=True)
    class Outer:
        keeper: Annotated[Keeper | None, 1] = None

    part = encode(Outer(Keeper(b"\xfa\x07\xe8\x07" + b"x" * 1000)))
    with pytest.raises(LimitError, match="elements"):
        decode(part * 100, type=Outer)


@pytest.mark.parametrize(
    ("arguments", "error"), [({"size": 0}, ValueError), ({"depth": "1"}, TypeError), ({"elements": True}, TypeError)]
)  # fmt: skip
def test_limits_that_are_not_positive_integers_raise_type_or_value_error(arguments, error):
    with pytest.raises(error):
        Limits(**arguments)


# Enums and errors as values.


def test_unnamed_enum_value_is_an_instance_of_its_class_and_is_not_stored():
    value = State(7)
    assert isinstance(value, State)
    assert value == 7
    assert repr(value) == str(value) == "State(7)"
    assert repr(State.RUNNING) == "State.RUNNING"
    assert State(7) is not value
    assert [*State] == [State.CREATED, State.RUNNING]
    for number in (1 << 31, "RUNNING", 1.5):
        with pytest.raises(ValueError, match="is not a valid State"):
            State(number)


@pytest.mark.parametrize("value", [State.RUNNING, State(7)])
def test_enum_values_survive_pickle_and_copy(value):
    for other in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert other == value
        assert type(other) is State


@pytest.mark.parametrize(
    "error",
    [
        DecodeError("expected x", "a.b", 3),
        LimitError("expected x", "a.b", 3, "depth", 100),
        EncodeError("expected x", "a"),
        kp.ProtoSyntaxError("expected x", "a.proto", 1, 2),
        kp.UnsupportedTypeError("expected x"),
    ],
)
def test_errors_survive_pickle_and_copy(error):
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_messages_survive_pickle_and_replace():
    message = decode(encode(Shapes(labels={"a": "b"}, inner=Inner(name="x"))), type=Shapes)
    assert pickle.loads(pickle.dumps(message)) == message
    assert replace(message, maybe=1).labels == {"a": "b"}


def test_float_rounds_to_the_nearest_float32():
    value = 0.1
    (expected,) = struct.unpack("<f", struct.pack("<f", value))
    assert decode(encode(Scalars(real32=value)), type=Scalars).real32 == expected


@pytest.mark.parametrize("limits", [5, {}, "x", True])
def test_limits_of_wrong_type_raise_type_error(limits):
    @dataclass
    class Empty:
        pass

    message = f"^expected Limits as limits, got {limits!r}$"
    with pytest.raises(TypeError, match=message):
        encode(Empty(), limits=limits)
    with pytest.raises(TypeError, match=message):
        decode(b"", type=Empty, limits=limits)


@pytest.mark.parametrize("data", [None, 5, "x", [1]])
def test_data_of_wrong_type_raises_type_error(data):
    @dataclass
    class Empty:
        pass

    message = f"expected bytes as a message, got {type(data).__name__}"
    with pytest.raises(TypeError, match=message):
        decode(data, type=Empty)
    with pytest.raises(TypeError, match=message):
        kp.inspect(data)


def test_text_of_a_subclass_is_written_as_its_value():
    message = Inner(name=Word("ab"), tags=(Word("c"),))
    assert decode(encode(message), type=Inner) == Inner(name="ab", tags=("c",))

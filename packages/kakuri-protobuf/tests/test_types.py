"""Which classes describe a message, and what is said of those that do not."""

import enum
import gc
import typing
import weakref
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field, make_dataclass
from typing import Annotated, Any, ClassVar

import kakuri_protobuf as kp
import pytest
from kakuri_protobuf import UnsupportedTypeError, decode, encode


@dataclass(frozen=True)
class Part:
    name: Annotated[str, 1] = ""


class NoNames(enum.IntEnum):
    pass


class NoOpenNames(kp.Enum):
    pass


REFUSED = [
    ("a number", str, "expected one field number"),
    ("two numbers", Annotated[str, 1, 2], "expected one field number"),
    ("a number of 0", Annotated[str, 0], "expected a number from 1 to 536870911"),
    ("a number that is too large", Annotated[str, 1 << 29], "expected a number from 1"),
    ("a number that is reserved", Annotated[str, 19_000], "outside 19000 to 19999"),
    ("int without a kind", Annotated[int, 1], "such as Int32 or UInt64, got int"),
    ("a kind of another type", Annotated[str, kp.Int32.__metadata__[0], 1], "one kind that fits"),
    ("a message that is not optional", Annotated[Part, 1], "expected Part | None"),
    ("a union", Annotated[str | bytes, 1], "expected X or X | None"),
    ("an enum without members", Annotated[NoNames, 1], "expected an enum with members"),
    (
        "an open enum without members",
        Annotated[NoOpenNames | None, 1],
        "expected an enum with members",
    ),
    ("a list", Annotated[list[str], 1], "expected a type with a wire format"),
    ("a tuple of two", Annotated[tuple[str, str], 1], "expected tuple[X, ...]"),
    ("a mapping by float", Annotated[Mapping[float, str], 1], "integers, bool or str as keys"),
    ("a mapping by bytes", Annotated[Mapping[bytes, str], 1], "integers, bool or str as keys"),
    ("a group of text", Annotated[str | None, 1, kp.Group], "expected a message as a group"),
    ("a oneof of a list", Annotated[tuple[str, ...], 1, kp.OneOf("x")], "to be optional"),
    ("a required optional", Annotated[str | None, 1, kp.Required], "expected X or X | None"),
    ("unknown metadata", Annotated[str, 1, "packed"], "expected metadata of this package"),
    ("unknown text", Annotated[str, kp.Unknown], "expected one field of bytes as Unknown"),
    ("an object", Annotated[object, 1], "expected a type with a wire format"),
    ("a name that is not there", "Missing", "name 'Missing' is not defined"),
    ("an expression that fails", "1/0", "division by zero"),
    ("text that is not an expression", "list[", "must be an expression"),
    ("a mapping of one", Annotated[dict[str], 1], "expected Mapping[K, V]"),
    ("a mapping of nothing", Annotated[typing.Mapping, 1], "expected Mapping[K, V]"),
]


@pytest.mark.parametrize(
    ("hint", "message"), [pytest.param(hint, message, id=name) for name, hint, message in REFUSED]
)
def test_field_without_a_wire_format_raises_when_the_class_is_first_used(hint, message):
    cls = make_dataclass("Wrong", [("one", hint, None)])
    for use in (lambda: encode(cls()), lambda: decode(b"", type=cls)):
        with pytest.raises(UnsupportedTypeError) as caught:
            use()
        assert message in str(caught.value)


class Helper:
    attached: "Nowhere"  # noqa: F821 - only type checkers resolve it


@dataclass
class Job(Helper):
    registry: ClassVar["Nowhere"] = None  # noqa: F821
    scale: InitVar[int] = 1
    id: Annotated[str, 1] = ""


def test_annotation_that_is_not_a_field_is_not_evaluated():
    assert encode(Job(id="a")) == b"\x0a\x01a"
    assert decode(b"\x0a\x01a", type=Job) == Job(id="a")


@dataclass
class Scaled:
    scale: InitVar[int]
    id: Annotated[str, 1] = ""


def test_init_var_without_a_default_is_unsupported():
    with pytest.raises(UnsupportedTypeError, match=r"Scaled\.scale: expected a default"):
        decode(b"", type=Scaled)


@pytest.mark.parametrize("value", [3, "text", None, {"a": 1}, object()])
def test_value_that_is_not_a_message_raises_unsupported_type_error(value):
    with pytest.raises(UnsupportedTypeError, match="expected a dataclass"):
        encode(value)


def test_class_that_is_not_a_dataclass_raises_unsupported_type_error():
    with pytest.raises(UnsupportedTypeError, match="expected a dataclass, got <class 'int'>"):
        decode(b"", type=int)


def test_number_that_is_taken_names_the_other_field():
    cls = make_dataclass("Twice", [("a", Annotated[str, 1], ""), ("b", Annotated[str, 1], "")])
    with pytest.raises(UnsupportedTypeError, match=r"Twice\.b: number 1 is taken by 'a'"):
        encode(cls())


def test_field_that_init_does_not_take_raises_unsupported_type_error():
    cls = make_dataclass("Hidden", [("a", Annotated[str, 1], field(init=False, default=""))])
    with pytest.raises(UnsupportedTypeError, match="got init=False"):
        encode(cls())


def test_post_init_runs_and_its_values_are_kept():
    @dataclass(frozen=True)
    class Checked:
        name: Annotated[str, 1] = ""

        def __post_init__(self) -> None:
            object.__setattr__(self, "name", self.name.upper())

    assert decode(encode(Part("abc")), type=Checked) == Checked("ABC")


def test_value_error_of_post_init_is_a_decode_error_with_its_path():
    @dataclass
    class Short:
        name: Annotated[str, 1] = ""

        def __post_init__(self) -> None:
            if len(self.name) > 1:
                raise ValueError("expected one character")

    outer = make_dataclass("Outer", [("parts", Annotated[tuple[Short, ...], 1], ())])
    data = bytes.fromhex("0a030a01610a040a026162")
    with pytest.raises(kp.DecodeError, match=r"^parts\[1\]: expected one character at byte 11$"):
        decode(data, type=outer)
    with pytest.raises(kp.DecodeError, match=r"^expected one character at byte 4$"):
        decode(data[7:], type=Short)


def test_handwritten_constructor_of_a_class_created_by_exec_is_called():
    names: dict[str, Any] = {"__name__": __name__, "Annotated": Annotated, "dataclass": dataclass}
    source = """
@dataclass
class Doubles:
    name: Annotated[str, 1] = ""

    def __init__(self, name=""):
        self.name = 2 * name
"""
    exec(source, names)  # as python -c does
    assert decode(encode(Part("ab")), type=names["Doubles"]).name == "abab"


class Doubled:
    def __get__(self, instance: Any, _: type[Any]) -> Any:
        return "" if instance is None else instance.doubled

    def __set__(self, instance: Any, value: str) -> None:
        instance.doubled = value * 2


def test_message_is_decoded_as_its_constructor_creates_it():
    @dataclass
    class Described:
        name: Annotated[str, 1] = Doubled()  # type: ignore[assignment]

    @dataclass
    class Setting:
        name: Annotated[str, 1] = ""

        def __setattr__(self, name: str, value: str) -> None:
            object.__setattr__(self, name, value * 2)

    for cls in (Described, Setting):
        message = decode(encode(Part("ab")), type=cls)
        assert message.name == "abab"
        assert message == cls("ab")


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"slots": True}, {"kw_only": True},
                                     {"frozen": True, "slots": True}, {"eq": False}])  # fmt: skip
def test_dataclass_with_any_options_is_decoded(options):
    cls: Any = make_dataclass("One", [("name", Annotated[str, 1], "")], **options)
    message = decode(b"\x0a\x01a", type=cls)
    assert type(message) is cls
    assert message.name == "a"
    assert encode(message) == b"\x0a\x01a"


def test_subclass_has_its_own_codec():
    encode(Part("a"))

    @dataclass(frozen=True)
    class More(Part):
        size: Annotated[kp.Int32, 2] = 0

    assert decode(encode(More("a", 3)), type=More) == More("a", 3)
    assert encode(Part("a")) == b"\x0a\x01a"


def test_field_names_that_are_builtins_hide_nothing(everything):
    message = everything.Everything(bytes_="x", a_bytes=b"y", class_="z")
    assert decode(encode(message), type=everything.Everything) == message


def test_class_created_at_run_time_is_freed_with_its_codec():
    cls = make_dataclass("Passing", [("name", Annotated[str, 1], "")])
    assert decode(encode(cls("a")), type=cls) == cls("a")
    reference = weakref.ref(cls)
    del cls
    gc.collect()
    assert reference() is None

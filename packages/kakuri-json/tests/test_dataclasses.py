"""Features of dataclasses and TypedDicts: decoded as the constructor would, or unsupported."""

import abc
import dataclasses
import functools
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple, NotRequired, Required, TypedDict

import kakuri_json
import pytest
import typing_extensions
from kakuri_json import UnsupportedTypeError, ValidationError

FLAVOURS = {
    "plain": dataclass,
    "frozen": dataclass(frozen=True),
    "slots": dataclass(slots=True),
    "frozen slots": dataclass(frozen=True, slots=True),
    "weakref slots": dataclass(frozen=True, slots=True, weakref_slot=True),
    "order": dataclass(order=True, unsafe_hash=True),
}


class Upper:
    """A descriptor that changes what is set."""

    def __set_name__(self, owner, name):
        self.name = f"_{name}"

    def __get__(self, instance, owner=None):
        return "default" if instance is None else instance.__dict__[self.name]

    def __set__(self, instance, value):
        instance.__dict__[self.name] = value.upper()


class Refusing:
    def __setattr__(self, name, value):
        if value == 13:
            raise ValueError("expected luck, got 13")
        object.__setattr__(self, name, value)


class CustomInit:
    a: int
    b: int = 1

    def __init__(self, a, b=5):
        self.a = a
        self.b = b


class OwnNew:
    a: int

    def __new__(cls, *arguments, **keywords):
        made = object.__new__(cls)
        object.__setattr__(made, "extra", "new")
        return made


class Counting(type):
    def __call__(cls, *arguments, **keywords):
        made = super().__call__(*arguments, **keywords)
        made.extra = "meta"
        return made


def plain():
    class Plain:
        a: int
        b: str = "x"
        c: list[int] = field(default_factory=list)

    return Plain


def derived_factory():
    class Job:
        a: int
        tries: list[int] = field(init=False, default_factory=list)

    return Job


def derived_default():
    class Job:
        a: int
        tries: int = field(init=False, default=7)

    return Job


def derived_in_post_init():
    class Job:
        a: int
        double: int = field(init=False)

        def __post_init__(self):
            object.__setattr__(self, "double", self.a * 2)

    return Job


def keyword_only():
    class Job:
        a: int = 1
        _: KW_ONLY
        b: int
        c: int = field(default=3, kw_only=True, repr=False, compare=False)

    return Job


def constants():
    class Job:
        kind: ClassVar[str] = "job"
        a: int
        self_: int = 2

    return Job


def odd_names():
    class Job:
        cls: int
        new: int
        twin: int
        text: int = 1
        value: int = 2
        match: str = "m"
        __mangled: int = 4

    return Job


def nested_default():
    inner = dataclass(frozen=True)(plain())

    class Job:
        a: int
        inside: inner = inner(1)
        insides: tuple[inner, ...] = ()

    return Job


@pytest.mark.parametrize("flavour", list(FLAVOURS))
@pytest.mark.parametrize(
    "make",
    [plain, derived_factory, derived_default, derived_in_post_init, keyword_only, constants, odd_names, nested_default],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_decode_returns_what_the_constructor_returns(make, flavour):
    cls = FLAVOURS[flavour](make())
    init = [item for item in dataclasses.fields(cls) if item.init]
    required = {
        item.name: number
        for number, item in enumerate(init)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    expected = cls(**required)
    text = kakuri_json.dumps(required)
    for _ in range(3):
        decoded = kakuri_json.decode(text.encode(), type=cls)
        assert decoded == expected
        for item in dataclasses.fields(cls):
            assert getattr(decoded, item.name) == getattr(expected, item.name)
    assert kakuri_json.convert(required, type=cls) == expected
    assert kakuri_json.decode(kakuri_json.encode(expected), type=cls) == expected
    for item in dataclasses.fields(cls):
        if not item.init:
            with pytest.raises(ValidationError, match="expected one of"):
                kakuri_json.decode(kakuri_json.dumps({**required, item.name: 1}), type=cls)


def test_unknown_field_of_a_class_without_fields_is_a_fault():
    @dataclass
    class Options:
        pass

    for text in ("{}", b"{}"):
        assert kakuri_json.decode(text, type=Options) == Options()
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode('{"grace":1}', type=Options)
    assert caught.value.faults[0].message == "expected no fields, got 'grace'"


def test_decode_creates_a_default_for_each_instance():
    cls = dataclass(derived_factory())
    one, other = (kakuri_json.decode(b'{"a":1}', type=cls) for _ in range(2))
    one.tries.append(1)
    assert other.tries == []


@pytest.mark.parametrize("frozen", [False, True])
def test_decode_sets_fields_through_their_descriptors(frozen):
    class Named:
        name: str = Upper()
        other: int = 1

    cls = dataclass(frozen=frozen)(Named)
    for _ in range(2):
        assert kakuri_json.decode(b'{"name":"abc"}', type=cls).name == "ABC"
        assert kakuri_json.decode(b"{}", type=cls).name == cls().name == "DEFAULT"


@pytest.mark.parametrize("bases", [(), (Refusing,)])
def test_decode_sets_fields_through_the_setter_of_the_class(bases):
    body = {
        "__annotations__": {"a": int},
        **({} if bases else {"__setattr__": Refusing.__setattr__}),
    }
    cls = dataclass(type("Careful", bases, body))
    for _ in range(2):
        assert kakuri_json.decode(b'{"a":1}', type=cls) == cls(1)
        with pytest.raises(ValidationError, match="expected luck, got 13"):
            kakuri_json.decode(b'{"a":13}', type=cls)


def test_decode_calls_a_constructor_that_is_not_generated():
    cls = dataclass(init=False)(
        type("Own", (CustomInit,), {"__annotations__": {"a": int, "b": int}, "b": 1})
    )
    for text, value in (
        (b'{"a":1}', (1, 5)),
        (b'{"a":1,"b":2}', (1, 2)),
        (b'{"b":2,"a":1}', (1, 2)),
    ):
        for _ in range(2):
            decoded = kakuri_json.decode(text, type=cls)
            assert (decoded.a, decoded.b) == value


EXECUTED = """
from dataclasses import dataclass

@dataclass
class Doubles:
    x: int = 1

    def __init__(self, x=5):
        self.x = 2 * x

@dataclass(frozen=True)
class FrozenDoubles:
    x: int

    def __init__(self, x):
        object.__setattr__(self, "x", 2 * x)

@dataclass
class SetsDoubled:
    x: int

    def __setattr__(self, name, value):
        object.__setattr__(self, name, 2 * value)
"""


@pytest.mark.parametrize("name", ["Doubles", "FrozenDoubles", "SetsDoubled"])
def test_handwritten_constructor_of_a_class_created_by_exec_is_called(name):
    names = {"__name__": __name__}
    exec(EXECUTED, names)  # as python -c does
    cls = names[name]
    for text in ('{"x":3}', '{ "x": 3 }'):
        assert kakuri_json.decode(text, type=cls) == cls(3)
        assert kakuri_json.decode(f"[{text}]", type=list[cls]) == [cls(3)]
    if name == "Doubles":
        assert kakuri_json.decode("{}", type=cls) == cls()


def test_decode_calls_new_and_the_metaclass():
    own = dataclass(OwnNew)
    meta = dataclass(Counting("Meta", (), {"__annotations__": {"a": int}}))
    for _ in range(2):
        assert kakuri_json.decode(b'{"a":1}', type=own).extra == "new"
        assert kakuri_json.decode(b'{"a":1}', type=meta).extra == "meta"


def test_decode_of_subclass_that_is_not_a_dataclass_returns_subclass():
    class Sub(dataclass(plain())):
        extra = 1

    decoded = kakuri_json.decode(b'{"a":1}', type=Sub)
    assert (type(decoded), decoded.a, decoded.extra) == (Sub, 1, 1)
    assert kakuri_json.encode(decoded) == b'{"a":1,"b":"x","c":[]}'


@dataclass
class WithInitVar:
    a: InitVar[int]
    b: int = 1


@dataclass
class InheritsInitVar(WithInitVar):
    c: int = 2


@dataclass(init=False)
class NoConstructor:
    a: int


@dataclass(init=False)
class TooFew(WithInitVar):
    c: int = 1


class _OtherNames:
    a: int

    def __init__(self, z):
        self.a = z


class _PositionalOnly:
    a: int

    def __init__(self, a, /):
        self.a = a


class _Abstract(abc.ABC):
    a: int

    @abc.abstractmethod
    def work(self):
        """Do something."""


class _Named(NamedTuple):
    x: int


class _OfNamedTuple(_Named):
    a: int


class _Number(int):
    a: int


@dataclass
class Failure(Exception):
    a: int


def test_dataclass_whose_builtin_base_takes_any_arguments_is_decoded():
    failure = kakuri_json.decode(b'{"a":1}', type=Failure)
    assert (type(failure), failure.a) == (Failure, 1)


@pytest.mark.parametrize(
    "cls",
    [
        WithInitVar,
        InheritsInitVar,
        NoConstructor,
        TooFew,
        dataclass(init=False)(_OtherNames),
        dataclass(init=False)(_PositionalOnly),
        dataclass(_Abstract),
        dataclass(_Number),
        dataclass(_OfNamedTuple),
    ],
)
def test_class_whose_constructor_does_not_take_its_fields_is_unsupported(cls):
    for kind in (cls, list[cls]):
        with pytest.raises(UnsupportedTypeError):
            kakuri_json.decode(b'{"a":1}', type=kind)


def test_error_of_post_init_is_a_fault_with_the_path_of_the_object():
    @dataclass(frozen=True)
    class Even:
        a: int

        def __post_init__(self):
            if self.a % 2:
                raise ValueError("expected an even number")

    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(b'[{"a":2},\n {"a":3}]', type=list[Even])
    (fault,) = caught.value.faults
    assert fault == ("$[1]", "expected an even number", 2, 2)


def test_error_of_post_init_without_text_is_a_fault_that_names_the_class():
    @dataclass
    class Never:
        def __post_init__(self):
            raise ValueError

    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(b"{}", type=Never)
    (fault,) = caught.value.faults
    assert fault.message == "the constructor of Never rejects the fields"


class All(TypedDict):
    a: int
    b: NotRequired[int]
    c: "NotRequired[int]"
    d: Annotated[NotRequired[int], "metadata"]
    e: NotRequired[Annotated[int, "metadata"]]
    f: "Annotated[NotRequired[int], 'metadata']"


class Some(TypedDict, total=False):
    a: Required[int]
    b: int
    c: "int"
    d: "Required[int]"
    e: Annotated["Required[int]", "metadata"]


class Inherits(Some):
    f: int
    g: "NotRequired[int]"


class Loosened(All, total=False):
    g: int
    h: "Required[int]"


class Extended(typing_extensions.TypedDict):
    a: typing_extensions.ReadOnly[int]
    b: NotRequired[typing_extensions.ReadOnly[int]]
    c: "typing_extensions.ReadOnly[NotRequired[int]]"
    d: "Annotated[int, 'metadata']"


class InheritsExtended(Extended, total=False):
    e: int
    f: "Required[int]"


Functional = TypedDict("Functional", {"a-b": "Required[int]", "c": "NotRequired[int]"}, total=False)


@pytest.mark.parametrize(
    ("kind", "required", "optional"),
    [
        (All, "a", "bcdef"),
        (Some, "ade", "bc"),
        (Inherits, "adef", "bcg"),
        (Loosened, "ah", "bcdefg"),
        (Functional, ["a-b"], ["c"]),
        (Extended, "ad", "bc"),
        (InheritsExtended, "adf", "bce"),
    ],
)
def test_typed_dict_requires_keys_as_in_pep_655(kind, required, optional):
    whole = dict.fromkeys([*required, *optional], 1)
    least = dict.fromkeys(required, 1)
    for _ in range(2):
        assert kakuri_json.decode(kakuri_json.encode(whole), type=kind) == whole
        assert kakuri_json.decode(kakuri_json.encode(least), type=kind) == least
    for key in required:
        with pytest.raises(ValidationError, match="got nothing"):
            kakuri_json.decode(kakuri_json.dumps({k: 1 for k in whole if k != key}), type=kind)
    for key in optional:
        with pytest.raises(ValidationError, match="expected an integer, got 'x'"):
            kakuri_json.decode(kakuri_json.dumps(whole | {key: "x"}), type=kind)
    described = kakuri_json.schema(kind)["$defs"][kind.__name__]
    assert sorted(described["required"]) == sorted(required)


@pytest.mark.parametrize("kind", [int, None])
def test_typed_dict_with_extra_items_is_unsupported(kind):
    class Extra(typing_extensions.TypedDict, extra_items=kind):
        a: int

    with pytest.raises(UnsupportedTypeError, match="expected a TypedDict without extra items"):
        kakuri_json.decode(b'{"a":1}', type=Extra)


def test_partial_factory_is_called_for_each_instance():
    @dataclass
    class Made:
        a: list[int] = field(default_factory=functools.partial(list, [1]))

    assert kakuri_json.decode(b"{}", type=Made) == Made([1])


class Helper:
    attached: "Nowhere"  # noqa: F821 - only type checkers resolve it


@dataclass
class Job(Helper):
    registry: ClassVar["Nowhere"] = None  # noqa: F821
    id: str
    task: "Nowhere" = field(init=False, default=None)  # noqa: F821


def test_annotation_that_is_not_a_field_of_the_constructor_is_not_evaluated():
    assert kakuri_json.decode(b'{"id":"a"}', type=Job) == Job("a")
    assert kakuri_json.encode(Job("a")) == b'{"id":"a"}'


@dataclass
class Order:
    id: str
    items: "list[Nowhere]"  # noqa: F821
    total: int


class OrderKeys(TypedDict):
    id: str
    items: "list[Nowhere]"  # noqa: F821


@pytest.mark.parametrize("kind", [Order, OrderKeys])
def test_annotation_that_cannot_be_evaluated_is_reported_with_class_and_field(kind):
    expected = (
        f"^{kind.__name__}.items: expected an annotation that can be evaluated, got name 'Nowhere'"
    )
    with pytest.raises(UnsupportedTypeError, match=expected):
        kakuri_json.decode(b"{}", type=kind)


@dataclass
class Items(list):
    x: int = 0


@dataclass
class Table(dict):
    x: int = 0


@dataclass
class Holder:
    held: list[str] | dict[str, str]


@pytest.mark.parametrize("value", [Items(3), Table(3)])
def test_dataclass_that_is_a_container_is_printed_as_a_dataclass_everywhere(value):
    for text in (kakuri_json.dumps(value), kakuri_json.dumps(value, indent=0)):
        assert kakuri_json.loads(text) == {"x": 3}
    assert kakuri_json.dumps([value]) == '[{"x":3}]'
    for text in (kakuri_json.dumps(Holder(value)), kakuri_json.dumps(Holder(value), indent=0)):
        assert kakuri_json.loads(text) == {"held": {"x": 3}}


class Opened(TypedDict):
    kind: Required[Literal["opened"]]
    id: int


class Closed(TypedDict):
    kind: Annotated[Literal["closed"], "documentation"]


class Renamed(TypedDict, total=False):
    kind: Literal["renamed"]


class Moved(TypedDict):
    kind: "NotRequired[Literal['moved']]"


@pytest.mark.parametrize("other", [Renamed, Moved])
def test_key_that_may_be_missing_does_not_distinguish_classes(other):
    with pytest.raises(UnsupportedTypeError, match="expected a tag"):
        kakuri_json.decode(b"{}", type=Opened | other)


def test_tag_is_recognized_inside_required_and_annotated():
    event = {"kind": "closed"}
    assert kakuri_json.decode(b'{"kind":"closed"}', type=Opened | Closed) == event
    with pytest.raises(ValidationError, match="expected an integer, got nothing"):
        kakuri_json.decode(b'{"kind":"opened"}', type=Opened | Closed)


def test_unsupported_type_is_reported_with_its_class_and_field():
    @dataclass
    class Inner:
        good: int
        bad: list[complex]

    class Outer(TypedDict):
        inner: list[Inner]

    where = r"Outer\.inner: .*Inner\.bad: expected a type with a JSON form, got <class 'complex'>"
    with pytest.raises(UnsupportedTypeError, match=where):
        kakuri_json.decode(b"{}", Outer)
    with pytest.raises(UnsupportedTypeError, match=r"Inner\.bad: expected"):
        kakuri_json.encode(Inner(1, []))


def test_unsupported_literal_is_reported_with_its_class_and_field():
    @dataclass
    class Bad:
        kind: Literal[b"a"]

    with pytest.raises(UnsupportedTypeError, match=r"Bad\.kind: expected literals"):
        kakuri_json.decode(b"{}", Bad)

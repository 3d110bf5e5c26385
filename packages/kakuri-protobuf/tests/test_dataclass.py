"""The decorator of generated messages does what `dataclasses.dataclass` does, later."""

import copy
import dataclasses
import inspect
import pickle
import threading
from collections.abc import Mapping
from typing import Annotated, ClassVar

import pytest
from kakuri_protobuf import Int32, dataclass, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part."""

    name: Annotated[str, 1] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A message of all shapes."""

    number: Annotated[Int32, 1] = 0
    part: Annotated[Part | None, 2] = None
    labels: Annotated[Mapping[str, str], 3] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """The same by the standard decorator."""

    number: Annotated[Int32, 1] = 0
    part: Annotated[Part | None, 2] = None
    labels: Annotated[Mapping[str, str], 3] = dataclasses.field(default_factory=dict)


def fresh():
    """Return a class that was never used."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Fresh:
        number: Annotated[Int32, 1] = 7

    return Fresh


def test_class_has_no_methods_before_it_is_used():
    cls = fresh()
    assert "__eq__" not in cls.__dict__
    assert cls().number == 7
    assert "__eq__" in cls.__dict__


def test_class_variable_is_not_a_field():
    @dataclass()
    class Message:
        LIMIT: ClassVar[int] = 5
        number: Annotated[Int32, 1] = 0

    @dataclass()
    class Quoted:
        LIMIT: "ClassVar[int]" = 5
        number: "Annotated[Int32, 1]" = 0

    for cls in (Message, Quoted):
        assert cls.LIMIT == 5
        message = cls(number=3)
        assert message.LIMIT == 5
        assert decode(encode(message), type=cls) == message


@pytest.mark.parametrize("kind", [dataclasses.InitVar[bool], "dataclasses.InitVar[bool]"])
def test_argument_of_the_constructor_alone_is_not_a_field(kind):
    @dataclass()
    class Message:
        is_new: kind = True
        _: dataclasses.KW_ONLY
        number: Annotated[Int32, 1] = 0

    message = Message(number=3, is_new=False)
    assert encode(message) == b"\x08\x03"
    assert decode(b"\x08\x03", type=Message) == message


def test_field_may_be_named_self():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Own:
        self: Annotated[Int32, 1] = 0

    for _ in range(2):
        assert decode(encode(Own(self=1)), type=Own) == Own(self=1)


@pytest.mark.parametrize(
    "use",
    [
        lambda cls: cls(),
        lambda cls: dataclasses.fields(cls),
        lambda cls: decode(b"\x08\x01", type=cls),
        lambda cls: dataclasses.is_dataclass(cls),
    ],
)
def test_each_first_use_completes_the_class(use):
    cls = fresh()
    use(cls)
    assert cls(number=1) == cls(number=1) != cls(number=2)
    assert list(inspect.signature(cls).parameters) == ["number"]


def test_instance_equals_prints_and_hashes_as_by_the_standard_decorator():
    one = Whole(number=1, part=Part(name="p"), labels={"a": "b"})
    other = Standard(number=1, part=Part(name="p"), labels={"a": "b"})
    assert repr(one) == repr(other).replace("Standard", "Whole")
    assert one == Whole(number=1, part=Part(name="p"), labels={"a": "b"})
    assert one != other
    assert hash(Part(name="p")) == hash(Part(name="p"))
    assert Whole.__slots__ == Standard.__slots__
    assert Whole.__match_args__ == Standard.__match_args__
    assert Whole.__doc__ == "A message of all shapes."
    assert [one.name for one in dataclasses.fields(Whole)] == ["number", "part", "labels"]
    assert dataclasses.replace(one, number=2).number == 2
    assert dataclasses.asdict(one) == dataclasses.asdict(other)


def test_instance_is_frozen_and_has_only_its_fields():
    one = Whole()
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'number'"):
        one.number = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.number
    with pytest.raises(AttributeError):
        one.other = 1
    with pytest.raises(TypeError, match="other"):
        Whole(other=1)
    with pytest.raises(TypeError, match="positional"):
        Whole(1)


def test_instance_is_copied_and_pickled():
    one = Whole(number=1, part=Part(name="p"), labels={"a": "b"})
    for same in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert same == one


def test_message_is_encoded_as_by_the_standard_decorator():
    one = Whole(number=1, part=Part(name="p"), labels={"a": "b"})
    data = encode(one)
    assert data == encode(Standard(number=1, part=Part(name="p"), labels={"a": "b"}))
    assert decode(data, type=Whole) == one


def test_subclass_inherits_what_is_completed_later():
    base = fresh()

    class Plain(base):
        __slots__ = ()

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Extended(base):
        more: int = 1

    assert Plain().number == 7
    assert [one.name for one in dataclasses.fields(Extended)] == ["number", "more"]


def test_threads_that_use_a_class_first_together_all_succeed():
    cls = fresh()
    barrier = threading.Barrier(8)
    made = []

    def use():
        barrier.wait()
        made.append(cls(number=3))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [cls(number=3)] * 8


@pytest.mark.parametrize("parameter", ["frozen", "slots", "kw_only"])
def test_class_that_is_not_frozen_slotted_and_keyword_only_raises_type_error(parameter):
    with pytest.raises(TypeError, match="expected a frozen dataclass"):
        dataclass(**{parameter: False})

"""The constructor that `fast_init` generates has the same effect as that of the dataclass."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, InitVar, dataclass, field, replace

import pytest
from kakuri_workload import Run, Transition, WorkloadState, fast_init


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    size: int = 3


@fast_init
@dataclass(frozen=True, slots=True)
class Fast:
    name: str
    size: int = 3


def test_instance_has_the_class_and_the_values_of_its_arguments():
    for made, expected in ((Fast("a"), Plain("a")), (Fast(size=4, name="b"), Plain("b", 4))):
        assert type(made) is Fast
        assert (made.name, made.size) == (expected.name, expected.size)
        assert hash(made) == hash(expected)
        assert repr(made) == repr(expected).replace("Plain", "Fast")


def test_signature_is_that_of_the_dataclass():
    assert inspect.signature(Fast) == inspect.signature(Plain)
    assert Fast.__init__.__qualname__ == "Fast.__init__"
    for arguments in ((), ("a", 1, 2)):
        with pytest.raises(TypeError, match=r"Fast\.__init__\(\)"):
            Fast(*arguments)


def test_generic_class_is_accepted():
    transition = Transition(1.0, WorkloadState.RUNNING, attempt=2)
    assert type(transition) is Transition
    assert (transition.at, transition.attempt, transition.count) == (1.0, 2, 1)
    with pytest.raises(FrozenInstanceError):
        transition.count = 2


def test_instance_is_frozen_once_it_is_created():
    with pytest.raises(FrozenInstanceError):
        Fast("a").name = "b"
    with pytest.raises(AttributeError):
        object.__setattr__(Fast("a"), "other", 1)


def test_instance_is_compared_replaced_copied_and_pickled_as_before():
    run = Run(WorkloadState.RUNNING, address="10.0.0.2")
    assert run == Run(WorkloadState.RUNNING, address="10.0.0.2") != Run(WorkloadState.RUNNING)
    assert replace(run, attempt=2).attempt == 2
    assert copy.deepcopy(run) == pickle.loads(pickle.dumps(run)) == run
    assert type(copy.copy(run)) is Run


def test_class_that_needs_the_constructor_of_the_dataclass_raises_type_error():
    @dataclass(frozen=True, slots=True)
    class WithList:
        items: list[str] = field(default_factory=list)

    @dataclass(frozen=True)
    class WithoutSlots:
        name: str

    @dataclass(frozen=True, slots=True)
    class WithBase(Plain):
        pass

    @dataclass(frozen=True, slots=True)
    class WithCheck:
        name: str

        def __post_init__(self):
            assert self.name

    @dataclass(frozen=True, slots=True)
    class WithArgument:
        name: str
        is_new: InitVar[bool]

    @dataclass(frozen=True, slots=True, init=False)
    class WithConstructor:
        name: str

        def __init__(self, name):
            object.__setattr__(self, "name", name.strip())

    @dataclass(frozen=True, slots=True, init=False)
    class WithoutConstructor:
        name: str

    ordinary = (WithList, WithoutSlots, WithBase, WithCheck, WithArgument)
    for cls in (*ordinary, WithConstructor, WithoutConstructor):
        with pytest.raises(TypeError, match=cls.__name__):
            fast_init(cls)


def test_codec_can_tell_that_the_constructor_only_sets_fields():
    name = Plain.__init__.__code__.co_qualname
    assert Fast.__init__.__code__.co_qualname == name == "__create_fn__.<locals>.__init__"

"""Generated functions can be read where they fail."""

import gc
import linecache
import traceback
import weakref
from dataclasses import dataclass
from typing import Annotated

import kakuri_protobuf as kp
import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: Annotated[kp.Int32, 1] = 0
    label: Annotated[str, 2] = ""


def test_traceback_shows_the_line_of_the_generated_function_that_failed():
    with pytest.raises(kp.DecodeError) as caught:
        kp.decode(b"\x12\x05ab", type=Point)
    shown = "".join(traceback.format_exception(caught.value))
    assert "<generated> decode Point" in shown
    assert "raise failure(error" in shown


def test_source_of_a_generated_function_goes_with_its_class():
    @dataclass(frozen=True)
    class Passing:
        x: Annotated[kp.Int32, 1] = 0

    kp.decode(kp.encode(Passing(x=1)), type=Passing)
    gone = weakref.ref(Passing)
    del Passing
    gc.collect()
    assert gone() is None
    assert not [name for name in linecache.cache if "Passing" in name]

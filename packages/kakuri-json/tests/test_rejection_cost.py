"""An invalid document costs about as much as a valid one of its size and shape.

The cost is the number of calls that the interpreter makes, of functions in Python and in C.
test_expressions.py counts the cost of one call of a compiled expression, in steps of a matcher.
"""

import importlib.util
import sys
from pathlib import Path

import kakuri_json
import pytest

_PATH = Path(__file__).resolve().parent.parent / "benchmarks" / "refusals.py"
_SPEC = importlib.util.spec_from_file_location("refusals", _PATH)
assert _SPEC is not None
refusals = importlib.util.module_from_spec(_SPEC)
sys.modules["refusals"] = refusals
_SPEC.loader.exec_module(refusals)

SMALL, LARGE = refusals.shapes(2**15), refusals.shapes(2**16)


def calls(kind, text):
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    data = text.encode()
    sys.setprofile(note)
    try:
        kakuri_json.decode(data, type=kind)
    except kakuri_json.JSONError:
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", list(SMALL))
def test_invalid_document_costs_at_most_three_times_a_valid_one(name):
    counted = []
    for shapes in (SMALL, LARGE):
        accepted_by, accepted, refused_by, refused = shapes[name]
        kakuri_json.decode(accepted, type=accepted_by)
        for _ in range(2):  # expressions are compiled when they are first needed
            with pytest.raises(kakuri_json.JSONError):
                kakuri_json.decode(refused, type=refused_by)
        counted.append((calls(accepted_by, accepted), calls(refused_by, refused)))
    (small_accepted, small_refused), (large_accepted, large_refused) = counted
    # First the cost of 32 KiB more, which would be thousands of calls if each piece had one; then
    # the cost of the whole refusal.
    assert large_refused - small_refused <= 3 * (large_accepted - small_accepted) + 2**11
    assert large_refused <= 3 * large_accepted + 20_000

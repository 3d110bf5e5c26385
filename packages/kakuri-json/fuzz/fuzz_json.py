"""Checks that any bytes are either a value or a JSONError, with the same result in every function.

Run by `nox -s fuzz`; arguments are libFuzzer's, for example -max_total_time=600.
"""

import sys
from dataclasses import dataclass, field
from typing import Annotated

import annotated_types as at
import atheris

with atheris.instrument_imports(include=["kakuri_json"]):
    import kakuri_json
    from kakuri_json import (
        EventKind,
        IncrementalParser,
        JSONError,
        JSONSyntaxError,
        LimitError,
        ValidationError,
    )
    from kakuri_json._decode.codec import Codec, codec_of
    from kakuri_json._decode.decode import decode_slowly
    from kakuri_json._limits import DEFAULT_LIMITS
    from kakuri_json._syntax.diagnosis import set_byte_position
    from kakuri_json._syntax.loads import read_text


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: Annotated[int, at.Ge(0)] = 0


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    points: list[Point] = field(default_factory=list)
    table: dict[str, float] | None = None
    reason: str | None = None


SHAPE = codec_of(Message).shape


def outcome(function):
    try:
        return repr(function())
    except ValidationError as error:
        return error.faults
    except JSONError as error:
        return type(error), str(error)


def events(data):
    parser = IncrementalParser()
    half = len(data) // 2
    for piece in (*filter(None, (data[:half], data[half:])), b""):
        parser.receive_data(piece)
        while (kind := parser.next_event().kind) is not EventKind.NEED_DATA:
            if kind is EventKind.END:
                return kind
    raise AssertionError("no end")


def slowly(data):
    text = read_text(data, DEFAULT_LIMITS)
    try:
        return decode_slowly(Codec(SHAPE, Message), text, DEFAULT_LIMITS)
    except (JSONSyntaxError, LimitError) as error:
        set_byte_position(error, text)
        raise


def one_input(data: bytes) -> None:
    """Check one input."""
    try:
        value = kakuri_json.loads(data)
    except JSONError:
        accepted = False
    else:
        accepted = True
        printed = kakuri_json.encode(value)
        assert repr(kakuri_json.loads(printed)) == repr(value)
    assert accepted == (not isinstance(outcome(lambda: events(data)), tuple))
    slow = outcome(lambda: slowly(data))
    assert outcome(lambda: kakuri_json.decode(data, Message)) == slow


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()

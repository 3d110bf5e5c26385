"""Vectors recorded from the official conformance runner, from the directory that KAKURI_CORPORA names."""

import json
import math
import os
from pathlib import Path
from typing import Any

import kakuri_protobuf
import pytest
from kakuri_protobuf import DecodeError

from ..schema_classes import SchemaClasses  # noqa: TID252 - a module of these tests

DIRECTORY = Path(os.environ["KAKURI_CORPORA"]) / "protobuf"


def load(version: int) -> list[Any]:
    schema = json.loads((DIRECTORY / f"schema-proto{version}.json").read_text())
    classes = SchemaClasses(schema, is_proto2=version == 2)
    cases = json.loads((DIRECTORY / f"proto{version}-pb-pb.json").read_text())
    return [
        pytest.param(case, classes.messages[case["message"]], id=case["name"]) for case in cases
    ]


CASES = [*load(2), *load(3)]


def test_suite_has_all_cases():
    assert len(CASES) == 464 + 461


@pytest.mark.parametrize(("case", "cls"), CASES)
def test_vector_has_the_expected_result(case, cls):
    data = bytes.fromhex(case["input_hex"])
    if case["expect"] == "parse_error":
        with pytest.raises(DecodeError):
            kakuri_protobuf.decode(data, type=cls)
        return
    message = kakuri_protobuf.decode(data, type=cls)
    expected = bytes.fromhex(case["expected_hex"])
    written = kakuri_protobuf.encode(message)
    assert comparable(kakuri_protobuf.decode(written, type=cls)) == comparable(
        kakuri_protobuf.decode(expected, type=cls)
    )
    assert len(written) == len(expected)


def comparable(message: Any) -> Any:
    """Return a message with NaN as text, which unlike NaN equals itself."""
    if isinstance(message, float):
        return "nan" if math.isnan(message) else message.hex()
    if isinstance(message, tuple):
        return [comparable(one) for one in message]
    if isinstance(message, dict):
        return {key: comparable(value) for key, value in message.items()}
    if hasattr(message, "__dataclass_fields__"):
        return {name: comparable(getattr(message, name)) for name in message.__dataclass_fields__}
    return message

"""The sizes of strings, in bytes as the kernel counts them."""

from typing import get_args

import pytest
from kakuri_workload import MAX_STRING_BYTES, oversized_strings
from kakuri_workload._workload import Argument, LabelKey, WorkingDirectory
from kakuri_workload.testing import workload


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_argument_of_the_largest_size_is_accepted_and_one_byte_more_is_not(character):
    width = len(character.encode())
    largest = character * (MAX_STRING_BYTES // width) + "x" * (MAX_STRING_BYTES % width)
    assert list(oversized_strings(workload(command=(largest,), args=(largest,)))) == []
    faults = list(oversized_strings(workload(command=("a", largest + "x"), args=(largest + "x",))))
    message = "expected an argument of at most 131071 bytes, got 131072 bytes"
    assert faults == [("$.command[1]", message), ("$.args[0]", message)]


def test_variable_counts_with_its_name_and_the_equals_sign():
    value = "x" * (MAX_STRING_BYTES - 3)
    assert list(oversized_strings(workload(env={"AB": value}))) == []
    assert list(oversized_strings(workload(env={"ABC": value}))) == [
        (
            "$.env['ABC']",
            "expected a variable, NAME=value, of at most 131071 bytes, got 131072 bytes",
        )
    ]


def test_variable_of_wide_characters_counts_bytes():
    # As many bytes as are allowed and one more, of which the equals sign is the last.
    ((path, message),) = oversized_strings(workload(env={"\U0001f600": "\U0001f600" * 32_767}))
    assert path == "$.env['\U0001f600']"
    assert message.endswith("at most 131071 bytes, got 131073 bytes")
    assert list(oversized_strings(workload(env={"\U0001f600": "\U0001f600" * 32_766}))) == []


def test_path_of_a_long_variable_name_is_shortened():
    ((path, _),) = oversized_strings(workload(env={"N" * 70_000: "x" * 70_000}))
    assert path == f"$.env['{'N' * 100}…']"


def test_working_directory_is_limited_in_bytes_and_not_in_characters():
    assert list(oversized_strings(workload(working_dir="/" + "d" * 4094))) == []
    ((path, message),) = oversized_strings(workload(working_dir="/" + "é" * 2048))
    assert path == "$.working_dir"
    assert message == "expected a path of at most 4095 bytes, got 4097 bytes"


@pytest.mark.parametrize(("length", "shown"), [(100, "N" * 100), (101, "N" * 100 + "…")])
def test_variable_that_is_too_long_is_named_by_a_hundred_characters(length, shown):
    entry = workload(env={"N" * length: "v" * 131_072})
    ((path, _),) = oversized_strings(entry)
    assert path == f"$.env[{shown!r}]"


@pytest.mark.parametrize(
    ("field", "limit"), [(Argument, MAX_STRING_BYTES), (WorkingDirectory, 4095), (LabelKey, 63)]
)
def test_description_of_a_text_has_its_limit(field, limit):
    assert str(limit) in get_args(field)[1].description  # an error says only what is expected

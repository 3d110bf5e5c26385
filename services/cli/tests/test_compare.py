"""What a file and a node's workloads have in common."""

import pytest
from kakuri._compare import Change, differences

BASE = {"id": "a", "image": "x"}


@pytest.mark.parametrize(
    ("current", "desired", "found"),
    [
        ({}, {}, {}),
        ({"id": "a"}, {"id": "b"}, {}),
        ({"image": "x"}, {"image": "y"}, {"image": ("x", "y")}),
        # What the node chose differs only if the file states it.
        ({"memory_mb": 256, "cpu_millicores": 500, "runtime_class": "edera-zone"}, {}, {}),
        ({"memory_mb": 256}, {"memory_mb": 512}, {"memory_mb": (256, 512)}),
        ({"cpu_millicores": 1}, {"cpu_millicores": 2}, {"cpu_millicores": (1, 2)}),
        ({"runtime_class": "a"}, {"runtime_class": "b"}, {"runtime_class": ("a", "b")}),
        # A field that is left out has its default.
        ({"command": [], "args": [], "env": {}, "labels": {}, "restart_policy": "never",
          "max_restarts": 100}, {}, {}),
        ({}, {"command": [], "args": [], "env": {}, "labels": {}, "restart_policy": "never",
              "max_restarts": 100}, {}),
        ({"restart_policy": "always"}, {}, {"restart_policy": ("always", "never")}),
        ({}, {"max_restarts": 101}, {"max_restarts": (100, 101)}),
        ({"command": ["sh"]}, {}, {"command": (["sh"], [])}),
        ({"user": "1:1"}, {}, {"user": ("1:1", None)}),
        # Variables and labels are compared one by one.
        ({"env": {"A": "1", "B": "2"}}, {"env": {"A": "1", "C": "3"}},
         {"env.B": ("2", None), "env.C": (None, "3")}),
        ({"labels": {"a": "1"}}, {}, {"labels.a": ("1", None)}),
    ],
)  # fmt: skip
def test_differences_are_those_that_the_file_asks_for(current, desired, found):
    assert differences(current, desired) == found


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (Change("a", "same"), ["  a  same"]),
        (Change("a", "remove"), ["- a  remove"]),
        (Change("a", "create", {"image": "x\x1b"}), ["+ a  create   x\\x1b"]),
        (Change("a", "create", {"image": "x", "memory_mb": 64}), ["+ a  create   x   64 MiB"]),
        (Change("a", "create", {"image": "x", "cpu_millicores": 1000}),
         ["+ a  create   x   1 core"]),
        (Change("a", "create", {"image": "x"}, problem="the node is full", image={"state": "pull"}),
         ["+ a  create   x", "    its image would be pulled", "    refused: the node is full"]),
        (Change("a", "replace", fields={
            "env.TOKEN": ("old", "new"), "env.B": (None, "x"), "labels.c": (None, "d"),
            "command": (["sh", "-c"], []), "env": ({}, None), "user": (None, "1\x1b"),
            "memory_mb": (256, 1536), "cpu_millicores": (500, 1000),
         }),
         ["~ a  replace",
          "    env.TOKEN      (set) → (set)",
          "    env.B          (unset) → (set)",
          "    labels.c       (none) → d",
          "    command        sh -c → (none)",
          "    env            (none) → (none)",
          "    user           (none) → 1\\x1b",
          "    memory_mb      256 MiB → 1.5 GiB",
          "    cpu_millicores 0.5 cores → 1 core"]),
    ],
)  # fmt: skip
def test_change_as_text_has_both_values_of_each_field_but_no_variable(change, lines):
    assert change.lines() == lines


def test_change_as_json_has_both_values_of_each_field_but_no_variable():
    change = Change(
        "a", "create", BASE, fields={"env.T": ("s", "t"), "user": (None, "1")},
        problem="full", image={"state": "pull"},
    )  # fmt: skip
    assert change.as_json() == {
        "id": "a",
        "change": "create",
        "fields": [{"field": "env.T"}, {"field": "user", "current": None, "desired": "1"}],
        "problem": "full",
        "image": {"state": "pull"},
    }
    assert Change("a", "same").as_json() == {"id": "a", "change": "same"}

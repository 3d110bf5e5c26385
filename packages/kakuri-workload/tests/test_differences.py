"""Paths of what differs between two workloads, which never show a value."""

import pytest
from kakuri_workload import differences
from kakuri_workload.testing import workload


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({}, {}, []),
        ({"image": "a:1"}, {"image": "a:2"}, ["$.image"]),
        (
            {"env": {"B": "1", "A": "1", "C": "1"}},
            {"env": {"B": "2", "A": "1", "D": "1"}},
            ["$.env['B']", "$.env['C']", "$.env['D']"],
        ),
        ({"args": ("a", "b", "c")}, {"args": ("a", "x", "y")}, ["$.args[1]", "$.args[2]"]),
        ({"args": ("a",)}, {"args": ("a", "b")}, ["$.args"]),
        ({"working_dir": "/a"}, {"working_dir": None}, ["$.working_dir"]),
        (
            {"memory_mb": 1, "labels": {"team": "a"}},
            {"memory_mb": 2, "labels": {}},
            ["$.memory_mb", "$.labels['team']"],
        ),
    ],
)
def test_differences_are_paths_in_the_order_of_fields_and_keys(one, other, paths):
    assert list(differences(workload(**one), workload(**other))) == paths

"""The differences between two workloads, for the error of a conflict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from kakuri_workload._workload import Workload


def differences(one: Workload, other: Workload) -> Iterator[str]:
    """Yield the path of each difference between two workloads, such as `$.env['A']`.

    Values are left out, because they may be secret.

    Args:
        one: A workload.
        other: Another one.
    """
    for field in fields(Workload):
        yield from _differences(getattr(one, field.name), getattr(other, field.name), field.name)


def _differences(one: Any, other: Any, name: str) -> Iterator[str]:
    if one == other:
        return
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                yield f"$.{name}[{key!r}]"
    elif isinstance(one, Sequence) and not isinstance(one, str) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            if left != right:
                yield f"$.{name}[{index}]"
    else:
        yield f"$.{name}"

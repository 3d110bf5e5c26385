"""The differences between two workloads, for the error of a conflict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from kakuri_workload._workload import Workload


def differences(first: Workload, second: Workload) -> Iterator[str]:
    """Yield the path of each difference between two workloads, such as `$.env['A']`.

    Values are left out, because they may be secret.

    Args:
        first: A workload.
        second: Another workload.
    """
    for field in fields(Workload):
        yield from _differences(getattr(first, field.name), getattr(second, field.name), field.name)


def _differences(first: Any, second: Any, name: str) -> Iterator[str]:
    if first == second:
        return
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                yield f"$.{name}[{key!r}]"
    elif isinstance(first, Sequence) and not isinstance(first, str) and len(first) == len(second):
        for index, (left, right) in enumerate(zip(first, second, strict=True)):
            if left != right:
                yield f"$.{name}[{index}]"
    else:
        yield f"$.{name}"

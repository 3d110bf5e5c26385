"""Immutable copies of what callers pass in, so that an entry can't change after it was made."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NoReturn

from kakuri_registry._workload import Workload


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError(f"{type(self).__name__} is immutable: make a changed copy with dict(…)")


class FrozenDict(dict[str, Any]):
    """A dict whose contents are fixed when it is made.

    It compares equal to a dict with the same items, can be hashed if its values can, and survives
    `copy` and `pickle`. It is a real dict so that encoders and type checks treat it as one.
    """

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self) -> "FrozenDict":
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"


EMPTY = FrozenDict()
"""Shared by all workloads without labels or environment."""


def frozen(workload: Workload) -> Workload:
    """Return a workload that shares no mutable value with the caller.

    The workload itself is returned if it is immutable already.
    """
    changed = {}
    for field in fields(workload):
        value = getattr(workload, field.name)
        immutable = _frozen_value(value)
        if immutable is not value:
            changed[field.name] = immutable
    return replace(workload, **changed) if changed else workload


def _frozen_value(value: Any) -> Any:
    if isinstance(value, FrozenDict | str | int | None):
        return value
    if isinstance(value, Mapping):
        items = {key: _frozen_value(each) for key, each in value.items()}
        return FrozenDict(items) if items else EMPTY
    if isinstance(value, list | tuple):
        items_of = [_frozen_value(each) for each in value]
        is_same = type(value) is tuple and all(map(_is, value, items_of))
        return value if is_same else tuple(items_of)
    return value


def _is(one: object, other: object) -> bool:
    return one is other

"""Immutable copies of arguments, so that an entry can't change after it was created."""

from collections.abc import Mapping, Sequence
from operator import attrgetter, is_
from typing import Any, NoReturn

from kakuri_workload import Workload


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError(f"{type(self).__name__} is immutable: make a changed copy with dict(…)")


class FrozenDict(dict[str, Any]):
    """An immutable dict.

    It equals a dict with the same items, is hashable if its values are, and survives `copy` and
    `pickle`. It is a real dict, so that encoders and type checks treat it as one.
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


MUTABLE_FIELDS = ("command", "args", "env", "labels")
"""The fields of a workload that may hold mutable objects from a caller."""

_STRINGS = {str}
_mutable_of = attrgetter(*MUTABLE_FIELDS)


def freeze(workload: Workload) -> None:
    """Replace the mutable objects in a workload with equal immutable copies.

    The workload stays the same object, because creating a new one would take as long as registering
    it.
    """
    env, labels = workload.env, workload.labels
    if workload.command == workload.args == () and not env and not labels:  # most workloads
        if env is not EMPTY:
            object.__setattr__(workload, "env", EMPTY)
        if labels is not EMPTY:
            object.__setattr__(workload, "labels", EMPTY)
        return
    for name, value in zip(MUTABLE_FIELDS, _mutable_of(workload), strict=True):
        if value == {}:
            object.__setattr__(workload, name, EMPTY)
        elif value != () and type(value) is not FrozenDict:
            object.__setattr__(workload, name, _frozen(value))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict | Mapping):
        if not value:
            return EMPTY
        if set(map(type, value.values())) == _STRINGS:
            return FrozenDict(value)
        return FrozenDict(zip(value, map(_frozen, value.values()), strict=True))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = tuple(map(_frozen, value))
        return value if type(value) is tuple and all(map(is_, value, items)) else items
    return value

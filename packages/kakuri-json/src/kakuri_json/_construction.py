"""Makes instances of records from their fields, in order.

A frozen dataclass with slots is the best kind of message and the slowest to construct: its
`__init__` sets each field through `object.__setattr__`. Where `__init__` is the generated one and
does nothing else, the slots are set directly.
"""

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from kakuri_json._shapes import Record


def constructor_of(record: Record) -> Callable[..., Any]:
    """Give a function from the values of all fields, in order, to an instance."""
    cls = record.cls
    names = [item.name for item in record.fields]
    parameters = [f"v{number}" for number in range(len(names))]
    head = f"def make({', '.join(parameters)}):"
    namespace: dict[str, Any] = {"new": object.__new__, "cls": cls}
    if record.is_dict:
        body = f"    return dict({', '.join(map('='.join, zip(names, parameters, strict=True)))})"
    elif _only_sets_slots(cls, names):
        namespace |= {f"set_{name}": getattr(cls, name).__set__ for name in names}
        setters = "".join(
            f"    set_{name}(self, {value})\n" for name, value in zip(names, parameters, strict=True)
        )
        body = f"    self = new(cls)\n{setters}    return self"
    else:
        arguments = ", ".join(map("=".join, zip(names, parameters, strict=True)))
        body = f"    return cls({arguments})"
    exec(f"{head}\n{body}", namespace)  # noqa: S102 - names of fields are identifiers
    make: Callable[..., Any] = namespace["make"]
    return make


def _only_sets_slots(cls: type[Any], names: list[str]) -> bool:
    init = getattr(cls.__init__, "__code__", None)
    return (
        init is not None
        and init.co_filename == "<string>"  # written by dataclasses, not by a person
        and not hasattr(cls, "__post_init__")
        and cls.__new__ is object.__new__
        and type(cls) is type
        and set(init.co_varnames) == {init.co_varnames[0], *names}
        and all(isinstance(getattr(cls, name, None), MemberDescriptorType) for name in names)
        and set(getattr(cls, "__dataclass_fields__", {})) == set(names)
    )

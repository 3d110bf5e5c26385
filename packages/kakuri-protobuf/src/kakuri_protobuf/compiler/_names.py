"""Chooses names in a compiled module that are not reserved and don't hide other names."""

import keyword
from collections.abc import Collection, Iterable

_USED_IN_CLASSES = {"bool", "bytes", "dict", "field", "float", "str", "tuple"}
"""The names to which the body of any class may refer, in addition to those below."""

_USED_IN_MODULES = {
    "Annotated", "Default", "Double", "Enum", "Fixed32", "Fixed64", "Float", "Group", "Int32",
    "Int64", "IntEnum", "Mapping", "Method", "OneOf", "Required", "SFixed32", "SFixed64", "SInt32",
    "SInt64", "UInt32", "UInt64", "Unknown", "Unpacked", "dataclass",
}  # fmt: skip

_OF_ENUMS = {
    "name", "value", "mro",
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes",
    "imag", "is_integer", "numerator", "real", "to_bytes",
}  # fmt: skip
"""Attributes of enum classes and their members, which are integers."""


def class_name(name: str) -> str:
    """Return the name of the class for a message, an enum or a service."""
    is_used = name in _USED_IN_MODULES or name in _USED_IN_CLASSES
    return f"{name}_" if is_used or keyword.iskeyword(name) else name


def class_attributes(
    names: Iterable[str], classes: Collection[str], taken: Collection[str] = ()
) -> dict[str, str]:
    """Return the attribute names for the fields of a message or the methods of a service.

    Args:
        names: Names in the file.
        classes: Names to which the body of the class refers.
        taken: Names of other attributes of the class.
    """
    hidden = {*_USED_IN_CLASSES, *_USED_IN_MODULES, *classes, *taken}
    return _attributes(names, "__", hidden)  # Python mangles such names


def enum_attributes(names: Iterable[str]) -> dict[str, str]:
    """Return the attribute names for the values of an enum."""
    return _attributes(names, "_", _OF_ENUMS)  # private names in an enum don't become members


def _attributes(names: Iterable[str], private: str, hidden: Collection[str]) -> dict[str, str]:
    """Return a distinct attribute name for each name, which is nearly always the name itself."""
    attributes = {name: name for name in names}
    taken = {*attributes, *hidden}
    for name in attributes:
        attribute = f"u{name}" if name.startswith(private) else name
        if attribute != name or name in hidden or keyword.iskeyword(name):
            while attribute in taken or keyword.iskeyword(attribute):
                attribute += "_"
            taken.add(attribute)
            attributes[name] = attribute
    return attributes

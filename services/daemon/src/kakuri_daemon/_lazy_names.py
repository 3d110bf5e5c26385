"""Names of a package that are imported when they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package (PEP 562).

    When a name is first used, its module is imported, and the names of all modules that this loaded
    become those of the package: tracebacks show where users import them from.

    Args:
        package: The package's name.
        homes: The module of each name, relative to the package.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import_module(f"{package}.{homes[name]}")
        names = vars(sys.modules[package])
        for each, home in homes.items():
            value = getattr(sys.modules.get(f"{package}.{home}"), each, None)
            if value is not None:
                names[each] = value
                if hasattr(value, "__qualname__") and value.__module__.startswith(f"{package}."):
                    value.__module__ = package
        return names[name]

    return get

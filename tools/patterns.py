"""Find regular expressions that repeat a group possessively.

CPython before 3.11.5 matches `(…)*+`, `(…)?+`, `(…)++` and `(…){m,n}+` wrongly: after a failed last
try it does not go back to where that try began (gh-100061, gh-106052). Repeats of one character or
one set (`[0-9]*+`) are right everywhere, and so are atomic groups: `(?>(…)*)`, or `(?:…|)` in place
of `(…)?+`.

    python -m tools.patterns [PACKAGE ...]

imports every module of the packages (all members unless named), prints every expression that is
compiled meanwhile and repeats a group possessively, and fails if there is one.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tools.members import MEMBERS

# The standard library has no public form of a parsed expression.
_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY", "RANGE"})


def repeats_group_possessively(parsed: Iterable[Any]) -> bool:
    """Return whether a parsed expression has a possessive repeat of more than one character.

    Args:
        parsed: What `re._parser.parse` returns, or a part of it.
    """
    for code, argument in parsed:
        if str(code) == "POSSESSIVE_REPEAT":
            body = argument[2]
            if len(body) != 1 or str(body[0][0]) not in _SINGLE:
                return True
        if any(repeats_group_possessively(part) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterator[Iterable[Any]]:
    """Yield every expression inside the argument of an operation."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _parts(part)


@contextmanager
def watching(
    report: Callable[[str, str], object],
    is_offender: Callable[[Any], bool] = repeats_group_possessively,
) -> Iterator[None]:
    """Call `report` with every expression that is compiled in this block and must not be.

    Expressions that `re` has in its cache are not compiled again and not reported again.

    Args:
        report: Called with the name of the compiling module and the expression.
        is_offender: Returns whether a parsed expression is not allowed.
    """
    parse = _parser.parse

    def watched(pattern: Any, *arguments: Any, **options: Any) -> Any:
        parsed = parse(pattern, *arguments, **options)
        if is_offender(parsed):
            report(_compiling_module(), pattern if isinstance(pattern, str) else repr(pattern))
        return parsed

    _parser.parse = watched
    try:
        yield
    finally:
        _parser.parse = parse


def _compiling_module() -> str:
    """Return the name of the module whose code called `re`."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None:
        name: str = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] != "re":
            return name
        frame = frame.f_back
    return "?"


def offenders(packages: Iterable[str]) -> dict[str, list[str]]:
    """Import every module of packages and return the expressions that must not be, by module."""
    found: dict[str, list[str]] = {}
    with watching(lambda module, pattern: found.setdefault(module, []).append(pattern)):
        for name in packages:
            package = importlib.import_module(name)
            for module in pkgutil.walk_packages(package.__path__, f"{name}."):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
    return found


def main() -> int:
    """Print what is found in the packages named on the command line."""
    found = offenders(sys.argv[1:] or [member.import_name for member in MEMBERS])
    for module, patterns in found.items():
        for pattern in patterns:
            print(f"{module}: {pattern}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

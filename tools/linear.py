"""Find regular expressions that take more than linear time for some text.

    python -m tools.linear [PACKAGE ...]

imports every module of the packages (by default, of all members), and matches every expression
compiled meanwhile against near misses: texts that contain an unboundedly repeated part many times
over, and then end in something that does not match. A quadratic expression takes a hundred times as
long for them as a linear one, so the CPU time for a single text is enough to decide.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import product
from types import ModuleType
from typing import Any

from tools.members import MEMBERS
from tools.patterns import watching

REPETITIONS = (20, 26, 16_000)
"""In ascending order: a few expose an exponential expression, which would never finish more."""
LIMIT = 0.02
"""CPU seconds for one text; a linear expression takes under a millisecond for the longest."""

_UNBOUNDED = 1_000  # repeats up to here are bounded by the expression itself
_ENDINGS = ("\0", "\n", "!", "a\r\n!")
_NOT_SEARCHED_AT_RANDOM = {
    # These are searched in texts of whole lines, each of which matches.
    "kakuri_zones.logs._format": {"_LINES", "RECORDS"},
    "kakuri_zones.logs._records": {"RECORDS"},
}
_SEARCHES = re.compile(r"\b(\w+)\.(?:search|sub|subn|split|findall|finditer)\b")


def near_misses(parsed: Any) -> Iterator[str]:
    """Yield near misses of a parsed expression.

    Args:
        parsed: What `re._parser.parse` returns.
    """
    for prefix, body in _repeats(parsed, ""):
        for count, ending in product(REPETITIONS, _ENDINGS):
            yield prefix + body * count + ending


def _repeats(parsed: Iterable[Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield each unbounded repeat: a text that leads to it, and one that it repeats."""
    for code, argument in parsed:
        name = str(code)
        for part, is_repeated in _parts(name, argument):
            if is_repeated:
                yield from ((prefix, body) for body in _samples(part) if body)
            yield from _repeats(part, prefix)
        prefix += next(iter(_samples([(code, argument)])), "")


def _parts(name: str, argument: Any) -> Iterator[tuple[Any, bool]]:
    """Yield every expression inside an operation, and whether it is repeated without a bound."""
    if name.endswith("REPEAT"):
        yield argument[2], argument[1] > _UNBOUNDED
    elif name == "SUBPATTERN":
        yield argument[3], False
    elif name == "ATOMIC_GROUP":
        yield argument, False
    elif name == "BRANCH":
        for part in argument[1]:
            yield part, False
    elif name == "GROUPREF_EXISTS":
        for part in argument[1:]:
            if part is not None:
                yield part, False


def _samples(parsed: Iterable[Any]) -> list[str]:
    """Return a few short texts that a parsed expression matches, its assertions aside."""
    texts = [""]
    for code, argument in parsed:
        pieces = _pieces(str(code), argument)
        texts = [text + piece for text in texts for piece in pieces][:12]
    return texts


def _pieces(name: str, argument: Any) -> list[str]:
    if name == "LITERAL":
        return [chr(argument)]
    if name == "NOT_LITERAL":
        return ["a" if argument != ord("a") else "b"]
    if name == "ANY":
        return ["a", " "]
    if name == "IN":
        return _members(argument)
    if name.endswith("REPEAT"):
        return [piece * max(argument[0], 1) for piece in _samples(argument[2])]
    parts = [part for part, _ in _parts(name, argument)]
    return [text for part in parts for text in _samples(part)[:4]] or [""]


def _members(items: list[tuple[Any, Any]]) -> list[str]:
    """Return some characters of a set: the first of each of its parts."""
    characters = []
    excluded = str(items[0][0]) == "NEGATE"
    for code, argument in items:
        if str(code) == "LITERAL":
            characters.append(chr(argument))
        elif str(code) == "RANGE":
            characters.append(chr(argument[0]))
        elif str(code) == "CATEGORY":
            characters += [c for c in "0a " if re.match(_CATEGORIES.get(str(argument), "."), c)][:1]
    if excluded:
        return [c for c in "a0 -.:/" if c not in characters][:2]
    return characters[:2] + characters[-2:]


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


def slow_text(pattern: "re.Pattern[Any]", parsed: Any, *, searches: bool) -> str | None:
    """Return a text that an expression takes too long for, or None.

    Args:
        pattern: The expression.
        parsed: The same, as `re._parser.parse` returns it.
        searches: Whether it is searched for, and not only matched from one place on.
    """
    methods = [pattern.match, pattern.fullmatch, *([pattern.search] if searches else [])]
    for text in near_misses(parsed):
        subject: Any = (
            text if isinstance(pattern.pattern, str) else text.encode("latin-1", "ignore")
        )
        for method in methods:
            # The minimum of three, because other load can only add to the time.
            if all(_seconds(method, subject) > LIMIT for _ in range(3)):
                return text
    return None


def _seconds(method: Any, subject: Any) -> float:
    began = time.thread_time()
    method(subject)
    return time.thread_time() - began


def offenders(packages: Iterable[str]) -> dict[str, str]:
    """Import every module of packages; return the expressions that are slow, with a slow text."""
    compiled: dict[Any, Any] = {}
    expressions: list[Any] = []

    def note(parsed: Any) -> bool:
        expressions.append(parsed)
        return True

    def keep(module: str, _pattern: str) -> None:
        if module.startswith("kakuri_"):  # not what the standard library compiles
            parsed = expressions[-1]
            compiled[parsed.state.str, parsed.state.flags] = parsed

    with watching(keep, note):
        modules = [module for name in packages for module in _modules(name)]
        if "kakuri_http" in sys.modules:
            sys.modules[
                "kakuri_http"
            ].ServerConnection()  # compiles the expressions that depend on its limits
    searched = {pattern for module in modules for pattern in _searched(module)}
    found = {}
    for (text, flags), parsed in compiled.items():
        pattern = re.compile(text, flags)
        slow = slow_text(pattern, parsed, searches=pattern in searched)
        if slow is not None:
            found[repr(text)] = repr(slow[:40])
    return found


def _modules(name: str) -> Iterator[ModuleType]:
    """Import a package and yield each of its modules."""
    package = importlib.import_module(name)
    yield package
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def _searched(module: ModuleType) -> Iterator["re.Pattern[Any]"]:
    """Yield the expressions of a module that its code searches for."""
    for name in _SEARCHES.findall(inspect.getsource(module)):
        value = getattr(module, name, None)
        if name in _NOT_SEARCHED_AT_RANDOM.get(module.__name__, ()):
            continue
        if isinstance(value, re.Pattern):
            yield value


def main() -> int:
    """Print what is found in the packages named on the command line."""
    found = offenders(sys.argv[1:] or [member.import_name for member in MEMBERS])
    for pattern, text in found.items():
        print(f"{pattern} takes long for {text}…")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

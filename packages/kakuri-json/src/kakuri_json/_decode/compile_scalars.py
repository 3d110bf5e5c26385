"""Generates the expressions of scalars, and the Python code that reads them."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kakuri_json._decode.layouts import Layout
from kakuri_json._decode.patterns import cached, embed, longest_match
from kakuri_json._syntax.scanning import ESCAPE, PLAIN
from kakuri_json._syntax.strings import quote, unescape
from kakuri_json._types.formats import READERS
from kakuri_json._types.shapes import Choice, Constraint, Scalar, Shape, Text

# Stands for the beginning of a captured group. No other part of an expression contains this
# character, so that the same expression can also be compiled without groups.
CAPTURE = "\x01"
# The length of numbers is bounded here, so that no double overflows. A lookahead, unlike an
# alternative, leaves nothing to backtrack to.
_INTEGER = "-?+(?!0[0-9])[0-9]{1,18}+"
_NATURAL = "(?!0[0-9])[0-9]{1,18}+"
_POSITIVE = "[1-9][0-9]{0,17}+"
# An integer has no negative zero, so -0 is left to the general path.
_NUMBER = rf"(?!-0(?![.eE])){_INTEGER}(?:\.[0-9]{{1,30}}+|)(?:[eE][-+]?+[0-9]{{1,2}}+|)"
MAX_REPEATS = 4095
"""Items after the first one, or escapes, that one loop matches. `re` keeps about 100 bytes for each
until the loop ends."""
_MANY_GROUPS = 4
_GROUP = re.compile(r"\bg([0-9]+)\b")
_ESCAPED = rf"{PLAIN}(?>(?:{ESCAPE}{PLAIN}){{0,{MAX_REPEATS}}})"


class NotRegular(Exception):
    """The shape has no expression: it contains itself, any value, or a tagged union."""


@dataclass(slots=True)
class Part:
    """A part of an expression, and the code that reads it.

    Attributes:
        pattern: The regular expression.
        code: The Python expression for its value.
        conditions: Python expressions that must be true for the value to be valid.
        statements: Statements that return the value, if `code` is not enough.
        minimal: The part for documents without any optional member; None if this part serves both.
    """

    pattern: str
    code: str
    conditions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    minimal: "Part | None" = None

    @property
    def result(self) -> list[str]:
        """Statements that return the value."""
        return self.statements or [f"return {self.code}"]

    def unless(self, absent: str, otherwise: str) -> "Part":
        """Return the part with another value for documents that lack it."""
        conditions = [f"({absent} or {' and '.join(self.conditions)})"] if self.conditions else []
        return Part(self.pattern, f"({otherwise} if {absent} else {self.code})", conditions)


class ScalarCompiler:
    """Generates the expressions of scalars, and the source of the functions that read them.

    Attributes:
        layout: The layout of the documents.
        constants: The objects that the source refers to, by name.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.constants: dict[str, Any] = {"unescape": unescape}
        self._groups = 0
        self._required_groups = 0  # those of members that every document has
        self._optional_depth = 0
        self._has_required_after_optional = False

    def unpacking(self) -> list[str]:
        """Return the statements that name the groups of the match `m`."""
        names = "".join(f"g{number}, " for number in range(self._groups))
        return [f"{names}= m.groups()"] if names else []

    def minimal_reading(self, minimal: Part) -> list[str]:
        """Return statements that read a document without optional members, if that is faster.

        Args:
            minimal: The part for such documents.
        """
        required = self._required_groups
        lines = minimal.result
        if minimal.conditions:
            lines = [f"if not ({' and '.join(minimal.conditions)}): return NO_MATCH", *lines]
        used = {int(number) for number in _GROUP.findall("\n".join(lines))}
        is_possible = not self._has_required_after_optional and used == set(range(required))
        if not is_possible or not required or self._groups - required < _MANY_GROUPS:
            return []
        names = "".join(f"g{number}, " for number in range(required))
        # An index more than there are, so that the result is a tuple even for one group.
        groups = f"{names}_ = m.group({', '.join(map(str, range(1, required + 1)))}, 0)"
        return [f"if m.lastindex == {required}:", *(f"    {line}" for line in (groups, *lines))]

    def function(self, parameters: str, lines: list[str]) -> Callable[..., Any]:
        """Return the function with this source, which refers to the constants by their names."""
        # The source consists of names, numbers and bounds that are generated here, and never
        # contains a part of a document or a string of a class.
        exec("\n    ".join([f"def read({parameters}):", *lines]), self.constants)  # noqa: S102
        read: Callable[..., Any] = self.constants["read"]
        return read

    def constant(self, value: Any) -> str:
        """Return a name for a value in the source."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def group(self) -> str:
        """Return the name of the next group of the expression."""
        if not self._optional_depth:
            self._has_required_after_optional |= self._required_groups < self._groups
            self._required_groups += 1
        self._groups += 1
        return f"g{self._groups - 1}"

    def scalar(self, shape: Shape, constraints: tuple[Constraint, ...]) -> Part:
        """Return the part for a shape that contains no other shape.

        Raises:
            NotRegular: No expression can read the shape.
        """
        match shape:
            case Scalar(kind="string"):
                return self._string(constraints)
            case Scalar(kind="integer"):
                return self._integer(constraints)
            case Scalar(kind="number"):
                part = Part(f"{CAPTURE}{_NUMBER})", f"float({self.group()})")
            case Scalar(kind="boolean"):
                part = Part(f"{CAPTURE}true|false)", f"({self.group()} == 'true')")
            case Scalar(kind="null"):
                part = Part("null", "None")
            case Choice():
                part = self._choice(shape)
            case Text():
                part = self._text(shape)
            case _:
                raise NotRegular
        self.constrain(part, constraints)
        return part

    def constrain(
        self, part: Part, constraints: tuple[Constraint, ...], *, minimum: float = -math.inf
    ) -> None:
        """Add constraints to the conditions of a part.

        Args:
            part: The part.
            constraints: The constraints on its value.
            minimum: The least number that its expression matches.
        """
        name = f"x{len(self.constants)}"
        tests = [test for c in constraints for test in self._tests(c, name, minimum=minimum)]
        if tests:
            self.constants[name] = None  # reserves the name for this part
            # The first test assigns the name where it first uses the value.
            tests[0] = tests[0].replace(name, f"({name} := {part.code})", 1)
            part.conditions += tests
            part.code = name
            if part.minimal is not None:
                self.constrain(part.minimal, constraints)

    def _tests(
        self,
        constraint: Constraint,
        name: str,
        *,
        embedded: bool = False,
        minimum: float = -math.inf,
        longest: float = math.inf,
    ) -> list[str]:
        """Return the conditions for a constraint that the expression does not imply.

        Args:
            constraint: The constraint.
            name: The name of the value.
            embedded: Whether its pattern is part of the expression.
            minimum: The least number that the expression matches.
            longest: Length in characters of the longest string that it matches.
        """
        comparisons = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
        sizes = {"min_length": ">=", "max_length": "<="}
        if constraint.of_text and not embedded:
            recent, matches = map(self.constant, cached(constraint.holds))
            return [f"({name} in {recent} or {matches}({name}))"]
        tests: list[str] = []
        bounds = {key: getattr(constraint, key) for key in (*comparisons, *sizes)}
        if not all(bound is None or type(bound) is int for bound in bounds.values()):
            return [f"{self.constant(constraint.holds)}({name})"]
        implied = {"ge": minimum, "gt": minimum - 1, "max_length": longest}
        is_implied = False
        for key, value in implied.items():
            bound = bounds[key]
            if bound is not None and (value <= bound if key == "max_length" else value >= bound):
                bounds[key] = None
                is_implied = True
        if bounds["ge"] is not None and bounds["le"] is not None:
            tests.append(f"{bounds.pop('ge')} <= {name} <= {bounds.pop('le')}")
        for key, bound in bounds.items():
            if bound is not None:
                subject = name if key in comparisons else f"len({name})"
                tests.append(f"{subject} {comparisons.get(key) or sizes[key]} {bound}")
        if constraint.multiple_of is not None or not (tests or is_implied or constraint.of_text):
            tests.append(f"{self.constant(constraint.holds)}({name})")
        return tests

    def _string(self, constraints: tuple[Constraint, ...]) -> Part:
        name = group = self.group()
        pattern = _ESCAPED if self.layout.escaped else PLAIN
        conditions: list[str] = []
        if self.layout.escaped:
            name = group.replace("g", "s")
            code = rf"{group} if '\\' not in {group} else unescape({group})"
            conditions.append(f"({name} := {code}) is not None")
        for constraint in constraints:
            embedded = None
            if constraint.pattern is not None and pattern is PLAIN:
                embedded = embed(constraint.pattern)
                pattern = embedded or pattern
            longest = math.inf if pattern in (PLAIN, _ESCAPED) else longest_match(pattern)
            conditions += self._tests(
                constraint, name, embedded=embedded is not None, longest=longest
            )
        return Part(f'"{CAPTURE}{pattern})"', name, conditions)

    def _integer(self, constraints: tuple[Constraint, ...]) -> Part:
        bounds = [c.ge if type(c.ge) is int else -1 for c in constraints]
        bounds += [c.gt + 1 if type(c.gt) is int else -1 for c in constraints]
        minimum = max(bounds, default=-1)
        pattern = _POSITIVE if minimum >= 1 else _NATURAL if minimum == 0 else _INTEGER
        part = Part(f"{CAPTURE}{pattern})", f"int({self.group()})")
        self.constrain(part, constraints, minimum=-math.inf if minimum < 0 else min(minimum, 1))
        return part

    def _text(self, shape: Text) -> Part:
        group = self.group()
        name = group.replace("g", "t")
        reader = self.constant(READERS[shape.format][1])
        return Part(f'"{CAPTURE}{PLAIN})"', name, [f"({name} := {reader}({group})) is not None"])

    def _choice(self, shape: Choice) -> Part:
        tokens = {_token(encoded): decoded for encoded, decoded in shape.rows}
        # The longest first, because 1 also matches the beginning of 12.
        pattern = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
        return Part(f"{CAPTURE}{pattern})", f"{self.constant(tokens)}[{self.group()}]")


def _token(value: Any) -> str:
    if type(value) is str:
        return quote(value)
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) is int and abs(value) < 10**18:
        return str(value)
    raise NotRegular

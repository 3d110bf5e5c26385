"""Compiles a shape and a layout into one regular expression and the code that reads its groups.

Runs of characters are possessive, loops are atomic, and alternatives begin differently, so a near
miss costs no more than one walk over the document. Groups are never repeated possessively: CPython
before 3.11.5 forgets to go back to where a failed try began (gh-100061, gh-106052). The expression
may refuse what is valid (the slow path decides again), but what it accepts is valid and complete:
bounded numbers, strings without what JSON forbids in them, every field at most once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kakuri_json._construction import build_set, construction, constructor_of
from kakuri_json._formats import READERS
from kakuri_json._layouts import Layout, record_order
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._patterns import embed, remembering
from kakuri_json._shapes import (
    Choice,
    Constrained,
    Constraint,
    Dictionary,
    Field,
    Fixed,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
    is_string,
)
from kakuri_json._strings import quote, unescape
from kakuri_json._texts import reader_of_pairs, reader_of_strings

MISS = object()
"""What a reader gives for a document that its expression doesn't cover."""

# Opens a captured group. The character can't stand in any other part of an expression, so that
# the same expression can be had without groups.
_CAPTURE = "\x01"
_WS = r"[ \t\n\r]*+"
# Numbers that the fast path reads have a bounded length, and no double overflows.
# A lookahead instead of an alternative, so that there is nothing to backtrack to.
_INTEGER = "-?+(?!0[0-9])[0-9]{1,18}+"
_POSITIVE = "[1-9][0-9]{0,17}+"
# An integer has no negative zero, so -0 is left to the slow path.
_NUMBER = rf"(?!-0(?![.eE])){_INTEGER}(?:\.[0-9]{{1,30}}+|)(?:[eE][-+]?+[0-9]{{1,2}}+|)"
_PLAIN = r'[^"\\\x00-\x1f]*+'
MOST = 4095
"""Items behind the first one, or escapes, that one loop covers: what it holds for each until it
ends is about 100 bytes."""
_ESCAPED = rf'{_PLAIN}(?>(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN}){{0,{MOST}}})'


class NotRegular(Exception):
    """The shape has no expression: it contains itself, or any value at all, or a tagged union."""


@dataclass(slots=True)
class _Part:
    """An expression, the Python expression for its value, and conditions on its groups."""

    pattern: str
    code: str
    conditions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    @property
    def result(self) -> list[str]:
        """Statements that return the value."""
        return self.statements or [f"return {self.code}"]

    def unless(self, absent: str, otherwise: str) -> "_Part":
        """Give the part with another value for when its group took no part in the match."""
        conditions = [f"({absent} or {' and '.join(self.conditions)})"] if self.conditions else []
        return _Part(self.pattern, f"({otherwise} if {absent} else {self.code})", conditions)


def compile_reader(shape: Shape, layout: Layout) -> Callable[[str], Any]:
    """Give the function that reads a document of a shape in one layout, or gives MISS.

    It may also raise ValueError for a document that the slow path has to explain.
    Raises NotRegular for a shape that no expression can read.
    """
    compiler = Compiler(layout, [], whole=shape)
    part = compiler.part(shape, layout.order)
    pattern = f"{compiler.space}{part.pattern}{compiler.space}"
    compiler.constants["match"] = re.compile(pattern.replace(_CAPTURE, "(")).fullmatch
    lines = ["m = match(text)", "if m is None: return MISS"]
    lines += compiler.unpacking()
    if part.conditions:
        lines.append(f"if not ({' and '.join(part.conditions)}): return MISS")
    return compiler.function("text", [*lines, *part.result])


class Compiler:
    """Writes the expressions of shapes, and the source of the functions that read their groups."""

    def __init__(self, layout: Layout, inside: list[Record], whole: Shape | None = None) -> None:
        self.layout = layout
        self.space = _WS if layout.spaced else ""
        self.constants: dict[str, Any] = {"MISS": MISS, "unescape": unescape}
        self._groups = 0
        self._inside = inside
        self._whole = whole

    def unpacking(self) -> list[str]:
        names = "".join(f"g{number}, " for number in range(self._groups))
        return [f"{names}= m.groups()"] if names else []

    def function(self, parameters: str, lines: list[str]) -> Callable[..., Any]:
        # The source holds names, numbers and bounds that are spelled here, never a part of a
        # document and no text of a class.
        exec("\n    ".join([f"def read({parameters}):", *lines]), self.constants)  # noqa: S102
        read: Callable[..., Any] = self.constants["read"]
        return read

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def group(self) -> str:
        self._groups += 1
        return f"g{self._groups - 1}"

    def part(self, shape: Shape, order: Any, constraints: tuple[Constraint, ...] = ()) -> _Part:
        match shape:
            case Constrained():
                return self.part(shape.inner, order, shape.constraints)
            case Scalar(kind="string"):
                return self._string(constraints)
            case Scalar(kind="integer" | "number"):
                part = self._number(shape, constraints)
            case Scalar(kind="boolean"):
                part = _Part(f"{_CAPTURE}true|false)", f"({self.group()} == 'true')")
            case Scalar(kind="null"):
                part = _Part("null", "None")
            case Choice():
                tokens = {_token(written): meant for written, meant in shape.rows}
                # Longest first: 1 is found where 12 stands.
                pattern = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
                part = _Part(f"{_CAPTURE}{pattern})", f"{self.constant(tokens)}[{self.group()}]")
            case Text():
                part = self._text(shape)
            case Union():
                part = self._optional(shape, order)
            case Sequence():
                part = self._sequence(shape, order, constraints)
            case Fixed():
                part = self._fixed(shape, order)
            case Dictionary():
                part = self._dictionary(shape, order, constraints)
            case Record():
                part = self._record(shape, order)
            case _:
                raise NotRegular
        if constraints:
            name = f"x{len(self.constants)}"
            self.constants[name] = None  # keeps the name for this part
            tests = [test for c in constraints for test in self._tests(c, name)]
            # The first test names the value where it first speaks of it.
            tests[0] = tests[0].replace(name, f"({name} := {part.code})", 1)
            part.conditions += tests
            part.code = name
        return part

    def _tests(self, constraint: Constraint, name: str, *, embedded: bool = False) -> list[str]:
        """Give conditions that say what a constraint says, but for a pattern that is embedded."""
        comparisons = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
        sizes = {"min_length": ">=", "max_length": "<="}
        if constraint.of_text and not embedded:
            lately, matches = map(self.constant, remembering(constraint.holds))
            return [f"({name} in {lately} or {matches}({name}))"]
        tests: list[str] = []
        bounds = {key: getattr(constraint, key) for key in (*comparisons, *sizes)}
        if not all(bound is None or type(bound) is int for bound in bounds.values()):
            return [f"{self.constant(constraint.holds)}({name})"]
        if bounds["ge"] is not None and bounds["le"] is not None:
            tests.append(f"{bounds.pop('ge')} <= {name} <= {bounds.pop('le')}")
        for key, bound in bounds.items():
            if bound is not None:
                subject = name if key in comparisons else f"len({name})"
                tests.append(f"{subject} {comparisons.get(key) or sizes[key]} {bound}")
        if constraint.multiple_of is not None or not (tests or constraint.of_text):
            tests.append(f"{self.constant(constraint.holds)}({name})")
        return tests

    def _string(self, constraints: tuple[Constraint, ...]) -> _Part:
        name = group = self.group()
        pattern = _ESCAPED if self.layout.escaped else _PLAIN
        conditions: list[str] = []
        if self.layout.escaped:
            name = group.replace("g", "s")
            code = rf"{group} if '\\' not in {group} else unescape({group})"
            conditions.append(f"({name} := {code}) is not None")
        for constraint in constraints:
            embedded = None
            if constraint.pattern is not None and pattern is _PLAIN:
                embedded = embed(constraint.pattern)
                pattern = embedded or pattern
            conditions += self._tests(constraint, name, embedded=embedded is not None)
        return _Part(f'"{_CAPTURE}{pattern})"', name, conditions)

    def _number(self, shape: Scalar, constraints: tuple[Constraint, ...]) -> _Part:
        if shape.kind == "integer" and any(c.ge == 1 for c in constraints):
            return _Part(f"{_CAPTURE}{_POSITIVE})", f"int({self.group()})")
        if shape.kind == "integer":
            return _Part(f"{_CAPTURE}{_INTEGER})", f"int({self.group()})")
        return _Part(f"{_CAPTURE}{_NUMBER})", f"float({self.group()})")

    def _text(self, shape: Text) -> _Part:
        group = self.group()
        name = group.replace("g", "t")
        reader = self.constant(READERS[shape.format][1])
        return _Part(f'"{_CAPTURE}{_PLAIN})"', name, [f"({name} := {reader}({group})) is not None"])

    def _optional(self, shape: Union, order: Any) -> _Part:
        members = [member for member in shape.members if member != Scalar("null")]
        if len(members) != 1 or len(shape.members) != 2:
            raise NotRegular
        marker = self.group()
        part = self.part(members[0], order).unless(f"{marker} is None", "None")
        part.pattern = f"(?:null|{_CAPTURE}){part.pattern})"
        return part

    def _record(self, shape: Record, order: Any) -> _Part:
        # Only a constructor that dataclasses wrote has the defaults that the fields have.
        knows_defaults = not shape.is_dict and shape.generated_init
        if shape in self._inside or not (knows_defaults or all(i.required for i in shape.fields)):
            raise NotRegular
        self._inside.append(shape)
        orders = dict(order or ())
        arguments: dict[str, str] = {}
        conditions: list[str] = []
        members: list[tuple[str, bool]] = []
        for key in orders or record_order(shape):
            item = shape.by_json_name.get(key)
            if item is None:
                members.append((self._member(key, re.escape(quote(shape.tag_value))), True))
                continue
            part = self._field(item, orders.get(key))
            members.append((part.pattern, item.required))
            arguments[item.name] = part.code
            conditions += part.conditions
        self._inside.pop()
        ordered = [arguments[item.name] for item in shape.fields]
        pattern = self._members(members)
        if shape is self._whole:
            # The whole document: its construction needs no function of its own.
            statements = construction(shape, ordered, self.constants)
            return _Part(pattern, "", conditions, statements)
        construct = self.constant(constructor_of(shape))
        return _Part(pattern, f"{construct}({', '.join(ordered)})", conditions)

    def _field(self, item: Field, order: Any) -> _Part:
        if item.required:
            part = self.part(item.shape, order)
            part.pattern = self._member(item.json_name, part.pattern)
            return part
        marker = self.group()
        if item.default_factory is not None:
            default = f"{self.constant(item.default_factory)}()"
        else:
            default = self.constant(item.default)
        part = self.part(item.shape, order).unless(f"{marker} is None", default)
        part.pattern = f"{_CAPTURE}){self._member(item.json_name, part.pattern)}"
        return part

    def _member(self, key: str, pattern: str) -> str:
        return self.space.join(("", re.escape(quote(key)), ":", pattern, ""))

    def _members(self, members: list[tuple[str, bool]]) -> str:
        """Join members with commas; those that may be absent take theirs along."""
        any_required = any(required for _, required in members)
        # Before the first required member the comma stands behind, and only if more follows.
        end = "," if any_required else rf'(?:,(?={self.space}")|(?=\}}))'
        joined = ""
        required_before = False
        for pattern, required in members:
            if required:
                joined += f",{pattern}" if required_before else pattern
                required_before = True
            else:
                joined += f"(?:,{pattern}|)" if required_before else f"(?:{pattern}{end}|)"
        return rf"\{{{joined}{'' if any_required else self.space}\}}"

    def loop(
        self, shape: Shape, order: Any, key: Shape | None, most: int, end: str = ""
    ) -> tuple[str, str, list[str]]:
        """Return how to match items with commas between them, and how to read them.

        With the shape of a key, they are members of an object, read as pairs.

        Returns:
            The expression of one item and more, the Python expression for the value of the match
            `m` of one item, and the conditions on that match. `find` among the constants finds
            every item.
        """
        named = None if key is None else self.part(key, None)  # its groups come first
        part = self.part(shape, order)
        if named is not None:
            part.code = f"({named.code}, {part.code})"
            part.pattern = self.space.join((named.pattern, ":", part.pattern))
            part.conditions = named.conditions + part.conditions
        self.constants["find"] = re.compile(part.pattern.replace(_CAPTURE, "(")).finditer
        item = f"{self.space}{part.pattern.replace(_CAPTURE, '(?:')}{self.space}{end}"
        return f"{item}(?>(?:,{item}){{0,{most}}})", part.code, part.conditions

    def at_once(
        self, item: Shape, key: Shape | None, code: str, conditions: list[str]
    ) -> str | None:
        """Return the Python expression for all items of a run, if they need no loop of ours.

        The run is `text[start:end]`. If `many` is among the constants, the value is None where an
        item is refused.
        """
        if not conditions and code in ("int(g0)", "float(g0)"):
            # Both functions ignore the white space around a number.
            return f"list(map({code[:-4]}, text[start:end].split(',')))"
        if not conditions and code == "g0" and not self.layout.spaced:
            # A plain string holds no quote, so this occurs only between two strings.
            return """text[start + 1:end - 1].split('","')"""
        if not is_string(item) or not (key is None or is_string(key)):
            return None
        self.constants["find_all"] = self.constants["find"].__self__.findall
        if not conditions:
            return "find_all(text, start, end)"
        escaped = self.layout.escaped
        self.constants["many"] = (
            reader_of_strings(item, escaped=escaped)
            if key is None
            else reader_of_pairs(key, item, escaped=escaped)
        )
        return "many(find_all(text, start, end))"

    def _items(
        self,
        shape: Shape,
        order: Any,
        constraints: tuple[Constraint, ...],
        key: Shape | None = None,
    ) -> tuple[str, str]:
        """Return the expression of items, or of none, and the name of the code that reads them."""
        inner = Compiler(self.layout, self._inside)
        # Too many items end the match at once, before any of them is read.
        bounds = [c.max_length - 1 for c in constraints if type(c.max_length) is int]
        most = max(0, min([MOST, *bounds]))
        pattern, code, conditions = inner.loop(shape, order, key, most)
        at_once = inner.at_once(shape, key, code, conditions)
        if at_once is not None:
            lines = ["start, end = 1, len(text) - 1"]
            lines += ["if start == end or text[start:end].isspace(): return []"]
            lines += [f"return {at_once}"]
            return f"(?:{pattern}|{self.space})", self.constant(inner.function("text", lines))
        lines = ["items = []", "for m in find(text, 1, len(text) - 1):"]
        lines += [f"    {line}" for line in inner.unpacking()]
        if conditions:
            lines.append(f"    if not ({' and '.join(conditions)}): return None")
        lines += [f"    items.append({code})", "return items"]
        return f"(?:{pattern}|{self.space})", self.constant(inner.function("text", lines))

    def _sequence(self, shape: Sequence, order: Any, constraints: tuple[Constraint, ...]) -> _Part:
        items, read = self._items(shape.item, order, constraints)
        group = self.group()
        listed = group.replace("g", "l")
        part = _Part(
            rf"{_CAPTURE}\[{items}\])", listed, [f"({listed} := {read}({group})) is not None"]
        )
        if shape.build is tuple:
            part.code = f"tuple({listed})"
        elif shape.build is not list:
            part.code = group.replace("g", "b")
            made = f"{self.constant(build_set)}({self.constant(shape.build)}, {listed})"
            part.conditions.append(f"({part.code} := {made}) is not None")
        return part

    def _fixed(self, shape: Fixed, order: Any) -> _Part:
        orders = order or (None,) * len(shape.items)
        if len(orders) != len(shape.items):
            raise NotRegular
        parts = [self.part(item, one) for item, one in zip(shape.items, orders, strict=True)]
        inside = ",".join(f"{self.space}{part.pattern}{self.space}" for part in parts)
        code = f"({''.join(f'{part.code}, ' for part in parts)})"
        conditions = [condition for part in parts for condition in part.conditions]
        return _Part(rf"\[{inside or self.space}\]", code, conditions)

    def _dictionary(
        self, shape: Dictionary, order: Any, constraints: tuple[Constraint, ...]
    ) -> _Part:
        if not is_string(shape.key):
            raise NotRegular
        members, read = self._items(shape.value, order, constraints, shape.key)
        group = self.group()
        pairs, code = group.replace("g", "p"), group.replace("g", "d")
        conditions = [
            f"({pairs} := {read}({group})) is not None",
            f"len({code} := dict({pairs})) == len({pairs}) <= {DEFAULT_LIMITS.max_keys}",
        ]
        return _Part(rf"{_CAPTURE}\{{{members}\}})", code, conditions)


def _token(value: Any) -> str:
    if type(value) is str:
        return quote(value)
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) is int and abs(value) < 10**18:
        return str(value)
    raise NotRegular

"""Compiles a shape and a layout into a regular expression and the code that reads its groups.

Runs of characters are possessive, loops are atomic, and alternatives begin differently, so a near
miss costs at most one pass over the document. Groups are never repeated possessively: CPython
before 3.11.5 does not return to where a failed attempt began (gh-100061, gh-106052). The expression
may reject a valid document, which the general path then decodes. But every document that it accepts
is valid and complete: numbers are bounded, strings have no forbidden characters, and no field
occurs twice.
"""

import re
from collections.abc import Callable
from typing import Any

from kakuri_json._decode.compile_scalars import (
    CAPTURE,
    MAX_REPEATS,
    NotRegular,
    Part,
    ScalarCompiler,
)
from kakuri_json._decode.construction import build_set, construction, constructor_of
from kakuri_json._decode.layouts import Layout, record_order
from kakuri_json._decode.string_batches import reader_of_pairs, reader_of_strings
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._syntax.scanning import LATIN_FIRST, PLAIN
from kakuri_json._syntax.strings import quote
from kakuri_json._types.shapes import (
    Constrained,
    Constraint,
    Field,
    FixedTuple,
    Mapping,
    Record,
    Scalar,
    Sequence,
    Shape,
    Union,
    is_string,
)

_MAX_PATTERN = 100_000
"""Maximum length of a record's regular expression, in characters. The expression of a nested class
is repeated for each field of that class."""
_MANY_STRINGS = 8
"""Number of strings above which an expression uses `LATIN_FIRST`. It compiles faster, but matches
other characters than Latin-1 more slowly; compiling blocks the event loop."""
NO_MATCH = object()
"""The result of a decoder for a document that its expression does not accept."""


def compile_decoder(shape: Shape, layout: Layout) -> Callable[[str], Any]:
    """Return a function that decodes documents of a shape in one layout, or returns NO_MATCH.

    The function may raise ValueError, and the general path then reports the error.

    Raises:
        NotRegular: No expression can read the shape.
    """
    compiler = Compiler(layout, [], whole=shape)
    part = compiler.part(shape, layout.order)
    pattern = f"{compiler.space}{part.pattern}{compiler.space}"
    compiler.constants["NO_MATCH"] = NO_MATCH
    compiler.constants["match"] = compile_pattern(pattern).fullmatch
    lines = ["m = match(text)", "if m is None: return NO_MATCH"]
    lines += compiler.minimal_reading(part.minimal or part)
    lines += compiler.unpacking()
    if part.conditions:
        lines.append(f"if not ({' and '.join(part.conditions)}): return NO_MATCH")
    return compiler.function("text", [*lines, *part.result])


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the regular expression of a part, choosing the classes of its strings."""
    if pattern.count(PLAIN) > _MANY_STRINGS:
        pattern = pattern.replace(PLAIN, LATIN_FIRST)
    return re.compile(pattern.replace(CAPTURE, "("))


class Compiler(ScalarCompiler):
    """Generates the expressions of all shapes, and the source of the functions that read them."""

    def __init__(self, layout: Layout, inside: list[Record], whole: Shape | None = None) -> None:
        super().__init__(layout)
        self.space = r"[ \t\n\r]*+" if layout.spaced else ""
        self._inside = inside
        self._whole = whole

    def part(self, shape: Shape, order: Any, constraints: tuple[Constraint, ...] = ()) -> Part:
        """Return the part for a shape.

        Args:
            shape: The shape.
            order: The order of its keys (see `layouts.Order`).
            constraints: The constraints on its value.

        Raises:
            NotRegular: No expression can read the shape.
        """
        match shape:
            case Constrained():
                return self.part(shape.inner, order, shape.constraints)
            case Union():
                part = self._optional(shape, order)
            case Sequence():
                part = self._sequence(shape, order, constraints)
            case FixedTuple():
                part = self._fixed(shape, order)
            case Mapping():
                part = self._dictionary(shape, order, constraints)
            case Record():
                part = self._record(shape, order)
            case _:
                return self.scalar(shape, constraints)
        self.constrain(part, constraints)
        return part

    def _optional(self, shape: Union, order: Any) -> Part:
        members = [member for member in shape.members if member != Scalar("null")]
        if len(members) != 1 or len(shape.members) != 2:
            raise NotRegular
        marker = self.group()
        part = self.part(members[0], order).unless(f"{marker} is None", "None")
        part.pattern = f"(?:null|{CAPTURE}){part.pattern})"
        return part

    def _record(self, shape: Record, order: Any) -> Part:
        # Only a generated constructor has the defaults of the fields.
        knows_defaults = not shape.is_dict and shape.generated_init
        if shape in self._inside or not (knows_defaults or all(i.required for i in shape.fields)):
            raise NotRegular
        self._inside.append(shape)
        orders = dict(order or ())
        arguments: dict[str, str] = {}
        minimal_arguments: dict[str, str] = {}
        conditions: list[str] = []
        minimal_conditions: list[str] = []
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
            minimal = part.minimal or part
            minimal_arguments[item.name] = minimal.code
            minimal_conditions += minimal.conditions
        self._inside.pop()
        ordered = [arguments[item.name] for item in shape.fields]
        minimal_ordered = [minimal_arguments[item.name] for item in shape.fields]
        pattern = self._members(members)
        if len(pattern) > _MAX_PATTERN:
            raise NotRegular
        if shape is self._whole:
            # Construct the value of the whole document without a function call.
            statements = construction(shape, ordered, self.constants)
            minimal_statements = construction(shape, minimal_ordered, self.constants)
            minimal = Part("", "", minimal_conditions, minimal_statements)
            return Part(pattern, "", conditions, statements, minimal)
        construct = self.constant(constructor_of(shape))
        minimal = Part("", f"{construct}({', '.join(minimal_ordered)})", minimal_conditions)
        return Part(pattern, f"{construct}({', '.join(ordered)})", conditions, minimal=minimal)

    def _field(self, item: Field, order: Any) -> Part:
        if item.required:
            part = self.part(item.shape, order)
            part.pattern = self._member(item.json_name, part.pattern)
            return part
        self._optional_depth += 1
        marker = self.group()
        if item.default_factory is not None:
            default = f"{self.constant(item.default_factory)}()"
        else:
            default = self.constant(item.default)
        part = self.part(item.shape, order).unless(f"{marker} is None", default)
        self._optional_depth -= 1
        part.pattern = f"{CAPTURE}){self._member(item.json_name, part.pattern)}"
        part.minimal = Part("", default)
        return part

    def _member(self, key: str, pattern: str) -> str:
        return self.space.join(("", re.escape(quote(key)), ":", pattern, ""))

    def _members(self, members: list[tuple[str, bool]]) -> str:
        """Join members with commas; a member that may be absent includes its comma."""
        any_required = any(required for _, required in members)
        # Before the first required member, the comma follows a member if another one follows.
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
        self, shape: Shape, order: Any, key: Shape | None, max_repeats: int, end: str = ""
    ) -> tuple[str, str, list[str]]:
        """Return how to match and read items with commas between them.

        Given the shape of a key, they are members of an object, read as pairs.

        Returns:
            The expression of one or more items, the Python expression for the value of one item
            from its match `m`, and the conditions on that match. The constant `find` finds every
            item.
        """
        named = None if key is None else self.part(key, None)  # its groups come first
        part = self.part(shape, order)
        if named is not None:
            part.code = f"({named.code}, {part.code})"
            part.pattern = self.space.join((named.pattern, ":", part.pattern))
            part.conditions = named.conditions + part.conditions
        self.constants["find"] = compile_pattern(part.pattern).finditer
        item = f"{self.space}{part.pattern.replace(CAPTURE, '(?:')}{self.space}{end}"
        return f"{item}(?>(?:,{item}){{0,{max_repeats}}})", part.code, part.conditions

    def at_once(
        self, item: Shape, key: Shape | None, code: str, conditions: list[str]
    ) -> str | None:
        """Return the Python expression for all items of a run, if that needs no loop in Python.

        The run is `text[start:end]`. If the constant `many` exists, the value is None if an item
        is rejected.
        """
        if not conditions and code in ("int(g0)", "float(g0)"):
            # Both functions ignore the white space around a number.
            return f"list(map({code[:-4]}, text[start:end].split(',')))"
        if not conditions and code == "g0" and not self.layout.spaced:
            # A plain string has no quote, so this occurs only between two strings.
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
        """Return the expression of zero or more items, and the name of the function for them."""
        inner = Compiler(self.layout, self._inside)
        # Too many items end the match before any of them is read.
        bounds = [c.max_length - 1 for c in constraints if type(c.max_length) is int]
        max_repeats = max(0, min([MAX_REPEATS, *bounds]))
        pattern, code, conditions = inner.loop(shape, order, key, max_repeats)
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

    def _sequence(self, shape: Sequence, order: Any, constraints: tuple[Constraint, ...]) -> Part:
        items, read = self._items(shape.item, order, constraints)
        group = self.group()
        listed = group.replace("g", "l")
        part = Part(
            rf"{CAPTURE}\[{items}\])", listed, [f"({listed} := {read}({group})) is not None"]
        )
        if shape.build is tuple:
            part.code = f"tuple({listed})"
        elif shape.build is not list:
            part.code = group.replace("g", "b")
            made = f"{self.constant(build_set)}({self.constant(shape.build)}, {listed})"
            part.conditions.append(f"({part.code} := {made}) is not None")
        return part

    def _fixed(self, shape: FixedTuple, order: Any) -> Part:
        orders = order or (None,) * len(shape.items)
        parts = [self.part(item, within) for item, within in zip(shape.items, orders, strict=True)]
        inside = ",".join(f"{self.space}{part.pattern}{self.space}" for part in parts)
        code = f"({''.join(f'{part.code}, ' for part in parts)})"
        conditions = [condition for part in parts for condition in part.conditions]
        return Part(rf"\[{inside or self.space}\]", code, conditions)

    def _dictionary(self, shape: Mapping, order: Any, constraints: tuple[Constraint, ...]) -> Part:
        if not is_string(shape.key):
            raise NotRegular
        members, read = self._items(shape.value, order, constraints, shape.key)
        group = self.group()
        pairs, code = group.replace("g", "p"), group.replace("g", "d")
        conditions = [
            f"({pairs} := {read}({group})) is not None",
            f"len({code} := dict({pairs})) == len({pairs}) <= {DEFAULT_LIMITS.max_keys}",
        ]
        return Part(rf"{CAPTURE}\{{{members}\}})", code, conditions)

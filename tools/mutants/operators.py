"""The changes that are tried: each replaces a few characters of a module's source."""

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "in": "not in", "not in": "in", "is": "is not", "is not": "is",
    "and": "or", "or": "and",
    "+": "-", "-": "+", "*": "//", "//": "*", "/": "*", "%": "//",
    "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&",
}  # fmt: skip
# Longest first, so that "not in" is not taken for "in", nor "<<" for "<".
_OPERATOR = re.compile(
    r"not\s+in\b|is\s+not\b|\b(?:in|is|and|or)\b|<<|>>|<=|>=|==|!=|//|\*\*|[-+*/%<>&|^@]"
)
_COMMENT = re.compile(rb"#[^\n]*")
_NOT_BEHAVIOUR = frozenset({"__repr__", "__str__", "__all__", "__slots__", "__version__"})

_VERSION_TEST = re.compile(r"sys\.version_info >= \((\d+), (\d+)\)")
_NOT_ACTS = re.compile(r"_?log\.\w+\(|assert_never\(")

_Test = ast.If | ast.While | ast.IfExp


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module.

    Attributes:
        start: Offset of the first byte that is replaced.
        end: Offset after the last one.
        text: What takes their place.
        lines: First and last line of the smallest statement, or head of one, around the change.
        function: Those of the function around it; of the statement if there is none.
        summary: The change in a few words.
    """

    start: int
    end: int
    text: str
    lines: tuple[int, int]
    function: tuple[int, int]
    summary: str

    def apply(self, source: bytes) -> bytes:
        """Return the module's source with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    @property
    def line(self) -> int:
        """Number of the line where the statement begins."""
        return self.lines[0]


def mutants(source: bytes) -> list[Mutant]:
    """Return every change that can be made to a module, in the order of its source.

    Annotations, decorators, assertions, log lines, `__repr__`, the texts of messages and code for
    other versions of Python are left alone.

    Raises:
        SyntaxError: The source is not a Python module.
    """
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found), key=lambda found: (found.start, found.end, found.text))


class _Finder(ast.NodeVisitor):
    """Collects the changes of a module."""

    def __init__(self, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines = (1, 1)
        self._function: tuple[int, int] | None = None

    # -- Which places are visited, and the statement around them --

    def generic_visit(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)

    def visit(self, node: ast.AST) -> None:
        around = self._lines
        if isinstance(node, ast.stmt | ast.comprehension):
            self._lines = _lines(node)
        super().visit(node)
        self._lines = around

    def visit_Assert(self, node: ast.Assert) -> None:
        """Leave assertions alone: they state what other code has established."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name in _NOT_BEHAVIOUR:
            return
        around = self._function
        self._function = node.body[0].lineno, node.end_lineno or node.lineno
        self.generic_visit(node)
        self._function = around

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 ast's name

    # -- Statements --

    def visit_Assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(each, ast.Name) and each.id in _NOT_BEHAVIOUR for each in targets):
            return
        is_bound_elsewhere = isinstance(node, ast.AugAssign) or all(
            isinstance(each, ast.Attribute | ast.Subscript) for each in targets
        )
        if is_bound_elsewhere and node.value is not None:
            self._replace(node, "pass", "statement removed")
        self.generic_visit(node)

    visit_AugAssign = visit_AnnAssign = visit_Assign  # noqa: N815 ast's names

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await) and not _NOT_ACTS.match(
            ast.unparse(node.value)
        ):
            self._replace(node, "pass", "statement removed")
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._replace(node, "pass", "statement removed")

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass", "raise removed")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        value = node.value
        # Where false is returned, None is the same to most callers.
        if value is not None and not (isinstance(value, ast.Constant) and not value.value):
            self._replace(node, "return None", "returns None")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._replace(node, "continue", "break → continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "break", "continue → break")

    def visit_If(self, node: _Test) -> None:
        """Leave code for other versions of Python alone: the tests of their sessions run it."""
        if version := _VERSION_TEST.fullmatch(ast.unparse(node.test)):
            is_this = sys.version_info >= tuple(map(int, version.groups()))
            for each in _list(node.body if is_this else node.orelse):
                self.visit(each)
            return
        self._negate(node.test)
        self.generic_visit(node)

    visit_While = visit_IfExp = visit_If  # noqa: N815 ast's names

    # -- Expressions --

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._negate(condition)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
            self._swap(left, right)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
                self._leave_out_each(right, right.elts, "(", ",)")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._swap(left, right)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(isinstance(side, ast.JoinedStr) for side in (node.left, node.right)):
            self._swap(node.left, node.right)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"({self._text(node.operand)})", "not removed")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._leave_out_each(node, node.elts, "{", "}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace(node, str(not value), f"{value} → {not value}")
        elif isinstance(value, int | float):
            self._replace(node, f"({value + 1!r})", f"{value!r} → {value + 1!r}")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave texts alone."""

    # -- Changes --

    def _negate(self, test: ast.expr) -> None:
        """Negate a condition, unless another change of it does the same.

        What is imported for annotations alone is left as it is, like the annotations.
        """
        if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING":
            return
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            self._replace(test, f"(not ({self._text(test)}))", "condition negated")

    def _swap(self, left: ast.expr, right: ast.expr) -> None:
        """Replace the operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        gap = _COMMENT.sub(lambda found: b" " * len(found.group()), self._source[start:end])
        found = _OPERATOR.search(gap.decode("latin-1"))
        if found is None:
            return
        old = " ".join(found.group().split())
        if new := _OPERATORS.get(old):
            self._add(start + found.start(), start + found.end(), new, f"{old} → {new}", left)

    def _leave_out_each(
        self, node: ast.expr, elements: list[ast.expr], opening: str, closing: str
    ) -> None:
        """Leave out one element of a set of constants at a time."""
        if len(elements) < 2 or not all(isinstance(each, ast.Constant) for each in elements):
            return
        texts = [self._text(each) for each in elements]
        for index, text in enumerate(texts):
            others = ", ".join(texts[:index] + texts[index + 1 :])
            self._replace(node, f"{opening}{others}{closing}", f"{text} left out")

    def _replace(self, node: ast.expr | ast.stmt, text: str, summary: str) -> None:
        self._add(*self._span(node), text, summary, node)

    def _add(
        self, start: int, end: int, text: str, summary: str, node: ast.expr | ast.stmt
    ) -> None:
        lines = self._lines if self._lines[0] <= node.lineno else _lines(node)
        self.found.append(Mutant(start, end, text, lines, self._function or lines, summary))

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset


def _list(branch: ast.expr | list[ast.stmt]) -> Sequence[ast.expr | ast.stmt]:
    return branch if isinstance(branch, list) else [branch]


def _lines(node: ast.AST) -> tuple[int, int]:
    """Return the lines of a statement; of one that holds others, those of its head."""
    if isinstance(node, ast.comprehension):
        return node.target.lineno, node.iter.end_lineno or node.iter.lineno
    assert isinstance(node, ast.expr | ast.stmt)
    last = node.end_lineno or node.lineno
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        last = max(node.lineno, body[0].lineno - 1)
    return node.lineno, last

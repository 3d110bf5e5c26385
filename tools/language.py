"""Check the English of docstrings, comments, messages, test names and Markdown.

The glossary in CONTRIBUTING.md says which expressions this project does not use, and which it uses
instead. This check finds them.

Usage: python -m tools.language
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.members import ROOT

SKIPPED = {"tools/language.py", "tests/tools/test_language.py"}
"""Files about the expressions themselves."""


@dataclass(frozen=True)
class Term:
    """An expression of the glossary: how it is found, and what stands in its place.

    Both expressions match whole words, in any case; what `exempt` matches is not searched.
    """

    name: str
    instead: str
    pattern: str
    exempt: str = r"(?!)"


TERMS = (
    Term("told", "reported, notified, published", r"told", r"told apart"),
    Term("words", "message", r"words", r"(?:reserved|whole|other|few) words|words of"),
    Term("nobody, somebody, whoever", "name who acts: callers, the peer, an operator",
         r"nobody|somebody|whoever|everybody"),
    Term("behind", "after", r"behind",
         r"(?:leav\w+|left|lag\w*)(?:\s+[^\s.]+){0,6}?\s+behind"
         r"|behind(?:\s+[\w.'’-]+){0,3}\s+(?:proxy|firewall|nat|gateway|balancer|back|scenes)"
         r"|behind nginx"),
    Term("is no", "is not a, is not valid", r"is no",
         r"(?:there|this) is no|is no (?:longer|more|less|\d+)"),
    Term("unless told", "by default", r"unless told"),
    Term("rests", "leftovers; better: which ones", r"rests", r"rests on"),
    Term("attend to", "reconcile, enqueue", r"attend(?:s|ed|ing)?(?: to)?"),
    Term("half-made", "partially created", r"half[- ]made"),
    Term("look at", "check, inspect, read", r"look(?:s|ed|ing)? at"),
    Term("what is left", "leftovers; better: which ones", r"what is left"),
    Term("go on", "continue", r"go(?:es|ing)? on"),
    Term("salvage", "recover", r"salvag(?:e|es|ed|ing)"),
    Term("hurried, patience", "urgent, batch delay", r"(?:un)?hurried|patience"),
    Term("unborn, untold, usurped", "unstarted, unconfirmed, superseded", r"unborn|untold|usurped"),
    Term("take note", "record, log", r"tak(?:e|es|en|ing) note"),
    Term("manners", "conventions", r"manners"),
    Term("folder", "directory", r"folders?"),
    Term("story, life, corpse, illness (crash tests)", "scenario, agent run, disk snapshot, fault",
         r"crash (?:story|stories)|corpse|illness"),
)  # fmt: skip


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


_PATTERNS = [(term, _whole(term.pattern), _whole(term.exempt)) for term in TERMS]

GIVE = Term("Give, Tell, Say, Let at the start of a docstring", "Return, Report, Log, Allow",
            r"(?:Give|Tell|Say|Let|Have|Take(?! over))")  # fmt: skip
_GIVE = re.compile(rf"\s*{GIVE.pattern}\b")

BLANK_END = Term("a blank line at the end of a docstring", "the closing quotes on the next line",
                 r"\n[ \t]*\n[ \t]*\Z")  # fmt: skip
_BLANK_END = re.compile(BLANK_END.pattern)

_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(
    r"``.*?``|`[^`]*`|\"[^\"\n]*\"|“[^”\n]*”|(?<!\w)'[^'\s]+'(?!\w)|(?<=\])\([^)\s]*\)|<!--.*?-->",
    re.DOTALL,
)
_RULE = re.compile(r"^https?://\S+", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """One occurrence of a term."""

    path: str
    line: int
    term: Term
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}: write instead {self.term.instead}"


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def in_prose(text: str) -> Iterator[tuple[int, Term, str]]:
    """Yield the line, the term and the text of each occurrence in prose.

    Code and quotations are skipped: they show what others write.
    """
    plain = _QUOTED.sub(_blank, text)
    for term, pattern, exempt in _PATTERNS:
        for match in pattern.finditer(exempt.sub(_blank, plain)):
            yield plain.count("\n", 0, match.start()), term, match[0]


def in_markdown(text: str) -> Iterator[tuple[int, Term, str]]:
    """Yield each occurrence in a page, fenced code left out."""
    for line, term, found in in_prose(_RULE.sub(_blank, _FENCE.sub(_blank, text))):
        yield line + 1, term, found


def in_python(text: str) -> Iterator[tuple[int, Term, str]]:
    """Yield each occurrence in a module's comments, function names and strings with a space."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for _, term, found in in_prose(token.string):
                yield token.start[0], term, found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _in_function(node)
        elif isinstance(node, ast.Expr) and _BLANK_END.search(_text(node.value)):
            yield node.end_lineno or node.lineno, BLANK_END, '"""'
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for line, term, found in in_prose(node.value):
                yield node.lineno + line, term, found


def _in_function(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[tuple[int, Term, str]]:
    if match := _GIVE.match(ast.get_docstring(node) or ""):
        yield node.lineno + 1, GIVE, match[0].strip()
    if node.name.startswith("test_"):
        for _, term, found in in_prose(node.name.replace("_", " ")):
            yield node.lineno, term, found


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def findings(root: Path = ROOT) -> list[Finding]:
    """Return every occurrence in the files of the repository that git knows or would add."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md", "*.py"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found = []
    for name in sorted(set(listed.stdout.splitlines())):
        path = root / name
        if name in SKIPPED or not path.exists():  # removed, and not committed yet
            continue
        read: Callable[[str], Iterator[tuple[int, Term, str]]]
        read = in_markdown if path.suffix == ".md" else in_python
        found += [Finding(name, *each) for each in read(path.read_text(encoding="utf-8"))]
    return found


def main() -> None:
    """Check the repository."""
    if found := findings():
        page = "CONTRIBUTING.md has the glossary; code and quotations in quotes are not checked."
        raise SystemExit("\n".join([*map(str, found), page]))
    print("no expression of the glossary")


if __name__ == "__main__":
    main()

"""Draw which distribution imports which, from the imports in their sources.

Usage: python -m tools.imports [--write]

Without --write, it fails if the diagram in docs/architecture.md is out of date.
"""

import ast
import re
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

from tools.members import BY_NAME, MEMBERS, ROOT, Member

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tools/imports.py writes this: -->\n", "<!-- up to here -->\n"

Graph = dict[str, set[str]]
"""The targets of each node's edges."""


def modules_of(source: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield every Python file below a directory with the modules that it imports."""
    for path in sorted(source.rglob("*.py")):
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(), path)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        yield path, found


def imported_members(member: Member) -> set[str]:
    """Return the names of the other members that a member's package imports."""
    names = {each.import_name: each.name for each in MEMBERS}
    tops = {
        module.partition(".")[0]
        for _, modules in modules_of(member.directory / "src")
        for module in modules
    }
    return {names[top] for top in tops if top in names} - {member.name}


def module_graph(member: Member) -> Graph:
    """Return the graph of imports between the modules of a member.

    Imports for type checkers and within functions count as well. `from package import module`
    imports the module, and not what the package defines.
    """
    source = member.directory / "src"
    imports = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): found
        for path, found in modules_of(source)
    }
    return {
        name: {
            target
            for target in (found & imports.keys()) - {name}
            if _defines_any(target, found, imports.keys())
        }
        for name, found in imports.items()
    }


def _defines_any(package: str, found: set[str], names: AbstractSet[str]) -> bool:
    """Return whether any name imported from a package is anything other than its modules."""
    below = {name for name in found if name.rpartition(".")[0] == package}
    return not below or not below <= names


def cycles(edges: Graph) -> list[set[str]]:
    """Return each set of two or more nodes that reach one another."""
    found: list[set[str]] = []
    for name in edges:
        cycle = {other for other in reachable(edges, name) if name in reachable(edges, other)}
        if cycle and cycle not in found:
            found.append(cycle)
    return found


@cache
def graph() -> Graph:
    """Return the graph of imports between members."""
    return {member.name: imported_members(member) for member in MEMBERS}


def reachable(edges: Graph, start: str) -> set[str]:
    """Return every node that can be reached from a node."""
    found: set[str] = set()
    waiting = set(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= edges[name]
    return found


def reduced(edges: Graph) -> Graph:
    """Return the graph without the edges that others imply."""
    return {
        name: {
            target
            for target in targets
            if not any(target in reachable(edges, other) for other in targets - {target})
        }
        for name, targets in edges.items()
    }


def diagram(edges: Graph) -> str:
    """Return a Mermaid graph with an arrow from each member to those that it imports."""
    lines = ["```mermaid", "graph BT"]
    for name in sorted(edges):
        lines.append(f"    {_short(name)}[{name}]")
        lines += [f"    {_short(name)} --> {_short(target)}" for target in sorted(edges[name])]
    return "\n".join([*lines, "```", ""])


def with_diagram(text: str, drawn: str) -> str:
    """Return a page with the diagram between its markers."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: f"{BEGIN}\n{drawn}\n{END}", text, count=1, flags=re.DOTALL)


def _short(name: str) -> str:
    return name.removeprefix("kakuri-").replace("-", "_")


def main() -> None:
    """Write the diagram into the page, or fail if the page has another one."""
    text = PAGE.read_text()
    expected = with_diagram(text, diagram(reduced(graph())))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(expected)
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    elif text != expected:
        raise SystemExit(f"{PAGE.relative_to(ROOT)}: run python -m tools.imports --write")
    else:
        print(f"the diagram of {len(BY_NAME)} members is up to date")


if __name__ == "__main__":
    main()

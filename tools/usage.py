"""How users call the members: the examples of their READMEs, and their typing_usage.py files."""

import re
from collections.abc import Iterator
from pathlib import Path

from tools.members import MEMBERS, Member

_EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples_of(member: Member) -> list[str]:
    """Return the Python examples of a member's README."""
    return _EXAMPLE.findall((member.directory / "README.md").read_text())


def usage_of(member: Member) -> Path:
    """Return the file with calls whose types mypy and pyright check; not every member has one."""
    return member.directory / "tests" / "typing_usage.py"


def write_usage(directory: Path) -> list[Path]:
    """Write examples and usage files into a directory, each as a module with its own name."""
    files = []
    for member in MEMBERS:
        for name, text in _texts_of(member):
            file = directory / f"{member.import_name}_{name}.py"
            file.write_text(text)
            files.append(file)
    return files


def _texts_of(member: Member) -> Iterator[tuple[str, str]]:
    for number, example in enumerate(examples_of(member)):
        yield f"readme_{number}", example
    if usage_of(member).exists():
        yield "typing_usage", usage_of(member).read_text()

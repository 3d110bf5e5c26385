"""The members of this repository: distributions that build, install and version alone."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Member:
    """One distribution and the directory that holds it."""

    name: str
    directory: Path

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The member's whole pyproject.toml."""
        return tomllib.loads((self.directory / "pyproject.toml").read_text())

    @property
    def import_name(self) -> str:
        """The package that the distribution installs."""
        return self.name.replace("-", "_")

    @property
    def requirements(self) -> list[str]:
        """What the distribution requires at run time, its extras left out."""
        dependencies: list[str] = self.metadata["project"].get("dependencies", [])
        return dependencies

    def group(self, name: str) -> list[str]:
        """What the member's dependency group asks for; nothing if it has no such group."""
        groups: dict[str, list[str]] = self.metadata.get("dependency-groups", {})
        return groups.get(name, [])

    @property
    def siblings(self) -> set[str]:
        """The names of the members that this one requires directly."""
        return {name for name in map(distribution_name, self.requirements) if name in BY_NAME}

    @property
    def has_conformance(self) -> bool:
        """Whether the member has tests that read public suites."""
        return (self.directory / "tests" / "conformance").is_dir()

    def closure(self) -> list["Member"]:
        """Return this member and every member that it needs, directly or not, in name order."""
        found: set[str] = set()
        waiting = {self.name}
        while waiting:
            name = waiting.pop()
            found.add(name)
            waiting |= BY_NAME[name].siblings - found
        return [BY_NAME[name] for name in sorted(found)]


def distribution_name(requirement: str) -> str:
    """Return the distribution that a requirement names, without version, extra or marker."""
    match = re.match(r"[A-Za-z0-9][-._A-Za-z0-9]*", requirement)
    if match is None:
        message = f"expected a requirement, got {requirement!r}"
        raise ValueError(message)
    return match.group().lower()


def third_party(members: Iterable[Member]) -> list[str]:
    """Return the run-time requirements of members that no member fulfils."""
    return sorted(
        {
            requirement
            for member in members
            for requirement in member.requirements
            if distribution_name(requirement) not in BY_NAME
        }
    )


def _discover() -> list[Member]:
    found = [
        Member(tomllib.loads(path.read_text())["project"]["name"], path.parent)
        for pattern in ("packages/*/pyproject.toml", "services/*/pyproject.toml")
        for path in ROOT.glob(pattern)
    ]
    return sorted(found, key=lambda member: member.name)


MEMBERS = _discover()
BY_NAME = {member.name: member for member in MEMBERS}

"""Check the packaging metadata of every member against what the root's pyproject.toml states once.

Hatch cannot inherit metadata, so each member repeats it and this check finds what differs.

Usage: python -m tools.metadata [--write]

`--write` copies `[tool.kakuri.urls]` of the root into every member.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from tools import changelog
from tools.docs import relative_links
from tools.members import BY_NAME, MEMBERS, ROOT, Member

COMMON: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["kakuri"]
MAX_DESCRIPTION = 100
"""Characters of a description: the width of one line of an index's search results."""
_URLS = re.compile(r"\n\[project\.urls\]\n.*?(?=\n\[|\Z)", re.DOTALL)
_RANGE = re.compile(r">=(\d+)\.(\d+),<(\d+)\.(\d+)")


def version_of(member: Member) -> str:
    """Return the version that a member's _version.py states."""
    path = member.directory / "src" / member.import_name / "_version.py"
    match = re.search(r'^__version__ = "(.+)"$', path.read_text(), re.MULTILINE)
    if match is None:
        message = f'{path}: expected a line __version__ = "X.Y.Z", got none'
        raise ValueError(message)
    return match[1]


def accepts(requirement: str, version: str) -> bool:
    """Return whether a requirement of the form NAME>=0.Y,<0.(Y+1) accepts a version."""
    match = _RANGE.search(requirement)
    if match is None:
        return False
    low, high = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    major, minor = version.split(".")[:2]
    return low <= (int(major), int(minor)) < high


def range_for(version: str) -> str:
    """Return the range in which members require a sibling of this version.

    Before 1.0 a minor version may break its dependents, afterwards only a major one.
    """
    major, minor = map(int, version.split(".")[:2])
    return f">={major}.{minor},<{f'{major}.{minor + 1}' if major == 0 else f'{major + 1}.0'}"


def faults_of(member: Member) -> list[str]:
    """Return what is wrong with a member's metadata, one line for each fault."""
    project = member.metadata["project"]
    return [
        f"{member.directory.relative_to(ROOT)}: {fault}"
        for fault in [
            *_common_faults(member, project),
            *_own_faults(project),
            *_sibling_faults(member),
            *changelog.faults(member.name, (member.directory / "CHANGELOG.md").read_text()),
            *_readme_faults((member.directory / "README.md").read_text()),
        ]
    ]


def _readme_faults(text: str) -> list[str]:
    """Return what is wrong with a README, which is also the project's page on an index."""
    found = [
        f"expected no relative link in the README, the page on an index, got {link}"
        for link in relative_links(text)
    ]
    found += [
        f"expected {part!r} in the README"
        for part in ("\n## Install\n", "\n```python\n")
        if part not in text
    ]
    return found


def _common_faults(member: Member, project: dict[str, Any]) -> list[str]:
    found = [
        f"expected {key} = {value!r}, got {project.get(key)!r}"
        for key, value in {**COMMON["project"], "urls": COMMON["urls"]}.items()
        if project.get(key, {}) != value
    ]
    classifiers = project.get("classifiers", [])
    found += [
        f"expected the classifier {classifier!r}"
        for classifier in COMMON["classifiers"]
        if classifier not in classifiers
    ]
    hatch = member.metadata["tool"]["hatch"]
    package = f"src/{member.import_name}"
    if hatch["version"] != {"path": f"{package}/_version.py"}:
        found.append(f"expected the version from {package}/_version.py, got {hatch['version']}")
    if not (member.directory / package / "py.typed").exists():
        found.append(f"expected {package}/py.typed, which 'Typing :: Typed' promises")
    if (member.directory / "LICENSE").read_bytes() != (ROOT / "LICENSE").read_bytes():
        found.append("expected the LICENSE of the root")
    return found


def _own_faults(project: dict[str, Any]) -> list[str]:
    found = []
    description = project.get("description", "")
    if not 0 < len(description) <= MAX_DESCRIPTION or description.endswith("."):
        found.append(
            f"expected a description of at most {MAX_DESCRIPTION} characters without a full stop, "
            f"got {description!r}"
        )
    classifiers, keywords = project.get("classifiers", []), project.get("keywords", [])
    for prefix in ("Topic :: ", "Operating System :: "):
        if not any(classifier.startswith(prefix) for classifier in classifiers):
            found.append(f"expected a classifier that begins with {prefix!r}")
    if not keywords:
        found.append("expected keywords")
    for key, values in (("classifiers", classifiers), ("keywords", keywords)):
        if values != sorted(set(values)):
            found.append(f"expected {key} in alphabetical order, each once")
    return found


def _sibling_faults(member: Member) -> list[str]:
    found = []
    for name in sorted(member.siblings):
        expected = name + range_for(version_of(BY_NAME[name]))
        if expected not in member.requirements:
            found.append(f"expected the requirement {expected!r}")
    return found


def with_urls(text: str, urls: dict[str, str]) -> str:
    """Return a member's pyproject.toml with these URLs and no others."""
    text = _URLS.sub("", text)
    if not urls:
        return text
    table = "\n[project.urls]\n" + "".join(f'{key} = "{url}"\n' for key, url in urls.items())
    return text.replace("\n[tool.hatch.version]\n", f"{table}\n[tool.hatch.version]\n", 1)


def write_urls(pages: list[Path]) -> None:
    """Copy the URLs of the root into these files."""
    for page in pages:
        page.write_text(with_urls(page.read_text(), COMMON["urls"]))


def main() -> None:
    """Check every member; with `--write`, copy the URLs first."""
    if sys.argv[1:] == ["--write"]:
        write_urls([member.directory / "pyproject.toml" for member in MEMBERS])
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    found = [fault for member in MEMBERS for fault in faults_of(member)]
    if found:
        raise SystemExit("\n".join(found))
    print(f"{len(MEMBERS)} members have the common metadata")


if __name__ == "__main__":
    main()

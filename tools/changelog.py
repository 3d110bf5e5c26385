"""Read and release the changelogs of members, in the form of Keep a Changelog.

A changelog has the section `## Unreleased`, then one section for each version, the newest first.
Each holds categories (`### Added`) with one list item for each change. The form is that of
https://keepachangelog.com/en/1.1.0/.
"""

import re
from datetime import date

CATEGORIES = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "## Unreleased"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_CATEGORY = re.compile(r"^### (.+)$", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d")


def sections(text: str) -> dict[str, str]:
    """Return the body of each section by its heading, in the order of the file."""
    parts = _SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def released(text: str) -> list[str]:
    """Return the versions that were released, the newest first."""
    return [heading.split(" - ")[0] for heading in sections(text) if heading != "Unreleased"]


def faults(name: str, text: str) -> list[str]:
    """Return what is wrong with the changelog of a member, one line for each fault."""
    found = []
    if not text.startswith(f"# Changelog of {name}\n"):
        found.append(f"expected the title '# Changelog of {name}'")
    headings = _SECTION.findall(text)
    if headings.count("Unreleased") != 1 or headings[0] != "Unreleased":
        found.append(f"expected '{UNRELEASED}' once, as the first section")
    found += [
        f"expected '## X.Y.Z - YYYY-MM-DD', got '## {heading}'"
        for heading in headings
        if heading != "Unreleased" and not _VERSION.fullmatch(heading)
    ]
    for heading, body in sections(text).items():
        if body.strip() and not body.lstrip().startswith("### "):
            found.append(f"expected changes of '{heading}' under a category such as '### Added'")
        found += [
            f"expected one of {', '.join(CATEGORIES)}, got '### {category}'"
            for category in _CATEGORY.findall(body)
            if category not in CATEGORIES
        ]
        found += [
            f"expected only '### Added' before the first release, got '### {category}'"
            for category in _CATEGORY.findall(body)
            if category in CATEGORIES[1:] and not released(text)
        ]
    return found


def has_unreleased_changes(text: str) -> bool:
    """Return whether the section `Unreleased` lists a change."""
    return re.search(r"^- ", sections(text).get("Unreleased", ""), re.MULTILINE) is not None


def release(text: str, version: str, day: date) -> str:
    """Return the changelog with the unreleased changes under a version, and an empty section."""
    heading = f"## {version} - {day.isoformat()}"
    return text.replace(UNRELEASED, f"{UNRELEASED}\n\n{heading}", 1)

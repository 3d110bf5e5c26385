"""Check that every relative link in every Markdown file resolves.

Usage: python -m tools.docs
"""

import re
import subprocess
from pathlib import Path

from tools.members import ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor that common Markdown renderers generate for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(markdown: str) -> set[str]:
    """Return the anchors of a page's headings."""
    return {anchor(heading) for heading in HEADING.findall(FENCE.sub("", markdown))}


def relative_links(markdown: str) -> list[str]:
    """Return the targets of a page's links that name a file rather than a URL or a heading."""
    targets = (match[1] or match[2] for match in LINK.finditer(FENCE.sub("", markdown)))
    return [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def broken_links(page: Path) -> list[str]:
    """Return a line for each broken link of a page."""
    faults = []
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        where = page.relative_to(ROOT)
        if not linked.exists():
            faults.append(f"{where}: no such file: {target}")
        elif anchor and linked.suffix == ".md" and anchor not in anchors(linked.read_text()):
            faults.append(f"{where}: no such heading: {target}")
    return faults


def main() -> None:
    """Check every Markdown file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    pages = [ROOT / name for name in listed.stdout.splitlines()]
    faults = [fault for page in pages for fault in broken_links(page)]
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{len(pages)} pages, every link leads somewhere")


if __name__ == "__main__":
    main()

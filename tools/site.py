"""Build the documentation site from the repository's Markdown and the members' docstrings.

Usage: python -m tools.site DIRECTORY

Pages keep their place in the repository, so links between them work; `api.md` beside each member's
README documents its public names. The site loads nothing from another host. After the build, every
public name and every reference to another host's files is checked.
"""

import ast
import json
import posixpath
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from tools import openapi_page
from tools.docs import FENCE, LINK, anchor
from tools.members import MEMBERS, ROOT, Member

PAGES = re.compile(
    r"(?:README|CONTRIBUTING|SECURITY)\.md|docs/.*\.(?:md|png|svg)|docs/openapi\.json"
    r"|(?:packages/[^/]+|services/[^/]+)/(?:[A-Z]+\.md|docs/.*\.(?:md|svg))"
)
GUIDES = ("architecture", "where-things-are", "glossary", "contracts", "openapi",
          "http-api", "page", "operations",
          "reverse-proxy", "edera-integration", "threat-model", "reliability",
          "measurements")  # fmt: skip
"""The first pages of docs/ in the navigation, in this order; others follow."""
HTTP_API = "docs/http-api.md"
"""The page that is generated from the control plane's OpenAPI document."""

_PAGE_IN_CODE = re.compile(r"(?<![\[`])`([\w./-]+\.md)`(?!\])")
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)"
)
_LOADED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")

HIDDEN = (
    "_[^_].*", "TYPE_CHECKING",
    "__(?:all|copy|deepcopy|dir|getattr|hash|json|reduce|repr|slots|str)__",
)  # fmt: skip
"""Names that are of no use to readers of the reference."""


@dataclass(frozen=True)
class Module:
    """A public module of a member, and the names that it exports."""

    member: Member
    name: str
    exported: tuple[str, ...]


@cache
def public_modules() -> tuple[Module, ...]:
    """Return every module that exports names and has no private part in its path."""
    found = []
    for member in MEMBERS:
        source = member.directory / "src"
        for path in sorted((source / member.import_name).rglob("*.py")):
            parts = list(path.relative_to(source).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            exported = exported_by(path)
            if exported and not any(part.startswith("_") for part in parts):
                found.append(Module(member, ".".join(parts), exported))
    return tuple(found)


def exported_by(path: Path) -> tuple[str, ...]:
    """Return the names of `__all__`, or else the public classes and functions of a module.

    `__version__` is left out, and a package without `__all__` exports nothing.
    """
    body = ast.parse(path.read_text()).body
    for statement in body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return tuple(name for name in names if name != "__version__")
    if path.stem == "__init__":
        return ()
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    defined = (statement.name for statement in body if isinstance(statement, kinds))
    return tuple(name for name in defined if not name.startswith("_"))


def page_files() -> list[str]:
    """Return the pages and pictures of the site that git knows or would add."""
    command = [
        "git",
        "ls-files",
        "-co",
        "--exclude-standard",
        "*.md",
        "*.png",
        "*.svg",
        "docs/*.json",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in listed.stdout.splitlines() if PAGES.fullmatch(name)})


def with_links(name: str, text: str, pages: set[str]) -> str:
    """Return a page whose links stay within the site.

    A link to a file that is not a page becomes its text, and a page that is named as code becomes
    a link.

    Args:
        name: The page's path in the repository.
        text: Its Markdown.
        pages: The paths of all pages.
    """
    directory = posixpath.dirname(name)

    def keep_or_drop(match: re.Match[str]) -> str:
        target = match[1] or match[2]
        path = posixpath.normpath(posixpath.join(directory, target.partition("#")[0]))
        is_known = re.match(r"[a-z]+:|#", target) or path in pages
        return match[0] if is_known else match[0][match[0].index("[") + 1 : match[0].rindex("](")]

    def link(match: re.Match[str]) -> str:
        for path in (posixpath.normpath(posixpath.join(directory, match[1])), match[1]):
            if path in pages and path != name:
                return f"[{match[0]}]({posixpath.relpath(path, directory or '.')})"
        return match[0]

    def rewrite(prose: str) -> str:
        return _PAGE_IN_CODE.sub(link, LINK.sub(keep_or_drop, prose))

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [rewrite(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, rewrite(text[end:])])


def reference(member: Member) -> str:
    """Return the Markdown of a member's API page."""
    parts = [f"# API of {member.name}\n"]
    for module in (each for each in public_modules() if each.member is member):
        parts.append(f"\n::: {module.name}\n")
    return "".join(parts)


def title(text: str) -> str:
    """Return the first heading of a page."""
    match = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return match[1] if match else "Untitled"


def navigation(pages: dict[str, str]) -> list[dict[str, object]]:
    """Return the tree of the site, in the order of reading."""

    def listed(names: list[str]) -> list[dict[str, str]]:
        return [{title(pages[name]): name} for name in names]

    docs = [name for name in pages if re.fullmatch(r"docs/[^/]+\.md", name)]
    first = [f"docs/{each}.md" for each in GUIDES if f"docs/{each}.md" in pages]
    others = [name for name in docs if name not in first and name != "docs/README.md"]
    tree: list[dict[str, object]] = [{"Kakuri": "README.md"}]
    tree.append({"Guides": [{"Contents": "docs/README.md"}, *listed([*first, *others])]})
    for member in MEMBERS:
        directory = member.directory.relative_to(ROOT).as_posix()
        own = [{"Overview": f"{directory}/README.md"}, {"API": f"{directory}/api.md"}]
        more = [name for name in pages if PurePosixPath(name).is_relative_to(directory)]
        taken = {f"{directory}/README.md", f"{directory}/api.md"}
        tree.append({member.name: own + listed([name for name in more if name not in taken])})
    for heading, directory in (
        ("Learning", "docs/learning"), ("Design", "docs/design"), ("Decisions", "docs/adr"),
    ):  # fmt: skip
        names = [name for name in pages if PurePosixPath(name).is_relative_to(directory)]
        tree.append(
            {heading: listed(sorted(names, key=lambda name: not name.endswith("README.md")))}
        )
    tree.append({"Contributing": "CONTRIBUTING.md"})
    tree.append({"Security": "SECURITY.md"})
    return tree


def configuration(pages: dict[str, str]) -> str:
    """Return mkdocs' configuration: JSON, which is YAML, with a tag for the one function."""
    python = {
        "paths": [str(member.directory / "src") for member in MEMBERS],
        "options": {
            "docstring_style": "google",
            "filters": [f"!^{name}$" for name in HIDDEN],
            "heading_level": 2,
            "inherited_members": True,
            "members_order": "alphabetical",
            "preload_modules": [member.import_name for member in MEMBERS],
            "show_bases": True,
            "show_if_no_docstring": True,
            "show_root_full_path": True,
            "show_root_heading": True,
            "show_signature_annotations": True,
            "separate_signature": True,
            "show_source": False,
            "show_submodules": False,
        },
    }
    settings = {
        "site_name": "Kakuri",
        "docs_dir": "pages",
        "site_dir": "html",
        "use_directory_urls": False,
        "theme": {"name": "readthedocs", "highlightjs": False, "navigation_depth": 3},
        "extra_css": ["style.css"],
        "plugins": ["search", {"mkdocstrings": {"handlers": {"python": python}}}],
        "markdown_extensions": [
            "tables",
            "fenced_code",
            "sane_lists",
            {"codehilite": {"guess_lang": False}},
            {"toc": {"permalink": True, "slugify": "SLUGIFY"}},
        ],
        "validation": {"links": {"anchors": "warn", "not_found": "warn"}},
        "nav": navigation(pages),
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    return text.replace('"SLUGIFY"', "!!python/name:tools.site.slugify")


def slugify(heading: str, _separator: str) -> str:
    """Return the anchor of a heading; the same as that which `tools.docs` checks."""
    return anchor(heading)


def write_sources(directory: Path) -> None:
    """Write the pages and the configuration that mkdocs builds from."""
    pages: dict[str, str] = {}
    names = page_files()
    for name in names:
        target = directory / "pages" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            pages[name] = with_links(name, (ROOT / name).read_text(), set(names))
            target.write_text(pages[name])
        else:
            shutil.copyfile(ROOT / name, target)
    described = json.loads((ROOT / "docs/openapi.json").read_text())
    pages[HTTP_API] = openapi_page.page(described)
    (directory / "pages" / HTTP_API).write_text(pages[HTTP_API])
    for member in MEMBERS:
        name = f"{member.directory.relative_to(ROOT).as_posix()}/api.md"
        pages[name] = reference(member)
        (directory / "pages" / name).write_text(pages[name])
    (directory / "mkdocs.yml").write_text(configuration(pages))
    style = [sys.executable, "-m", "pygments", "-S", "default", "-f", "html", "-a", ".codehilite"]
    colours = subprocess.run(style, capture_output=True, text=True, check=True).stdout
    (directory / "pages" / "style.css").write_text(f"{colours}\n{LAYOUT}")


LAYOUT = """\
.wy-nav-content { max-width: 60rem; }
.wy-table-responsive table td, .wy-table-responsive table th { white-space: normal; }
.doc-contents { padding-left: 1rem; border-left: .1rem solid #ddd; }
"""


def faults_of(html: Path) -> list[str]:
    """Return what is wrong with the built site, one line for each fault."""
    found = []
    for module in public_modules():
        page = html / module.member.directory.relative_to(ROOT) / "api.html"
        anchors = set(re.findall(r'\bid="([^"]+)"', page.read_text()))
        found += [
            f"{module.name}.{name} is not in {page.relative_to(html)}"
            for name in module.exported
            if f"{module.name}.{name}" not in anchors
        ]
    for path in sorted(html.rglob("*.html")):
        for match in _LOADED.finditer(path.read_text()):
            found.append(f"{path.relative_to(html)} loads {match[1] or match[2]}")
    for path in sorted(html.rglob("*.css")):
        for match in _LOADED_BY_STYLE.finditer(path.read_text()):
            found.append(f"{path.relative_to(html)} loads {match[1]}")
    return found


def main() -> None:
    """Build the site in the directory named on the command line, and check it."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_sources(directory)
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
    if status := subprocess.run(
        [*build, "-f", str(directory / "mkdocs.yml")], check=False
    ).returncode:
        raise SystemExit(status)
    html = directory / "html"
    if found := faults_of(html):
        raise SystemExit("\n".join(found))
    names = sum(len(module.exported) for module in public_modules())
    print(f"{names} public names; open {html / 'index.html'}")


if __name__ == "__main__":
    main()

"""Sessions that check the code and the documentation without running the services."""

import nox

from tools.members import MEMBERS, ROOT
from tools.sessions.steps import PYTHON, install_editable, run_tool, tools_of

SITE = ROOT / "site"


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Check style, spelling of imports, formatting, metadata of members and English."""
    session.install("-q", *tools_of("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    for check in ("metadata", "language"):
        run_tool(session, check)


@nox.session(python=PYTHON, default=False, name="format")
def format_(session: nox.Session) -> None:
    """Format the code as lint expects it."""
    session.install("-q", *tools_of("lint"))
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session(python=PYTHON)
def typecheck(session: nox.Session) -> None:
    """Run mypy in strict mode over all members and the tools, and pyright over what users see."""
    install_editable(session, MEMBERS, "nox", *tools_of("typecheck", "test", "coverage"))
    packages = [f"--package={member.import_name}" for member in MEMBERS]
    session.run(
        "mypy",
        *packages,
        "--package=tools",
        "--package=tests.cri_node",
        "--module=noxfile",
        env={"MYPYPATH": str(ROOT)},
    )
    run_tool(session, "public_types")


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Check that every link of the documentation resolves, and build the site."""
    session.install("-q", *tools_of("docs"))
    run_tool(session, "docs")
    run_tool(session, "site", str(SITE))

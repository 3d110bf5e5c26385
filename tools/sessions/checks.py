"""Sessions that check the code of each member, its packages and the documentation."""

import shutil

import nox

from tools import interpreters, side_by_side, system
from tools.members import BY_NAME, MEMBERS, ROOT, third_party
from tools.sessions.steps import (
    DIST,
    PYTHON,
    PYTHONS,
    WHEELHOUSE,
    install_editable,
    install_wheels,
    python_for_tests,
    run_tool,
    tools_of,
)

SITE = ROOT / "site"

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests on every Python but the first."""

each_member = nox.parametrize("member", [nox.param(m.name, id=m.name) for m in MEMBERS])


@nox.session(python=False)
def pythons(session: nox.Session) -> None:
    """Show on which Pythons the tests run, and which of the supported ones this machine lacks."""
    for interpreter in PYTHONS:
        session.log(f"tests run on Python {interpreter.name:<9} {interpreter.path}")
    if missing := interpreters.missing(PYTHONS):
        session.warn(f"not found, so not tested: Python {', '.join(missing)}")


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
    """Write the style that lint asks for."""
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


@nox.session(python=False)
@each_member
def tests(session: nox.Session, member: str) -> None:
    """Run one member's tests on every Python that was found, or on those named after `--`.

    As many Pythons at once as there are cores. The first has the long runs of the tests that kill
    what they test; the last measures coverage.
    """
    this = BY_NAME[member]
    system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    directory = this.directory / "tests"
    apart = [f"--ignore={directory / name}" for name in ("conformance", "interop")]
    pytest = ["pytest", "-p", "no:cacheprovider", str(directory), *apart]
    commands = {}
    for interpreter in interpreters.chosen(PYTHONS, session.posargs):
        command = [] if interpreter == PYTHONS[0] else ["env", *FEWER_KILLS]
        command += [python_for_tests(interpreter), "-m"]
        if interpreter == PYTHONS[-1]:
            data = f"--data-file={ROOT / f'.coverage.{member}'}"
            command += ["coverage", "run", f"--source={this.import_name}", data, "-m"]
        commands[f"{member} on Python {interpreter.name}"] = [*command, *pytest]
    if failed := side_by_side.run(commands):
        session.error(f"failed: {', '.join(failed)}")


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Report what the tests sessions covered."""
    session.install("-q", *tools_of("coverage"))
    session.run("coverage", "combine", "--keep", *map(str, ROOT.glob(".coverage.*")))
    session.run("coverage", "report")


@nox.session(python=PYTHON)
def build(session: nox.Session) -> None:
    """Build every member's wheel and sdist, check them, and collect third-party wheels."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install("-q", *tools_of("build", "release"))
    for member in MEMBERS:
        session.run("python", "-m", "build", "--no-isolation", "-o", str(DIST),
                    str(member.directory), silent=True)  # fmt: skip
    run_tool(session, "wheels", str(DIST))
    session.run("twine", "check", "--strict", *map(str, sorted(DIST.glob("*.*"))), silent=True)
    requirements = third_party(MEMBERS)
    session.run("pip", "wheel", "-q", "-w", str(WHEELHOUSE), *requirements)


@nox.session(python=PYTHON, default=False)
def release(session: nox.Session) -> None:
    """Check, build and raise the version of one member: `nox -s release -- MEMBER VERSION`."""
    session.install("-q", *tools_of("build", "release"))
    run_tool(session, "release", *session.posargs)


@nox.session(python=PYTHON, reuse_venv=False)
@each_member
def isolation(session: nox.Session, member: str) -> None:
    """Try one member's wheel in an otherwise empty environment.

    All its modules are imported, its README's examples run, its commands print their help. A
    sibling that is imported but not declared is missing here, and only here.
    """
    install_wheels(session, member)
    session.run("pip", "check", silent=True)
    session.run("python", "-W", "error", str(ROOT / "tools/try_wheel.py"), member)


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Check that every link of the documentation leads somewhere, and build the site."""
    session.install("-q", *tools_of("docs"))
    run_tool(session, "docs")
    run_tool(session, "site", str(SITE))

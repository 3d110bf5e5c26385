"""Sessions that release the members, and try their wheels."""

import shutil
import sysconfig
from pathlib import Path

import nox

from tools import side_by_side
from tools.members import BY_NAME, ROOT
from tools.sessions.steps import (
    DIST,
    PYTHON,
    closure,
    each_member,
    finish,
    install_editable,
    install_wheels,
    run_tool,
    tools_of,
)

COMPILED = {"kakuri-json": "kakuri_json._syntax.scanning", "kakuri-http": "kakuri_http._headers"}
"""The members with compiled wheels, each with a module that is compiled in them."""


@nox.session(python=PYTHON, default=False)
def release(session: nox.Session) -> None:
    """Check, build and raise the version of one member: `nox -s release -- MEMBER VERSION`."""
    session.install("-q", *tools_of("build", "release"))
    run_tool(session, "release", *session.posargs)


@nox.session(python=PYTHON, reuse_venv=False)
@each_member
def isolation(session: nox.Session, member: str) -> None:
    """Test one member's wheel in an otherwise empty environment.

    Imports all its modules, runs its README's examples, and has its commands print their help. A
    sibling that is imported but not declared is missing here, and only here.
    """
    install_wheels(session, member)
    session.run("pip", "check", silent=True)
    session.run("python", "-W", "error", str(ROOT / "tools/try_wheel.py"), member)


@nox.session(python=PYTHON, default=False)
def compiled(session: nox.Session) -> None:
    """Build the wheels of kakuri-json and kakuri-http with mypyc, and run their tests on them.

    `PYTHON=python3.12 ./nox -s compiled` uses another Python. Skipped without a C compiler or the
    headers of that Python.
    """
    compiler = sysconfig.get_config_var("CC").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which(compiler) is None or not header.exists():
        session.skip(f"left out: it needs the C compiler {compiler} and {header}")
    members = [BY_NAME[name] for name in COMPILED]
    test_requirements = [each for member in members for each in member.group("test")]
    # Editables first: mypyc reads the types of what a member imports.
    tools = ["build", "hatch-mypyc", *tools_of("test")]
    install_editable(session, closure(*COMPILED), *tools, *test_requirements)
    wheels = DIST / "compiled"
    python = [f"{session.bin}/python", "-m"]
    build = ["env", "HATCH_BUILD_HOOK_ENABLE_MYPYC=1", *python, "build", "--wheel"]
    build += ["--no-isolation", "-o", str(wheels)]
    builds = {f"the wheel of {each.name}": [*build, str(each.directory)] for each in members}
    try:
        finish(session, side_by_side.Running(builds))
    finally:
        for member in members:
            for extension in member.directory.glob("src/**/*.so"):
                extension.unlink()  # the hook builds in place; the editables must stay plain
    install = ["-q", "--no-index", "--no-deps", "--force-reinstall", f"--find-links={wheels}"]
    session.install(*install, *COMPILED)
    for module in COMPILED.values():
        session.run("python", "-c", f"import {module} as m; assert m.__file__.endswith('.so')")
    # The compiled modules do no I/O, so the tests on asyncio's event loop suffice.
    test = [*python, "pytest", "-q", "-p", "no:cacheprovider", "-k", "not uvloop"]
    tests = {}
    for member in members:
        directory = member.directory / "tests"
        ignored = f"--ignore={directory / 'conformance'}"
        tests[f"the tests of {member.name}"] = [*test, str(directory), ignored]
    finish(session, side_by_side.Running(tests))

"""Sessions that measure and that look for missing tests."""

import nox

from tools import fuzzing, system
from tools.members import BY_NAME, MEMBERS, ROOT
from tools.sessions.steps import (
    PYTHON,
    install_editable,
    python_for_tests,
    tools_of,
)


@nox.session(python=PYTHON, default=False)
def bench(session: nox.Session) -> None:
    """Measure the whole flow, or what is named after `--`.

    That is members, or cycles, direct, memory, ownership, scrape, traces, zone_start. The flow is
    measured at 64 connections against FastAPI, and at 32 the durable store against memory.
    """
    if not session.posargs:
        system.require(session, "wrk")
        install_editable(session, MEMBERS, "uvloop", *tools_of("bench"))
        session.run("python", "benchmarks/bench_flow.py")
        session.run("python", "benchmarks/bench_flow.py", "5", "3", "32")
    for name in session.posargs:
        script = ROOT / "benchmarks" / f"bench_{name}.py"
        if script.exists():
            install_editable(session, MEMBERS, "uvloop", *tools_of("bench"))
            on_node = ["-m", "tests.cri_node", "--", "python"] if name == "zone_start" else []
            session.run("python", *on_node, str(script))
            continue
        member = BY_NAME[name]
        install_editable(session, member.closure(), *member.group("bench"))
        for script in sorted((member.directory / "benchmarks").glob("bench_*.py")):
            session.run("python", str(script))


@nox.session(python=False, default=False)
def mutants(session: nox.Session) -> None:
    """Change members at random, and report the changes that survive their tests.

    `nox -s mutants -- kakuri-http --sample 50` tries fifty changes of one member. It takes a few
    seconds for each; the members that are listed in tools/mutants/targets.py are the default.
    """
    system.require(session, *(name for names in system.DRIVEN_BY_TESTS.values() for name in names))
    python = python_for_tests()
    environment = {"PYTHONPATH": str(ROOT)}
    session.run(python, "-m", "tools.mutants", *session.posargs, env=environment, external=True)


@nox.session(python=PYTHON, default=False)
def fuzz(session: nox.Session) -> None:
    """Try new random input on parsers, by default a minute a script or test.

    Scripts in a member's fuzz/ are guided by coverage (atheris); tests in test_fuzz.py compare with
    other libraries. `nox -s fuzz -- kakuri-http2 600` gives each of one member's ten minutes.
    """
    seconds = next((one for one in session.posargs if one.isdigit()), "60")
    names = [one for one in session.posargs if one in BY_NAME] or BY_NAME
    for member in (BY_NAME[name] for name in names):
        for script in sorted((member.directory / "fuzz").glob("fuzz_*.py")):
            install_editable(session, member.closure(), "atheris", *member.group("test"))
            session.run("python", str(script), f"-max_total_time={seconds}")
        for test in sorted(member.directory.glob("tests/test_fuzz*.py")):
            install_editable(session, member.closure(), *tools_of("test"), *member.group("test"))
            session.run("pytest", "-o", "timeout=0", str(test), env={fuzzing.SECONDS: seconds})

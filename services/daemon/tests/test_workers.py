"""A daemon with several processes: started, replaced, stopped, and never left behind."""

import asyncio
import errno
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import click
import pytest
from kakuri_daemon import (
    DaemonError,
    WorkerCount,
    _workers,
    run_workers,
)
from kakuri_daemon._worker_peers import (
    PEERS_VARIABLE,
    PeerSockets,
    inherited_peers,
    peer_sockets,
)
from kakuri_tcp import Endpoint, open_listening_sockets
from structlog.testing import capture_logs

WORKER = """
import os
from contextlib import asynccontextmanager
from kakuri_daemon import configure_logs, run_workers
from kakuri_tcp import Connection, Endpoint, listen

class SendsPid(Connection):
    def opened(self):
        self.write(b"%d" % os.getpid())
        self.close()

@asynccontextmanager
async def service(listening, peers):
    async with await listen(listening, SendsPid) as server:
        yield server.endpoint

configure_logs()
run_workers(service, Endpoint.parse({endpoint!r}), {number})
"""

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name == "PATH" or name.startswith("COVERAGE_")
}
ANY_PORT = Endpoint.parse("127.0.0.1:0")


@pytest.fixture(params=["tcp", "unix"])
def endpoint(request, tmp_path):
    return ANY_PORT if request.param == "tcp" else Endpoint.parse(f"unix:{tmp_path / 'socket'}")


@pytest.fixture
def command(monkeypatch):
    """Set what this process seems to have been started with, which its workers run again."""

    def set_command(script):
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", script])

    return set_command


async def pid_of_server(endpoint):
    if endpoint.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(endpoint.path)
    else:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    pid = int(await reader.read())
    writer.close()
    await writer.wait_closed()
    return pid


async def pids_of_servers(endpoint, number):
    """Connect until that many processes have answered; one may be replaced meanwhile."""
    pids = set()
    while len(pids) < number:
        pids.add(await pid_of_server(endpoint))
    return pids


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def has_child_process():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


async def test_workers_serve_one_endpoint_and_have_ended_after_the_context(endpoint, command):
    command(WORKER.format(endpoint=str(endpoint), number=2))
    with capture_logs() as log:
        async with _workers._worker_processes([endpoint], 2, None) as real:
            pids = {entry["pid"] for entry in log if entry["event"] == "worker started"}
            assert await pid_of_server(real) in pids
    assert len(pids) == 2
    assert not any(map(is_alive, pids))
    assert [entry["event"] for entry in log] == ["worker started", "worker started"]
    if endpoint.scheme == "unix":
        assert not Path(endpoint.path).exists()


async def test_worker_that_is_killed_is_replaced_and_no_connection_is_refused(command):
    command(WORKER.format(endpoint=str(ANY_PORT), number=2))
    with capture_logs() as log:
        async with _workers._worker_processes([ANY_PORT], 2, None) as endpoint:
            before = await pids_of_servers(endpoint, 2)
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            after = await pids_of_servers(endpoint, 2)
            while killed in after:  # it may have answered before the signal arrived
                after = await pids_of_servers(endpoint, 2)
    assert len(before & after) == 1
    (end,) = (entry for entry in log if entry["event"] == "worker ended")
    assert (end["end"], end["replaced_in"], end["log_level"]) == ("SIGKILL", 0.1, "error")


@pytest.mark.parametrize(
    ("stable_after", "delays"),
    [(60.0, [0.001, 0.002, 0.004, 0.004]), (0.0, [0.001, 0.001, 0.001, 0.001])],
)
async def test_worker_that_keeps_ending_is_replaced_with_delays_that_grow_unless_it_was_stable(
    command, monkeypatch, stable_after, delays
):
    ends = []
    enough = asyncio.Event()

    class Log:
        def info(self, *_args, **_fields):
            pass

        def error(self, _event, *, worker, **fields):
            ends.append(fields)
            if len(ends) == 4:
                enough.set()

    monkeypatch.setattr(_workers, "log", Log())
    monkeypatch.setattr(_workers, "MIN_DELAY", 0.001)
    monkeypatch.setattr(_workers, "MAX_DELAY", 0.004)
    monkeypatch.setattr(_workers, "STABLE_SECONDS", stable_after)
    command("print('listening on something', flush=True); raise SystemExit(3)")
    async with _workers._worker_processes([ANY_PORT], 1, None):
        await enough.wait()
    assert [end["replaced_in"] for end in ends[:4]] == delays
    assert {end["end"] for end in ends} == {"status 3"}


def test_single_worker_serves_the_endpoint_in_this_process(monkeypatch):
    served = []
    monkeypatch.setattr(_workers, "run", lambda service: served.append(service()))
    run_workers(lambda listening, peers: (listening, peers), ANY_PORT, 1)
    assert served == [(ANY_PORT, None)]


def test_single_worker_serves_further_endpoints_too(monkeypatch):
    served = []
    monkeypatch.setattr(_workers, "run", lambda service: served.append(service()))
    run_workers(lambda *listening, peers: listening, ANY_PORT, 1, more=[ANY_PORT])
    assert served == [(ANY_PORT, ANY_PORT)]


def test_worker_inherits_the_sockets_of_each_endpoint_and_knows_its_peers(monkeypatch):
    served = []
    monkeypatch.setattr(_workers, "run", lambda service, lifeline: served.append(service()))
    opened = [open_listening_sockets(ANY_PORT, 1)[0] for _ in range(2)]
    # As a child process has them: descriptors of its own.
    groups = [[os.dup(each) for each in sockets.descriptors] for sockets in opened]
    monkeypatch.setenv(
        _workers.SOCKETS_VARIABLE, ";".join(",".join(map(str, group)) for group in groups)
    )
    monkeypatch.setenv(PEERS_VARIABLE, f"2:{os.dup(opened[0].descriptors[0])}:8,9,10")
    run_workers(lambda *listening, peers: (listening, peers), ANY_PORT, 2, more=[ANY_PORT])
    ((inherited, peers),) = served
    assert [each.endpoint for each in inherited] == [each.endpoint for each in opened]
    assert peers.name == "2"
    assert {name: str(each) for name, each in peers.others.items()} == {
        "1": "unix:/proc/self/fd/8",
        "3": "unix:/proc/self/fd/10",
    }
    for sockets in (*inherited, *opened, peers.listening):
        sockets.close()


def test_process_without_the_variable_of_a_parent_has_no_peers():
    assert inherited_peers() is None


@pytest.mark.parametrize(
    "given", ["", "1", "1:2", "x:0:1", "3:0:1,2", "1:x:1", "1:0:/tmp", "1:9999:1", f"1:{2**40}:1"]
)
def test_variable_that_names_no_peers_is_ignored_and_removed(monkeypatch, given):
    monkeypatch.setenv(PEERS_VARIABLE, given)
    assert inherited_peers() is None
    assert PEERS_VARIABLE not in os.environ


def test_worker_is_reached_by_another_although_its_socket_has_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with peer_sockets(2) as sockets:
        assert list(tmp_path.iterdir()) == []
        workers = []
        for number in (1, 2):
            copies = PeerSockets([*map(os.dup, sockets.listeners)], sockets.files)
            variables, descriptors = copies.for_worker(number)
            assert descriptors == [copies.listeners[number - 1], *copies.files]
            monkeypatch.setenv(PEERS_VARIABLE, variables[PEERS_VARIABLE])
            workers.append(inherited_peers())
            os.close(copies.listeners[2 - number])
        first, second = workers
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(first.others["2"].path)
            accepted, _ = second.listening.sockets[0].accept()
            accepted.close()
        for each in workers:
            each.listening.close()


def test_workers_without_a_temporary_directory_run_without_peers(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryDirectory", failing)
    with capture_logs() as logs, peer_sockets(2) as sockets:
        assert sockets.for_worker(1) == ({}, [])
    assert logs[0]["event"] == "workers can't reach one another"


def failing(**_options):
    raise OSError(errno.EROFS, "Read-only file system")


async def test_worker_that_does_not_start_is_an_error_and_stops_the_others(command):
    command("raise SystemExit(2)")
    with pytest.raises(DaemonError, match=r"worker [12] did not start: status 2"):
        async with _workers._worker_processes([ANY_PORT], 2, None):
            pass


async def test_worker_whose_interpreter_is_missing_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DaemonError, match="No such file or directory"):
        async with _workers._worker_processes([ANY_PORT], 1, None):
            pass


@pytest.mark.parametrize(("function", "number"), [("pipe", 1), ("pidfd_open", 0)])
async def test_worker_that_gets_no_descriptors_is_an_error_and_leaves_no_process(
    command, monkeypatch, function, number
):
    command("import sys; sys.stdin.read()")
    original, calls = getattr(os, function), []

    def open_or_fail(*arguments):
        calls.append(arguments)
        if len(calls) > number:  # the first pipe is the parent's lifeline
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return original(*arguments)

    monkeypatch.setattr(os, function, open_or_fail)
    with pytest.raises(DaemonError, match="worker 1 did not start: Too many open files"):
        async with _workers._worker_processes([ANY_PORT], 1, None):
            pass
    assert not has_child_process()


async def test_replacement_of_a_worker_is_retried_while_no_descriptor_is_free(command, monkeypatch):
    command("print('listening on something', flush=True); raise SystemExit(3)")
    monkeypatch.setattr(_workers, "MIN_DELAY", 0.001)
    pipe, calls, retried = os.pipe, [], asyncio.Event()

    def fail_once():
        calls.append(1)
        if len(calls) == 4:  # after the lifeline's, the first process's and its Popen's
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if len(calls) == 5:
            retried.set()
        return pipe()

    monkeypatch.setattr(os, "pipe", fail_once)
    with capture_logs() as log:
        async with _workers._worker_processes([ANY_PORT], 1, None):
            await retried.wait()
    ends = [entry["end"] for entry in log if entry["event"] == "worker ended"]
    assert ends[:2] == ["status 3", "Too many open files"]


async def test_several_workers_that_do_not_start_are_reported_as_one_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    unhandled = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: unhandled.append(what))
    with pytest.raises(DaemonError, match="worker 1 did not start"):
        async with _workers._worker_processes([ANY_PORT], 3, None):
            pass
    gc.collect()  # a task reports an exception that was never retrieved when it is deleted
    assert unhandled == []


@pytest.fixture
def parent():
    """A daemon with two workers in a process of its own, killed at the end."""
    script = WORKER.format(endpoint="127.0.0.1:0", number=2)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        yield process
        process.kill()


async def test_workers_end_with_a_parent_that_is_killed(parent):
    host, _, port = parent.stdout.readline().removeprefix("listening on ").rpartition(":")
    pids = await pids_of_servers(Endpoint("tcp", host=host, port=int(port)), 2)
    parent.kill()
    for pid in pids:
        with suppress(ProcessLookupError):
            await _workers._wait_for_exit(pid)


async def test_parent_that_gets_sigterm_ends_with_its_workers_and_prints_one_line(parent):
    first = parent.stdout.readline()
    parent.terminate()
    assert first.startswith("listening on 127.0.0.1:")
    assert parent.stdout.read() == ""
    assert parent.wait(10) == 0


async def test_stopped_worker_is_killed_when_the_others_have_had_time_to_end(monkeypatch, command):
    monkeypatch.setattr(_workers, "STOP_SECONDS", 0)
    command(WORKER.format(endpoint=str(ANY_PORT), number=2))
    with capture_logs() as log:
        async with _workers._worker_processes([ANY_PORT], 2, None) as endpoint:
            pids = await pids_of_servers(endpoint, 2)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
    killed = [entry["pid"] for entry in log if entry["event"] == "worker killed"]
    assert (sorted(killed), has_child_process()) == (sorted(pids), False)


@pytest.mark.parametrize("given", ["", "x", "1,,2", "999", "-1", "9" * 30])
def test_variable_without_listening_sockets_is_an_error(monkeypatch, given):
    monkeypatch.setenv(_workers.SOCKETS_VARIABLE, given)
    with pytest.raises(DaemonError, match="expected listening sockets in _KAKURI_WORKER_SOCKETS"):
        run_workers(lambda _listening: None, ANY_PORT, 1)
    assert _workers.SOCKETS_VARIABLE not in os.environ


@pytest.mark.parametrize(("value", "expected"), [("1", 1), ("256", 256), (4, 4)])
def test_worker_count_is_a_whole_number(value, expected):
    assert WorkerCount().convert(value, None, None) == expected


def test_worker_count_auto_is_one_for_each_cpu_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2, 5})
    assert WorkerCount().convert("auto", None, None) == 3


@pytest.mark.parametrize("value", ["0", "257", "-1", "1.5", "", "many", "²", "9" * 5000])
def test_worker_count_of_anything_else_is_an_error(value):
    with pytest.raises(click.BadParameter, match="expected 'auto' or a whole number from 1 to 256"):
        WorkerCount().convert(value, None, None)

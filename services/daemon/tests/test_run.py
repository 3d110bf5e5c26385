import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from types import ModuleType

import pytest
from kakuri_daemon import EXIT_USAGE, DaemonError, run
from kakuri_daemon._run import _loop_factory
from kakuri_daemon._supervision import EXIT_HUNG
from kakuri_tcp import Endpoint, listen_lines

DAEMON = """
import gc
import resource
from contextlib import asynccontextmanager, suppress
from kakuri_daemon import configure_logs, run
from kakuri_tcp import Endpoint, listen_lines

@asynccontextmanager
async def service():
    async with await listen_lines(Endpoint.parse("127.0.0.1:0"), lambda line: line) as server:
        yield server.endpoint
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    print("drained", gc.get_threshold()[0], soft == hard, core, flush=True)

log = configure_logs()
run(service)
log.close(10)
"""

COMMAND = f"""
import click
from kakuri_daemon import DaemonCommand

@click.command(cls=DaemonCommand, name="test-daemon", default_listen="127.0.0.1:0")
def main(listen):
    exec({DAEMON.replace("log = configure_logs()", "").replace("log.close(10)", "")!r}, {{}})

main()
"""

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name == "PATH" or name.startswith("COVERAGE_")
}
"""What a service manager gives a daemon; PYTHONUNBUFFERED would hide what its exit does."""

UNMEASURED = {"PATH": os.environ["PATH"]}
"""The same without coverage, which may print to standard error."""


@pytest.mark.usefixtures("hangup_by_default")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_daemon_announces_readiness_and_exits_after_a_signal(number):
    few = ["sh", "-c", 'ulimit -Sn 256 && exec "$0" "$@"']
    with subprocess.Popen(
        [*few, sys.executable, "-c", DAEMON],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=ENVIRONMENT,
    ) as process:  # fmt: skip
        line = process.stdout.readline()
        host, port = line.removeprefix("listening on ").strip().rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
        process.send_signal(number)
        assert process.stdout.read() == "drained 50000 True 0\n"
        assert process.wait(10) == 0


def test_sighup_under_nohup_is_ignored():
    ignoring = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{DAEMON}"
    with subprocess.Popen(
        [sys.executable, "-c", ignoring], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=UNMEASURED, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(10) == 0
        assert "signal=SIGTERM" in process.stderr.readline()


def test_daemon_whose_log_reader_is_closed_exits_with_status_0():
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=UNMEASURED, text=True,
    ) as process:  # fmt: skip
        process.stderr.close()
        process.stdout.readline()
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_daemon_with_a_closed_standard_stream_serves_and_exits_with_status_0(descriptor, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        with subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" {descriptor}>&-', sys.executable, "-c", COMMAND],
            env={**ENVIRONMENT, "NOTIFY_SOCKET": systemd.getsockname()},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert systemd.recv(100) == b"READY=1"
            process.terminate()
            assert process.wait(10) == 0


@pytest.mark.parametrize("limit", [6, 10, 63])
def test_daemon_that_may_open_too_few_descriptors_exits_with_one_line(limit):
    command = ["sh", "-c", f'ulimit -n {limit} && exec "$0" "$@"', sys.executable, "-c", COMMAND]
    ended = subprocess.run(command, capture_output=True, text=True, env=UNMEASURED, check=False)
    assert ended.returncode == EXIT_USAGE
    assert ended.stderr == (
        f"test-daemon: the limit of open files is {limit}, but a daemon needs at least 64: "
        "raise it (ulimit -n, LimitNOFILE=)\n"
    )
    assert ended.stdout == ""


WITHOUT_THREADS = COMMAND.replace(
    "    exec(",
    """    import threading
    threading.stack_size(1 << 46)  # more than there is address space
    exec(""",
)


def test_daemon_that_can_not_start_a_thread_exits_with_one_line_before_it_is_ready():
    command = [sys.executable, "-c", WITHOUT_THREADS]
    ended = subprocess.run(command, capture_output=True, text=True, env=UNMEASURED, check=False)
    assert ended.returncode == EXIT_USAGE
    assert ended.stderr.startswith("test-daemon: can't start new thread: the limit on processes")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_address_in_use_raises_daemon_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint.parse(f"127.0.0.1:{taken.getsockname()[1]}")

        class Service:
            async def __aenter__(self):
                self.server = await listen_lines(endpoint, lambda line: line)

            async def __aexit__(self, *_):
                raise AssertionError("it never listened")

        with pytest.raises(DaemonError, match="in use"):
            run(Service)


def test_readiness_that_cannot_be_written_raises_daemon_error(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    endpoint = Endpoint.parse("127.0.0.1:7")
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(DaemonError, match="that the daemon is ready: Broken pipe"):
            run(lambda: nullcontext_of(endpoint))
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # closing flushes once more


def test_daemon_whose_standard_output_is_a_full_pipe_serves_and_announces_itself_later():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filling = 0
    with suppress(BlockingIOError):
        while True:
            filling += os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    with (
        os.fdopen(reading, "rb") as pipe,
        subprocess.Popen(
            [sys.executable, "-c", DAEMON], env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE
        ) as process,
    ):
        os.close(writing)
        assert b"standard output is full" in process.stderr.readline()
        assert pipe.read(filling) == bytes(filling)
        port = int(pipe.readline().decode().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
        process.terminate()
        assert process.wait(10) == 0


@asynccontextmanager
async def nullcontext_of(endpoint):
    yield endpoint


def test_loop_is_of_uvloop_where_it_is_installed_and_else_of_asyncio(monkeypatch):
    uvloop = ModuleType("uvloop")
    uvloop.new_event_loop = object()
    monkeypatch.setitem(sys.modules, "uvloop", uvloop)
    assert _loop_factory() is uvloop.new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)  # an import raises ImportError
    assert _loop_factory() is asyncio.new_event_loop


def test_systemd_is_notified_of_ready_watchdog_and_stopping(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        told = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "100000"}
        with subprocess.Popen(
            [sys.executable, "-c", DAEMON], env={**ENVIRONMENT, **told}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", *[b"WATCHDOG=1"] * 2]
            process.terminate()
            while (state := systemd.recv(100)) == b"WATCHDOG=1":
                pass
            assert state == b"STOPPING=1"


def test_daemon_whose_loop_hangs_exits_with_status_70():
    hanging = DAEMON.replace("lambda line: line", "hang").replace(
        "log = configure_logs()",
        "from kakuri_daemon import _supervision\n"
        "_supervision.LoopWatchdog.__init__.__kwdefaults__.update(hang_checks=4, interval=0.25)\n"
        "def hang(line):\n    import threading; threading.Event().wait()\n"
        "log = configure_logs()",
    )
    with subprocess.Popen(
        [sys.executable, "-c", hanging], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=ENVIRONMENT,
    ) as process:  # fmt: skip
        line = process.stdout.readline()
        host, port = line.removeprefix("listening on ").strip().rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(b"hello\n")
            assert process.wait(20) == EXIT_HUNG
        assert "in hang" in process.stderr.read()

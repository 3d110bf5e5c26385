import asyncio
import contextvars
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from kakuri_daemon._supervision import (
    EXIT_HUNG,
    READY_RETRY_SECONDS,
    LoopWatchdog,
    Supervisor,
    shed_with,
)
from structlog.testing import capture_logs


@pytest.fixture
def systemd(tmp_path):
    """The receiving end of a supervisor's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(10)
        yield receiver


def test_supervisor_notifies_systemd_of_states(systemd):
    supervisor = Supervisor({"NOTIFY_SOCKET": systemd.getsockname()})
    for notify, expected in (
        (supervisor.ready, b"READY=1"),
        (supervisor.heartbeat, b"WATCHDOG=1"),
        (supervisor.stopping, b"STOPPING=1"),
    ):
        notify()
        assert systemd.recv(100) == expected


def test_supervisor_notifies_an_abstract_socket():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0kakuri-test-{os.getpid()}")
        receiver.settimeout(10)
        Supervisor({"NOTIFY_SOCKET": f"@kakuri-test-{os.getpid()}"}).ready()
        assert receiver.recv(100) == b"READY=1"


def fill(address):
    """Send datagrams to a socket until there is room for no more; return how many."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.connect(address)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sender.send(b"other")
                sent += 1
    return sent


@pytest.mark.timeout(20)
def test_supervisor_does_not_wait_while_the_socket_of_systemd_is_full(systemd):
    supervisor = Supervisor({"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "60000000"})
    others = fill(systemd.getsockname())
    with capture_logs() as logged:
        supervisor.ready()
        supervisor.heartbeat()
        supervisor.stopping()
    assert [each["state"] for each in logged] == ["READY=1", "READY=1", "STOPPING=1"]
    assert supervisor.interval == READY_RETRY_SECONDS
    for _ in range(others):
        assert systemd.recv(100) == b"other"
    supervisor.heartbeat()
    assert systemd.recv(100) == b"READY=1"
    assert supervisor.interval == 30


def test_supervisor_without_a_listener_logs_a_warning():
    with capture_logs() as logged:
        Supervisor({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()
    assert [(each["event"], each["state"]) for each in logged] == [
        ("systemd not notified", "READY=1")
    ]


@pytest.mark.parametrize("address", ["", "relative"])
def test_supervisor_without_a_valid_address_notifies_nothing(address):
    with capture_logs() as logged:
        Supervisor({"NOTIFY_SOCKET": address}).ready()
    assert logged == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 4000}, None),
    ],
)
def test_watchdog_interval_is_half_of_the_time_of_systemd(environment, expected):
    assert Supervisor(environment).interval == expected


async def test_loop_that_turns_is_not_ended():
    ended = threading.Event()
    watch = LoopWatchdog(asyncio.get_running_loop(), hang_checks=4, interval=0.5, end=ended.set)
    watch.start()
    await asyncio.sleep(2.5)
    watch.close()
    assert not ended.is_set()


async def test_loop_that_hangs_ends_the_process():
    ended = threading.Event()
    watch = LoopWatchdog(asyncio.get_running_loop(), hang_checks=3, interval=0.01, end=ended.set)
    watch.start()
    assert ended.wait(20)  # this blocks the loop
    watch.close()


async def test_late_loop_sheds_load_repeatedly_and_is_not_ended():
    shed = threading.Semaphore(0)
    ended = threading.Event()
    loop = asyncio.get_running_loop()
    watch = LoopWatchdog(loop, hang_checks=1_000_000, shed_checks=2, interval=0.001, end=ended.set)
    shed_with(shed.release)
    watch.start()
    for _ in range(3):
        assert shed.acquire(timeout=20)  # this blocks the loop
    watch.close()
    assert not ended.is_set()


async def test_loop_that_turns_in_time_sheds_nothing():
    shed = threading.Event()
    watch = LoopWatchdog(asyncio.get_running_loop(), shed_checks=1_000_000, interval=0.001)
    shed_with(shed.set)
    watch.start()
    await asyncio.sleep(0.05)
    watch.close()
    assert not shed.is_set()


async def test_watch_of_a_closed_loop_ends_instead_of_shedding():
    closed = asyncio.new_event_loop()
    closed.close()
    ended = threading.Event()
    watch = LoopWatchdog(closed, shed_checks=1, interval=0.001, end=ended.set)
    shed_with(lambda: closed.call_soon_threadsafe(print))
    watch.start()
    watch._thread.join(20)
    assert not watch._thread.is_alive()
    assert not ended.is_set()


def test_shed_with_outside_of_a_daemon_registers_nothing():
    context = contextvars.Context()
    context.run(shed_with, print)
    assert not list(context)


def test_process_whose_loop_hangs_prints_a_trace_of_every_thread():
    program = (
        "import asyncio, threading\n"
        "from kakuri_daemon._supervision import LoopWatchdog\n"
        "async def main():\n"
        "    LoopWatchdog(asyncio.get_running_loop(), hang_checks=2, interval=0.01).start()\n"
        "    threading.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == EXIT_HUNG
    assert "the event loop hangs" in run.stderr
    assert "in main" in run.stderr

import asyncio
import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kakuri_tcp import Credentials, Endpoint, LineClient, ListenFailed, LocalAccess, listen_lines


@pytest.fixture
def endpoint(tmp_path):
    return Endpoint.unix(str(tmp_path / "x.sock"))


def leave_stale(path):
    """Leave a socket file behind, as a process that was killed does."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(path)
        killed.listen()


async def test_request_over_a_unix_socket_is_answered(endpoint, tmp_path):
    async with await listen_lines(endpoint, bytes.upper) as server, LineClient(endpoint) as client:
        assert await client.request(b"a", timeout=5) == b"A"
        assert str(server.endpoint) == f"unix:{tmp_path}/x.sock"
    assert list(tmp_path.iterdir()) == []


async def test_listen_that_is_cancelled_leaves_no_socket_and_no_file(endpoint, tmp_path):
    listening = asyncio.ensure_future(listen_lines(endpoint, bytes.upper))
    await asyncio.sleep(0)  # until a thread opens the socket
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    loop = asyncio.get_running_loop()
    await loop.shutdown_default_executor()  # until the thread has opened it
    await asyncio.sleep(0)
    assert list(tmp_path.iterdir()) == []


async def test_listen_that_is_cancelled_before_its_thread_began_logs_no_error(endpoint):
    errors = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    may_end = threading.Event()
    executor = ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    loop.run_in_executor(None, may_end.wait, 10)
    listening = asyncio.ensure_future(listen_lines(endpoint, bytes.upper))
    await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening])
    executor.shutdown(wait=False, cancel_futures=True)
    may_end.set()
    await loop.shutdown_default_executor()
    await asyncio.sleep(0)
    assert errors == []


@pytest.mark.parametrize(
    ("access", "mode"), [(None, 0o600), (LocalAccess(mode=0o660, group=os.getegid()), 0o660)]
)
async def test_socket_file_has_the_given_mode(endpoint, access, mode):
    async with await listen_lines(endpoint, bytes.upper, local_access=access):
        status = Path(endpoint.path).stat()
        assert stat.S_IMODE(status.st_mode) == mode
        assert status.st_gid == os.getegid()


async def test_stale_socket_is_replaced(endpoint):
    leave_stale(endpoint.path)
    async with await listen_lines(endpoint, bytes.upper), LineClient(endpoint) as client:
        assert await client.request(b"a", timeout=5) == b"A"


async def test_socket_with_a_listener_is_not_removed(endpoint):
    async with await listen_lines(endpoint, bytes.upper), LineClient(endpoint) as client:
        with pytest.raises(ListenFailed, match="another process listens there"):
            await listen_lines(endpoint, bytes.lower)
        assert await client.request(b"a", timeout=5) == b"A"


async def test_lock_of_another_process_on_the_directory_does_not_prevent_listening(
    endpoint, tmp_path
):
    leave_stale(endpoint.path)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # as every user may who can open the directory
        async with await listen_lines(endpoint, bytes.upper), LineClient(endpoint) as client:
            assert await client.request(b"a", timeout=5) == b"A"
    finally:
        os.close(directory)


async def test_second_server_at_the_same_socket_raises_listen_failed_while_the_first_starts(
    endpoint, tmp_path
):
    leave_stale(endpoint.path)
    with (tmp_path / "x.sock.lock").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ListenFailed, match="another process is about to listen there"):
            await listen_lines(endpoint, bytes.upper)
    assert (tmp_path / "x.sock.lock").exists()  # it is the other one's


async def test_lock_file_of_a_killed_server_does_not_prevent_listening(endpoint, tmp_path):
    leave_stale(endpoint.path)
    (tmp_path / "x.sock.lock").touch(mode=0o644)
    async with await listen_lines(endpoint, bytes.upper), LineClient(endpoint) as client:
        assert await client.request(b"a", timeout=5) == b"A"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "dangling"])
async def test_lock_that_is_not_a_regular_file_raises_listen_failed_and_is_unchanged(
    endpoint, tmp_path, kind
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    lock = tmp_path / "x.sock.lock"
    match kind:
        case "link":
            lock.symlink_to(victim)
        case "fifo":
            os.mkfifo(lock, 0o644)
        case "directory":
            lock.mkdir()
        case "dangling":
            lock.symlink_to(tmp_path / "made")
    before = lock.lstat()
    with pytest.raises(ListenFailed):
        await listen_lines(endpoint, bytes.upper)
    assert (lock.lstat().st_mode, lock.lstat().st_ino) == (before.st_mode, before.st_ino)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert not (tmp_path / "made").exists()


async def test_file_that_is_not_a_socket_is_not_removed(endpoint, tmp_path):
    (tmp_path / "x.sock").write_text("precious")
    with pytest.raises(ListenFailed, match="a file that is not a socket"):
        await listen_lines(endpoint, bytes.upper)
    assert (tmp_path / "x.sock").read_text() == "precious"


async def test_close_leaves_a_file_that_replaced_the_socket(endpoint, tmp_path):
    async with await listen_lines(endpoint, bytes.upper):
        Path(endpoint.path).unlink()
        leave_stale(endpoint.path)
    assert (tmp_path / "x.sock").exists()


async def test_socket_in_a_missing_directory_raises_listen_failed_with_the_directory(tmp_path):
    with pytest.raises(ListenFailed, match=r": the directory '/.*/missing' does not exist$"):
        await listen_lines(Endpoint.unix(f"{tmp_path}/missing/x.sock"), bytes.upper)


async def test_unknown_group_raises_listen_failed(endpoint, tmp_path):
    with pytest.raises(ListenFailed, match="there is no group 'no-such-group'"):
        await listen_lines(endpoint, bytes.upper, local_access=LocalAccess(group="no-such-group"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", [-1, 2**32 - 1, 2**64, "a\0b"])
async def test_group_that_cannot_exist_raises_listen_failed(endpoint, tmp_path, group):
    """The number -1 would leave the group as it is."""
    with pytest.raises(ListenFailed, match=r"expected a group from 0 to|there is no group"):
        await listen_lines(endpoint, bytes.upper, local_access=LocalAccess(group=group))
    assert list(tmp_path.iterdir()) == []


async def test_socket_whose_group_cannot_be_set_is_removed(endpoint, tmp_path, monkeypatch):
    def refuse(path, user, group):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    reason = "(?i)operation not permitted: the process may have to be a member of the group 0"
    with pytest.raises(ListenFailed, match=reason):
        await listen_lines(endpoint, bytes.upper, local_access=LocalAccess(mode=0o660, group=0))
    assert list(tmp_path.iterdir()) == []


async def test_client_of_another_user_gets_connection_error_despite_the_mode(endpoint, monkeypatch):
    async with await listen_lines(endpoint, bytes.upper) as server, LineClient(endpoint) as client:
        monkeypatch.setattr(
            LocalAccess, "admits_unix_peer", lambda access, peer: peer.uid != os.geteuid()
        )
        with pytest.raises(ConnectionError):
            await client.request(b"a", timeout=5)
        assert server.counters.refused == 1


def test_unix_peer_is_admitted_depending_on_mode_and_user():
    mine, root, other = (Credentials(1, uid, 1) for uid in (os.geteuid(), 0, 12345))
    assert [LocalAccess().admits_unix_peer(peer) for peer in (mine, root, other)] == [
        True,
        True,
        False,
    ]
    assert LocalAccess(mode=0o660).admits_unix_peer(other)


async def test_another_user_cannot_connect():
    """Only root can become another user; otherwise the test checks the file's mode."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        endpoint = Endpoint.unix(f"{directory}/x.sock")
        async with await listen_lines(endpoint, bytes.upper):
            if os.geteuid():
                assert not Path(endpoint.path).stat().st_mode & 0o077
            else:
                assert await asyncio.to_thread(connect_as_nobody, endpoint.path) == "refused\n"


def connect_as_nobody(path):
    code = (
        "import os, socket, sys\n"
        "os.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n"
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        "except PermissionError: print('refused')"
    )
    command = [sys.executable, "-c", code, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("600", TypeError, "expected a mode such as 0o600, got '600'"),
        (0o1777, ValueError, "expected a mode from 0 to 0o777, got 0o1777"),
        (-1, ValueError, "expected a mode from 0 to 0o777, got -0o1"),
    ],
)
def test_access_with_an_invalid_mode_raises_type_or_value_error(mode, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        LocalAccess(mode=mode)

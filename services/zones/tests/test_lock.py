import asyncio
import errno
import threading
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from kakuri_zones import NodeLocked, NodeUnavailable, _lock
from kakuri_zones._lock import NodeLock, keep_locked


def test_second_lock_of_a_directory_raises_node_locked_until_the_first_is_released(tmp_path):
    directory = tmp_path / "logs"
    with (
        closing(NodeLock(directory)),
        pytest.raises(NodeLocked, match=f"with logs in {directory}: stop the other"),
        closing(NodeLock(directory)),
    ):
        pass
    with closing(NodeLock(directory)):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_locks_of_two_directories_are_independent(tmp_path):
    with closing(NodeLock(tmp_path / "a")), closing(NodeLock(tmp_path / "b")):
        pass


def test_lock_leaves_nothing_in_the_directory(tmp_path):
    with closing(NodeLock(tmp_path)):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_directory_that_others_may_write_to_raises_node_unavailable(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    directory.chmod(0o777)
    with (
        pytest.raises(NodeUnavailable, match="others may write to it"),
        closing(NodeLock(directory)),
    ):
        pass


def test_directory_that_cannot_be_created_raises_node_unavailable(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NodeUnavailable, match="Not a directory"),
        closing(NodeLock(tmp_path / "file" / "x")),
    ):
        pass


def test_deleted_directory_is_created_and_locked_again(tmp_path):
    directory = tmp_path / "logs"
    with closing(NodeLock(directory)) as lock:
        assert not lock.renew()
        directory.rmdir()
        assert lock.renew()
        assert not lock.renew()
        with pytest.raises(NodeLocked), closing(NodeLock(directory)):
            pass
    assert not lock.renew()


def test_directory_that_another_process_took_is_locked_again_once_it_is_free(tmp_path):
    directory = tmp_path / "logs"
    with closing(NodeLock(directory)) as lock:
        directory.rename(tmp_path / "moved")
        with closing(NodeLock(directory)), pytest.raises(NodeLocked):
            lock.renew()
        assert lock.renew()


def test_lock_is_released_while_its_renewal_waits_for_the_disk(tmp_path, monkeypatch):
    hangs, answers = threading.Event(), threading.Event()
    locked = _lock._locked

    def hang(directory):
        hangs.set()
        assert answers.wait(10)
        return locked(directory)

    lock = NodeLock(tmp_path / "logs")
    (tmp_path / "logs").rmdir()
    monkeypatch.setattr(_lock, "_locked", hang)
    outcomes = []
    renewal = threading.Thread(target=lambda: outcomes.append(lock.renew()))
    renewal.start()
    assert hangs.wait(10)
    closer = threading.Thread(target=lock.close)
    closer.start()
    closer.join(5)
    is_closed = not closer.is_alive()
    answers.set()
    renewal.join()
    assert is_closed
    assert outcomes == [False]
    monkeypatch.undo()
    with closing(NodeLock(tmp_path / "logs")):
        pass


def test_file_system_without_locks_raises_node_unavailable(tmp_path, monkeypatch):
    def fail(_descriptor, _operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_lock.fcntl, "flock", fail)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    with pytest.raises(NodeUnavailable, match="No locks available"):
        NodeLock(tmp_path)
    assert len(list(descriptors.iterdir())) == before


async def test_problem_of_the_directory_is_logged_once_until_it_is_locked_again(monkeypatch):
    monkeypatch.setattr(_lock, "RENEW_SECONDS", 0)
    outcomes = [False, NodeUnavailable("a"), NodeUnavailable("a"), True, NodeUnavailable("a")]

    async def renew():
        if not outcomes:
            raise asyncio.CancelledError
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with structlog.testing.capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        await keep_locked(renew)
    assert [line.get("error") for line in lines] == ["a", None, "a"]

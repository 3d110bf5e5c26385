import pytest
from kakuri_zones import NodeLocked, NodeUnavailable
from kakuri_zones._lock import node_lock


def test_second_lock_of_a_directory_raises_node_locked_until_the_first_is_released(tmp_path):
    directory = tmp_path / "logs"
    with (
        node_lock(directory),
        pytest.raises(NodeLocked, match=f"with logs in {directory}: stop the other"),
        node_lock(directory),
    ):
        pass
    with node_lock(directory):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_locks_of_two_directories_are_independent(tmp_path):
    with node_lock(tmp_path / "a"), node_lock(tmp_path / "b"):
        pass


def test_lock_is_released_if_the_block_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), node_lock(tmp_path):
        raise ZeroDivisionError
    with node_lock(tmp_path):
        pass


def test_lock_leaves_nothing_in_the_directory(tmp_path):
    with node_lock(tmp_path):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_directory_that_others_may_write_to_raises_node_unavailable(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(NodeUnavailable, match="others may write to it"), node_lock(directory):
        pass


def test_directory_that_cannot_be_created_raises_node_unavailable(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NodeUnavailable, match="Not a directory"),
        node_lock(tmp_path / "file" / "x"),
    ):
        pass

import pytest
from kakuri_zones import NodeLocked, NodeUnavailable
from kakuri_zones._lock import node_lock


def test_second_lock_of_a_folder_is_refused_until_the_first_is_released(tmp_path):
    folder = tmp_path / "logs"
    with (
        node_lock(folder),
        pytest.raises(NodeLocked, match=f"with logs in {folder}: stop the other"),
        node_lock(folder),
    ):
        pass
    with node_lock(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_locks_of_two_folders_are_independent(tmp_path):
    with node_lock(tmp_path / "a"), node_lock(tmp_path / "b"):
        pass


def test_lock_is_released_if_the_block_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), node_lock(tmp_path):
        raise ZeroDivisionError
    with node_lock(tmp_path):
        pass


def test_lock_leaves_nothing_in_the_folder(tmp_path):
    with node_lock(tmp_path):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_folder_that_others_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(NodeUnavailable, match="others may write to it"), node_lock(folder):
        pass


def test_folder_that_cannot_be_created_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NodeUnavailable, match="Not a directory"),
        node_lock(tmp_path / "file" / "x"),
    ):
        pass

"""A directory that others can write to is refused; a missing one is created for this user alone."""

import os
import stat

import pytest
from kakuri_daemon import open_private_directory


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
def test_private_directory_that_others_may_write_to_raises_permission_error(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(PermissionError, match=f"its mode is {mode:04o}: others may write to it"):
        open_private_directory(tmp_path)


def test_private_directory_of_another_user_raises_permission_error(tmp_path, monkeypatch):
    owner = os.getuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match=f"it belongs to user {owner}"):
        open_private_directory(tmp_path)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_private_directory_that_others_may_only_read_is_opened(tmp_path, mode):
    tmp_path.chmod(mode)
    directory = open_private_directory(tmp_path)
    assert os.path.samestat(os.fstat(directory), tmp_path.stat())
    assert not os.get_inheritable(directory)
    os.close(directory)


def test_private_directory_through_a_symlink_is_opened(tmp_path):
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    directory = open_private_directory(tmp_path / "link")
    assert os.path.samestat(os.fstat(directory), (tmp_path / "real").stat())
    os.close(directory)


def test_private_directory_that_is_missing_is_created_with_its_parents_for_this_user(tmp_path):
    os.close(open_private_directory(tmp_path / "a/b"))
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_private_directory_that_is_missing_and_must_not_be_created_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_private_directory(tmp_path / "a", make=False)
    assert not (tmp_path / "a").exists()


def test_private_directory_through_a_link_to_nothing_is_an_error_that_says_so(tmp_path):
    (tmp_path / "link").symlink_to("unmounted")
    for path in (tmp_path / "link", tmp_path / "link" / "below"):
        with pytest.raises(FileNotFoundError, match="No such file or directory"):
            open_private_directory(path)


def test_file_in_place_of_a_private_directory_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        open_private_directory(tmp_path / "file")

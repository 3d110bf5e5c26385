"""Tests of state directories in which another user may have placed links, FIFOs, devices or files."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from kakuri_registry import SQLiteStore, StoreFailed
from kakuri_registry._directory import open_file, open_private_directory

SUFFIXES = ["", "-wal", "-shm", "-journal", ".lock", ".reserve", ".part", ".new", ".damaged-1"]
KINDS = ["link", "dangling link", "fifo", "directory"]


def plant(kind, path, victim):
    match kind:
        case "link":
            path.symlink_to(victim)
        case "dangling link":
            path.symlink_to(victim.with_name("made"))
        case "fifo":
            os.mkfifo(path, 0o644)
        case "directory":
            path.mkdir(0o755)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_store_refuses_a_file_that_is_not_regular_and_does_not_change_it(tmp_path, kind, suffix):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    state = tmp_path / "state"
    state.mkdir(0o700)
    planted = state / f"store.sqlite{suffix}"
    plant(kind, planted, victim)
    before = planted.lstat()
    with pytest.raises(StoreFailed, match="not a regular file"):
        SQLiteStore(state / "store.sqlite")
    after = planted.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert [path.name for path in state.iterdir()] == [planted.name]
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_store_on_a_device_raises_store_failed_and_leaves_the_device_unchanged(device):
    before = Path(device).stat().st_mode
    with pytest.raises(StoreFailed):
        SQLiteStore(device)
    assert Path(device).stat().st_mode == before
    assert not Path(f"{device}.lock").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
def test_directory_that_others_may_write_to_raises_store_failed(tmp_path, mode):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(StoreFailed, match="others may write to it"):
        SQLiteStore(state / "store.sqlite")
    assert list(state.iterdir()) == []


def test_directory_of_another_user_raises_store_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreFailed, match="it belongs to user"):
        SQLiteStore(tmp_path / "store.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_directory_that_others_may_only_read_is_accepted(tmp_path, mode):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    SQLiteStore(state / "store.sqlite").close()
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}


def test_directory_that_a_link_leads_to_is_accepted(tmp_path):
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    SQLiteStore(tmp_path / "link" / "store.sqlite").close()
    assert (tmp_path / "real/store.sqlite").exists()


def test_new_directory_has_mode_0700(tmp_path):
    os.close(open_private_directory(tmp_path / "a/b"))
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_link_to_a_missing_directory_raises_store_failed_that_says_so(tmp_path):
    (tmp_path / "link").symlink_to("unmounted")
    with pytest.raises(StoreFailed, match="No such file or directory"):
        SQLiteStore(tmp_path / "link" / "store.sqlite")


def test_file_in_place_of_the_directory_raises_store_failed(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreFailed):
        SQLiteStore(tmp_path / "state" / "store.sqlite")


def test_file_of_another_user_raises_permission_error(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="it belongs to user"):
        open_file(path, os.O_RDONLY)


def test_files_of_other_names_are_not_checked(tmp_path):
    (tmp_path / "store.sqlites").symlink_to("nowhere")
    (tmp_path / "other.sqlite").symlink_to("nowhere")
    SQLiteStore(tmp_path / "store.sqlite").close()


def test_deleted_content_is_overwritten_with_any_default_of_sqlite(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite")
    assert store._connection is not None
    (secure_delete,) = store._connection.execute("PRAGMA secure_delete").fetchone()
    store.close()
    assert secure_delete == 1
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as plain:
        assert plain.execute("PRAGMA application_id").fetchone() != (0,)


def test_open_file_follows_no_link_and_does_not_block_on_a_fifo(tmp_path):
    target, link, fifo = tmp_path / "target", tmp_path / "link", tmp_path / "fifo"
    target.touch()
    link.symlink_to(target)
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="symbolic links"):
        open_file(link, os.O_RDWR)
    with pytest.raises(PermissionError, match="it is not a regular file"):
        open_file(fifo, os.O_RDONLY)  # without O_NONBLOCK this waits for a writer
    descriptor = open_file(target, os.O_RDWR)
    assert not os.get_inheritable(descriptor)
    assert target.stat().st_mode & 0o077 == 0o044  # its mode is not changed
    os.close(descriptor)
    new = tmp_path / "new"
    os.close(open_file(new, os.O_RDWR | os.O_CREAT))
    assert new.stat().st_mode & 0o777 == 0o600

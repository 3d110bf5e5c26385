"""A store whose files another program deletes, replaces or overwrites while it is open."""

import shutil
from contextlib import closing

import pytest
from kakuri_registry import (
    SQLiteStore,
    StoreFailed,
    StoreMismatch,
    WorkloadRegistry,
    _store_files,
)
from kakuri_workload.testing import workload


@pytest.fixture(autouse=True)
def always_checks(monkeypatch):
    monkeypatch.setattr(_store_files, "CHECK_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "db"


@pytest.fixture
def store(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.load()
        yield store


def register(store, name, version):
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    registry.register(workload(name), now=1.0)
    store.write([change._replace(version=version) for change in changes])


def ids(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        return sorted(entry.workload.id for entry in store.load().entries)


def log_of(path):
    return path.with_name("db-wal")


def delete_database(path, _backup):
    path.unlink()


def delete_log(path, _backup):
    log_of(path).unlink()


def delete_directory(path, _backup):
    shutil.rmtree(path.parent)


def replace_database(path, backup):
    shutil.copy2(backup, path.with_name("new"))
    path.with_name("new").replace(path)


def overwrite_database(path, backup):
    shutil.copyfile(backup, path)


def empty_database(path, _backup):
    path.write_bytes(b"")


def empty_log(path, _backup):
    log_of(path).write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        delete_database, delete_log, delete_directory, replace_database, overwrite_database,
        empty_database, empty_log,
    ],
)  # fmt: skip
def test_write_after_another_program_changed_a_file_raises_store_failed(
    path, store, tmp_path, damage
):
    register(store, "a", 1 << 21)
    shutil.copy2(path, tmp_path / "backup")
    register(store, "b", (1 << 21) + 1)
    damage(path, tmp_path / "backup")
    with pytest.raises(StoreFailed, match="another program has"):
        register(store, "c", (1 << 21) + 2)


def test_log_that_was_written_to_after_it_was_emptied_fails_the_next_write(
    path, store, monkeypatch
):
    register(store, "a", 1 << 21)
    empty_log(path, None)
    with monkeypatch.context() as patched:
        patched.setattr(_store_files, "CHECK_SECONDS", 1e9)  # as between two checks
        register(store, "b", (1 << 21) + 1)
    with pytest.raises(StoreFailed, match="another program has truncated"):
        register(store, "c", (1 << 21) + 2)


def test_files_that_are_put_back_are_written_again(path, store):
    register(store, "a", 1 << 21)
    path.rename(path.with_name("moved"))
    with pytest.raises(StoreFailed, match="another program has deleted"):
        register(store, "b", (1 << 21) + 1)
    path.with_name("moved").rename(path)
    register(store, "b", (1 << 21) + 1)
    store.close()
    assert ids(path) == ["a", "b"]


def test_store_continues_after_its_own_checkpoints(path, store):
    for number in range(3):
        register(store, f"w-{number}", (1 << 21) + number)
        store.tidy()
    store.close()
    assert ids(path) == ["w-0", "w-1", "w-2"]


@pytest.mark.parametrize("restore", [replace_database, overwrite_database])
def test_backup_restored_under_an_open_store_is_not_mixed_with_its_log(
    path, store, tmp_path, restore
):
    register(store, "a", 1 << 21)
    store.tidy()
    shutil.copy2(path, tmp_path / "backup")
    register(store, "b", (1 << 21) + 1)
    store.tidy()
    register(store, "c", (1 << 21) + 2)
    restore(path, tmp_path / "backup")
    restored = path.read_bytes()
    store.close()
    assert path.read_bytes() == restored
    log_of(path).unlink()
    assert ids(path) == ["a"]


def test_database_that_lost_its_log_is_complete_after_the_store_is_closed(path, store):
    register(store, "a", 1 << 21)
    log_of(path).unlink()
    store.close()
    assert ids(path) == ["a"]


@pytest.mark.parametrize("damage", [delete_database, empty_database])
def test_database_that_is_missing_at_the_next_start_is_a_problem(path, store, damage):
    register(store, "a", 1 << 21)
    store.close()
    damage(path, None)
    for problems in (1, 0):
        with closing(SQLiteStore(path, reserve=0)) as again:
            assert len(again.load().problems) == problems


@pytest.mark.parametrize("damage", [delete_database, empty_database])
def test_log_of_a_missing_database_is_kept(path, store, tmp_path, damage):
    register(store, "a", 1 << 21)
    shutil.copytree(path.parent, tmp_path / "killed")
    killed = tmp_path / "killed" / "db"
    damage(killed, None)
    with pytest.raises(StoreMismatch):
        SQLiteStore(killed, reserve=0)
    shutil.copy2(path, killed)
    assert ids(killed) == ["a"]

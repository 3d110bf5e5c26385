"""A database that was restored or copied gets a new store id, and no other one does."""

import errno
import os
import re
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from kakuri_registry import (
    Change,
    SQLiteStore,
    StoreFailed,
    WorkloadRegistry,
    _session,
    _sqlite,
    check_store,
)
from kakuri_workload.testing import workload

SUFFIXES = ("", "-wal", ".lock")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "db"


@pytest.fixture
def backup(tmp_path):
    (tmp_path / "backup").mkdir(mode=0o700)
    return tmp_path / "backup" / "db"


def changes(*names, version):
    registry, found = WorkloadRegistry(), []
    registry.subscribe(found.append)
    for name in names:
        registry.register(workload(name), now=1.0)
    return [change._replace(version=version + at) for at, change in enumerate(found, 1)]


def run(path, *names, before_end=lambda: None):
    """Open a store, register some workloads, and close it; return its id."""
    with closing(SQLiteStore(path, reserve=0)) as store:
        loaded = store.load()
        assert re.fullmatch("[0-9a-f]{32}", loaded.store_id)
        if names:
            store.write(changes(*names, version=loaded.version))
        before_end()
    return loaded.store_id


def run_killed(path, *names, kill=lambda: None):
    """Do the same as `run` in a process that is killed: where `kill` says, or else at its end.

    Args:
        path: The database.
        names: The workloads.
        kill: A function of `kill_when`.

    Returns:
        The id that the process reported; None if it was killed before.
    """
    source, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kill()
            store = SQLiteStore(path, reserve=0)
            loaded = store.load()
            os.write(out, loaded.store_id.encode())
            if names:
                store.write(changes(*names, version=loaded.version))
            store.close()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(out)
    with os.fdopen(source) as reported:
        store_id = reported.read()
    os.waitpid(child, 0)
    return store_id or None


def kill_when(module, name, call=1, *, is_after=False):
    """Return a function that makes its process kill itself at, or after, the nth call of a function."""

    def prepare():
        original, calls = getattr(module, name), 0

        def replacement(*args, **options):
            nonlocal calls
            calls += 1
            if calls == call and not is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **options)
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(module, name, replacement)

    return prepare


def copy(source, target, suffixes=SUFFIXES):
    for suffix in suffixes:
        file, other = (each.with_name(each.name + suffix) for each in (source, target))
        if file.exists():
            shutil.copy2(file, other)  # as `cp -a` does


def await_tick(path):
    """Wait until a file that is written now gets a later time than this one."""
    probe = path.with_name("probe")
    while True:
        probe.write_bytes(b"x")
        if probe.stat().st_ctime_ns > path.stat().st_ctime_ns:
            break
    probe.unlink()


def lock_of(path):
    return path.with_name(f"{path.name}.lock")


def test_store_keeps_its_id_over_runs_and_differs_from_another(tmp_path):
    first, second = (
        [run(tmp_path / name / "db", f"w-{number}") for number in range(3)]
        for name in ("one", "other")
    )
    assert len({*first}) == len({*second}) == 1
    assert first[0] != second[0]


def test_store_keeps_its_id_after_a_run_that_was_killed(path):
    store_id = run(path, "a")
    for number in range(3):
        never_closed = kill_when(_sqlite, "end_session")
        assert run_killed(path, f"b-{number}", kill=never_closed) == store_id
    assert run(path) == store_id


def test_store_keeps_its_id_if_it_is_only_opened_or_checked(path):
    store_id = run(path, "a")
    SQLiteStore(path, reserve=0).close()
    check_store(path)
    assert run_killed(path, kill=kill_when(_sqlite, "read_all")) is None  # before its session
    assert run(path) == store_id


def test_store_that_is_loaded_twice_keeps_its_id(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        assert store.load().store_id == store.load().store_id


@pytest.mark.parametrize("backup_has_log", [False, True])
def test_restored_backup_gets_a_new_id_and_keeps_it(path, backup, backup_has_log):
    if backup_has_log:
        store_id = run_killed(path, "a", kill=kill_when(_sqlite, "end_session"))
    else:
        store_id = run(path, "a")
    copy(path, backup, ("", "-wal"))
    assert run(path, "b") == store_id
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    copy(backup, path)
    restored = run(path)
    assert restored != store_id
    assert run(path, "c") == restored


def test_backup_that_is_copied_over_the_database_gets_a_new_id(path, backup):
    store_id = run(path, "a")
    copy(path, backup, [""])
    assert run(path, "b") == store_id
    copy(backup, path)
    restored = run(path)
    assert restored != store_id
    copy(backup, path)  # once more
    assert run(path) not in (store_id, restored)


def test_backup_that_is_copied_over_the_database_and_log_of_a_crash_gets_a_new_id(path, backup):
    store_id = run_killed(path, "a", kill=kill_when(_sqlite, "end_session"))
    copy(path, backup, ("", "-wal"))
    assert run_killed(path, "b", kill=kill_when(_sqlite, "end_session")) == store_id
    copy(backup, path)
    assert run(path) != store_id


@pytest.mark.parametrize("suffixes", [("", "-wal"), SUFFIXES])
def test_snapshot_of_a_run_that_is_restored_after_it_gets_a_new_id(path, backup, suffixes):
    def before_end():
        copy(path, backup)
        await_tick(lock_of(path))

    store_id = run(path, "a", before_end=before_end)
    copy(backup, path, suffixes)
    restored = run(path)
    assert restored != store_id
    assert run(path) == restored


def test_directory_that_is_copied_with_its_lock_file_gets_a_new_id(path, backup):
    store_id = run(path, "a")
    await_tick(lock_of(path))
    copy(path, backup)
    assert lock_of(backup).read_bytes() == lock_of(path).read_bytes()
    assert run(backup) != store_id
    assert run(path) == store_id


def test_directory_that_is_renamed_keeps_its_id(path):
    store_id = run(path, "a")
    moved = path.parent.rename(path.parent.with_name("moved")) / path.name
    assert run(moved) == store_id


@pytest.mark.parametrize(
    "kill",
    [
        kill_when(os, "pwrite"),
        kill_when(os, "fsync", 2),  # of the lock file; the first is that of the directory
        kill_when(os, "fsync", 2, is_after=True),
        kill_when(_sqlite, "end_session"),
        kill_when(_sqlite, "end_session", is_after=True),
        kill_when(_session, "truncate_log"),  # at the start, after the mark of the database
        kill_when(_session, "truncate_log", 2),  # at the end, before the next mark
        kill_when(_session, "truncate_log", 3),  # after it
    ],
)
def test_kill_before_or_after_both_marks_keeps_the_id(path, kill):
    store_id = run(path, "a")
    assert run_killed(path, "b", kill=kill) in (store_id, None)
    assert run(path) == store_id


@pytest.mark.parametrize(
    "kill",
    [
        kill_when(os, "pwrite", is_after=True),
        kill_when(_session, "_session_of", 2),
    ],
)
def test_kill_between_the_marks_changes_the_id_once(path, kill):
    store_id = run(path, "a")
    assert run_killed(path, kill=kill) is None
    changed = run(path)
    assert changed != store_id
    assert run(path) == changed


@pytest.mark.parametrize("call", [1, 2, 3])
def test_new_id_is_stored_before_it_is_reported(path, backup, call):
    store_id = run(path, "a")
    copy(path, backup, [""])
    run(path, "b")
    copy(backup, path)
    # At the first point, the id was not reported yet, but may be stored.
    reported = run_killed(path, kill=kill_when(_session, "truncate_log", call))
    assert (reported is None) == (call == 1)
    restored = run(path)
    assert restored != store_id
    assert reported in (None, restored)


def test_id_on_a_disk_that_accepts_no_writes_changes_at_the_next_run(path, backup):
    """The versions of such a run may be used again, so the next run needs another id."""
    ids = [run(path, "a")]
    copy(path, backup, [""])
    with closing(SQLiteStore(path, reserve=0)) as store:
        store._connection.execute("PRAGMA query_only = ON")  # also fails in each write
        loaded = store.load()
        assert loaded.store_id == ids[0]
        assert [problem.is_damage for problem in loaded.problems] == [False]
    ids.append(run(path, "b"))
    copy(backup, path)
    with closing(SQLiteStore(path, reserve=0)) as store:
        store._connection.execute("PRAGMA query_only = ON")
        ids.append(store.load().store_id)  # new, and can't be stored
    ids.append(run(path))
    assert len({*ids}) == len(ids)
    assert run(path) == ids[-1]


@pytest.mark.parametrize("function", ["pwrite", "fsync"])
def test_lock_file_that_a_full_disk_refuses_has_no_session_id(path, backup, monkeypatch, function):
    store_id = run(path, "a")
    copy(path, backup, [""])
    original, calls = getattr(os, function), []

    def refuse_first(*args):
        calls.append(args)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args)

    with closing(SQLiteStore(path, reserve=0)) as store:
        with monkeypatch.context() as patch:
            patch.setattr(_session.os, function, refuse_first)
            assert store.load().store_id == store_id
        assert lock_of(path).read_bytes() == b""
        # As if the run was killed: close() leaves out the marks.
        store._store_id = None
    copy(backup, path)
    assert run(path) != store_id


def test_log_that_cannot_be_truncated_at_the_end_gets_no_second_session_id(path, monkeypatch):
    store_id = run(path, "a")
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.load()
        session = store._connection.execute("SELECT session FROM registry").fetchone()
        monkeypatch.setattr(_session, "truncate_log", lambda _connection: False)
    monkeypatch.undo()
    assert lock_of(path).read_bytes() == b""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT session FROM registry").fetchone() == session
    assert run(path) != store_id


def test_lock_file_that_cannot_be_written_is_an_error_when_the_store_is_loaded(path, monkeypatch):
    store_id = run(path, "a")

    def fail(*_args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(SQLiteStore(path, reserve=0)) as store, monkeypatch.context() as patch:
        patch.setattr(_session.os, "pwrite", fail)
        with pytest.raises(StoreFailed, match=r"can't load the store .*Input/output error"):
            store.load()
    with monkeypatch.context() as patch, closing(SQLiteStore(path, reserve=0)) as store:
        assert store.load().store_id == store_id
        patch.setattr(_session.os, "pwrite", fail)  # the store is closed anyway
    assert run(path) == store_id


def test_session_that_cannot_be_written_leaves_the_log(path):
    run(path, "a")
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        lock_of(path).open("r+b", buffering=0) as lock,
    ):
        before = connection.execute("SELECT session, identity FROM registry").fetchone()
        connection.execute("PRAGMA query_only = ON")
        _, is_truncated = _session.begin_session(connection, lock.fileno(), before[1])
        assert not is_truncated
        assert connection.execute("SELECT session, identity FROM registry").fetchone() == before


def test_lock_file_is_on_disk_before_the_id_is_reported_even_if_the_database_is_not(
    path, monkeypatch
):
    run(path, "a")
    with closing(SQLiteStore(path, reserve=0)) as store, monkeypatch.context() as patch:
        synced, original = [], os.fsync
        patch.setattr(_session.os, "fsync", lambda file: (synced.append(file), original(file)))
        store._connection.execute("PRAGMA query_only = ON")
        store.load()
        assert synced == [store._lock]


def test_id_that_is_damaged_is_replaced(path):
    store_id = run(path, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as damaged:
        damaged.execute("UPDATE registry SET identity = 'x'")
    replaced = run(path)
    assert replaced != store_id
    assert run(path) == replaced


def test_recovered_database_gets_a_new_id_and_keeps_it(path):
    store_id = run(path, *(f"w-{number}" for number in range(100)))
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xff" * 4096
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    recovered = run(path)
    assert path.with_name("db.damaged-1").exists()
    assert recovered != store_id
    assert run(path) == recovered


def test_first_run_after_one_without_marks_gets_a_new_id_and_keeps_it(path):
    """An earlier version of this package left the lock file empty."""
    store_id = run(path, "a")
    os.truncate(lock_of(path), 0)
    first = run(path)
    assert first != store_id
    assert run(path) == first


def test_database_and_lock_file_that_both_have_no_session_id_get_a_new_id(path):
    store_id = run(path, "a")
    os.truncate(lock_of(path), 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE registry SET session = NULL")
    assert run(path) != store_id


def test_change_of_a_restored_store_is_not_lost(path, backup):
    run(path, "a")
    copy(path, backup, [""])
    run(path, "b")
    copy(backup, path)
    run(path, "c")
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.write([Change("a", store.load().version + 1, None)])
    with closing(SQLiteStore(path, reserve=0)) as store:
        assert [entry.workload.id for entry in store.load().entries] == ["c"]

"""Tests that a log is applied only to the database that it belongs to."""

import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest
from kakuri_registry import (
    Change,
    SQLiteStore,
    StoreMismatch,
    WorkloadEntry,
    _session,
    _sqlite,
    _write_ahead_log,
)
from kakuri_registry._write_ahead_log import LOG_HEADER, LogLimit, read_logged_pages
from kakuri_workload import Run, Workload, WorkloadState


def put(name, version=1, size=0):
    workload = Workload(name, "nginx", "edera-zone", 1, 1, env={"X": "x" * size} if size else {})
    entry = WorkloadEntry(workload, Run(WorkloadState.PENDING), version, 0.0, 0.0)
    return Change(name, version, entry, (), is_registration=True)


def ids(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        return [entry.workload.id for entry in store.load().entries]


class Node:
    """A directory with a store, whose process dies: only the files on disk survive."""

    def __init__(self, directory):
        self.path = directory / "node" / "db"
        self.crashed = directory / "crashed" / "db"
        self.backup = directory / "backup" / "db"
        for path in (self.crashed, self.backup):
            path.parent.mkdir(mode=0o700)
        self.version = 1

    def copy(self, to, *, log):
        shutil.copy(self.path, to)
        if log:
            shutil.copy(f"{self.path}-wal", f"{to}-wal")

    def run(self, *names, size=0, before_end=lambda: None):
        """Open the store, write some workloads (all but the last of this size), and close it."""
        with closing(SQLiteStore(self.path, reserve=0)) as store:
            self.version = store.load().version
            for name in names:
                self.version += 1
                store.write([put(name, self.version, 0 if name == names[-1] else size)])
            before_end()

    def crash(self, *names, size=0):
        """Do as `run`, and copy the files that a crash at the end leaves to `crashed`."""
        self.run(*names, size=size, before_end=lambda: self.copy(self.crashed, log=True))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_log_after_a_crash_is_applied_to_its_database(node):
    node.run("a")
    node.crash("b", "c")
    assert ids(node.crashed) == ["a", "b", "c"]


@pytest.mark.parametrize("runs_between", [0, 1, 3])
def test_backup_next_to_the_log_of_a_later_run_raises_store_mismatch_and_changes_neither(
    node, runs_between
):
    node.run("a")
    node.copy(node.backup, log=False)
    for number in range(runs_between):
        node.run(f"between-{number}")
    node.crash("b", "c")
    shutil.copy(node.backup, node.crashed)
    files = [node.crashed, node.crashed.with_name("db-wal")]
    before = [file.read_bytes() for file in files]
    for _ in range(2):
        with pytest.raises(StoreMismatch, match=r"db-wal' does not belong to the database .*db'"):
            SQLiteStore(node.crashed)
        assert [file.read_bytes() for file in files] == before
    files[1].unlink()  # as the message recommends
    assert ids(node.crashed) == ["a"]


def test_backup_next_to_a_log_that_was_restarted_since_raises_store_mismatch(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    node.run("a")
    node.copy(node.backup, log=False)
    node.crash(*(f"w-{number}" for number in range(4)), size=50_000)
    # Fewer than each of the first three writes adds.
    assert read_logged_pages(node.crashed).number < 8
    shutil.copy(node.backup, node.crashed)
    with pytest.raises(StoreMismatch):
        SQLiteStore(node.crashed)


def test_backup_with_its_own_log_replaces_database_and_log(node):
    node.run("a", before_end=lambda: node.copy(node.backup, log=True))
    node.crash("b", "c")
    for suffix in ("", "-wal"):
        shutil.copy(f"{node.backup}{suffix}", f"{node.crashed}{suffix}")
    assert ids(node.crashed) == ["a"]


def test_crash_at_any_point_of_a_start_leaves_a_log_that_belongs_to_its_database(node, monkeypatch):
    """The machine dies after the mark is written, or after the checkpoint."""
    node.run("a")
    images = []
    truncate_log = _write_ahead_log.truncate_log

    def keep(connection):
        for moment in ("marked", "emptied"):
            image = node.crashed.with_name(f"{moment}-{len(images)}")
            node.copy(image, log=True)
            images.append(image)
            if moment == "marked":
                is_empty = truncate_log(connection)
        return is_empty

    monkeypatch.setattr(_session, "truncate_log", keep)
    node.run("b")
    monkeypatch.undo()
    assert [ids(image) for image in images[:2]] == [["a"], ["a"]]


def test_log_that_a_full_disk_keeps_from_being_truncated_still_belongs_to_its_database(
    node, monkeypatch
):
    node.run("a")
    monkeypatch.setattr(_session, "truncate_log", lambda _connection: False)
    monkeypatch.setattr(_sqlite, "truncate_log", lambda _connection: False)
    node.crash("b", "c")
    monkeypatch.undo()
    assert ids(node.crashed) == ["a", "b", "c"]


def test_database_without_a_session_id_accepts_its_log(node):
    with closing(SQLiteStore(node.path, reserve=0)) as store:  # never loaded
        store.write([put("a")])
        node.copy(node.crashed, log=True)
    assert ids(node.crashed) == ["a"]


def test_log_is_overwritten_at_its_largest_size_and_keeps_its_length(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    names = [f"w-{number}" for number in range(24)]
    sizes, pages = [], []
    with closing(SQLiteStore(node.path, reserve=0)) as store:
        version = store.load().version
        for number, name in enumerate(names, 1):
            store.write([put(name, version + number, 5000)])
            sizes.append(node.path.with_name("db-wal").stat().st_size)
            pages.append(read_logged_pages(node.path).number)
            node.copy(node.crashed, log=True)
            assert ids(node.crashed) == names[:number]
    first_restart = next(at for at, (one, two) in enumerate(pairwise(pages), 1) if two < one)
    assert max(pages) < 8 + pages[0]  # one write beyond the largest size
    assert min(sizes[first_restart:]) >= LOG_HEADER + 8 * 4120
    assert sum(two < one for one, two in pairwise(pages)) > 3


def test_power_failure_while_a_log_is_overwritten_is_not_reported_as_damage(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    log, torn = (path.with_name("db-wal") for path in (node.path, node.crashed))
    names, overwritten = [], 0
    with closing(SQLiteStore(node.path, reserve=0)) as store:
        version = store.load().version
        for number in range(1, 13):
            before = log.read_bytes()
            node.copy(node.backup, log=False)
            store.write([put(f"w-{number:02}", version + number, 5000)])
            after = log.read_bytes()
            sectors = range(0, len(before), 512)
            changed = [at for at in sectors if before[at : at + 512] != after[at : at + 512]]
            if node.path.read_bytes() != node.backup.read_bytes():
                changed = []  # a checkpoint, before which the log was synced
            overwritten += bool(changed)
            for at in changed[:4]:  # of this write, only one sector reached the disk
                shutil.copy(node.backup, node.crashed)
                torn.write_bytes(before[:at] + after[at : at + 512] + before[at + 512 :])
                with closing(SQLiteStore(node.crashed, reserve=0)) as crashed:
                    loaded = crashed.load()
                assert [each for each in loaded.problems if each.is_damage] == []
                assert [each.workload.id for each in loaded.entries] == names
            names.append(f"w-{number:02}")
    assert overwritten > 1


def test_log_enlarged_by_a_large_transaction_is_truncated_when_it_is_overwritten(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    log = node.path.with_name("db-wal")
    with closing(SQLiteStore(node.path, reserve=0)) as store:
        version = store.load().version
        store.write([put("large", version + 1, 100_000)])
        assert log.stat().st_size > 100_000
        store.write([put("small", version + 2)])
        assert log.stat().st_size == LOG_HEADER + 8 * 4120
        store.write([put("third", version + 3)])
        assert read_logged_pages(node.path).number < 8
        node.copy(node.crashed, log=True)
    assert ids(node.crashed) == ["large", "small", "third"]


def test_first_transaction_that_overwrites_a_log_marks_it(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    with closing(SQLiteStore(node.path, reserve=0)) as store:
        version = store.load().version
        store.write([put("a", version + 1)])
        node.copy(node.backup, log=False)
        store.write([put("large", version + 2, 50_000)])  # the log is checkpointed
        store.write([put("b", version + 3)])
        node.copy(node.crashed, log=True)
    connection = sqlite3.connect(node.backup)
    with closing(connection), connection:
        connection.execute("UPDATE registry SET session = session + 1")  # as another run would
    assert _write_ahead_log._marks(node.backup, "mode=ro") != _write_ahead_log._marks(
        node.crashed, "mode=ro"
    )
    shutil.copy(node.backup, node.crashed)
    with pytest.raises(StoreMismatch):
        SQLiteStore(node.crashed)


def test_log_limit_is_reached_when_the_last_frame_has_the_salts_of_this_log(tmp_path):
    log = tmp_path / "db-wal"
    limit = LogLimit(tmp_path / "db", pages=2, page_size=512)
    assert limit.size == 32 + 2 * (24 + 512)
    second = limit.size - 512 - 24

    def write(frame: int, salts: bytes) -> None:
        with log.open("r+b") as file:
            file.seek(frame + 8)
            file.write(salts)

    log.write_bytes(b"\0" * second)  # a header and one frame
    assert not limit.is_reached()
    write(second, b"salts 1_")
    assert limit.is_reached()
    limit.begin_log()
    assert not limit.is_reached()
    write(32, b"salts 2_")
    assert not limit.is_reached()
    write(second, b"salts 2_")
    assert limit.is_reached()
    log.write_bytes(b"")  # truncated
    limit.begin_log()
    assert not limit.is_reached()
    log.unlink()
    log.write_bytes(b"\0" * limit.size)  # the log of another database, in a new file
    assert not limit.is_reached()
    limit.close()
    assert limit.is_reached()
    limit.close()
    limit.close()


def test_log_is_not_truncated_while_another_connection_reads_it(tmp_path):
    path = tmp_path / "db"
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as writer,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as reader,
    ):
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE numbers (number)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM numbers").fetchall()
        writer.execute("INSERT INTO numbers VALUES (1)")
        assert not _write_ahead_log.truncate_log(writer)
        reader.execute("COMMIT")
        assert _write_ahead_log.truncate_log(writer)
    assert not _write_ahead_log.truncate_log(writer)  # it is closed


@pytest.mark.parametrize(
    ("in_file", "in_log", "belongs"),
    [
        (None, None, True),
        (None, (1, None), True),  # a log from before the first checkpoint has the whole database
        ((1, None), None, True),
        ((None, None), (1, None), True),  # a database from before there were session ids
        ((1, None), (1, None), True),
        ((1, 2), (1, 2), True),
        ((1, None), (3, 1), True),
        ((1, 2), (3, 2), False),
        ((1, 2), (2, None), False),
        ((1, None), (2, None), False),
        ((1, None), (None, None), False),
    ],
)
def test_log_belongs_to_its_database_by_their_session_ids(
    tmp_path, monkeypatch, in_file, in_log, belongs
):
    path = tmp_path / "db"
    for name in ("db", "db-wal", "db-shm"):
        (tmp_path / name).write_bytes(b"content")
    marks = {"immutable=1": in_file, "mode=ro": in_log}
    monkeypatch.setattr(_write_ahead_log, "_marks", lambda _, mode: marks[mode])
    if belongs:
        _write_ahead_log.check_log(path)
    else:
        with pytest.raises(StoreMismatch):
            _write_ahead_log.check_log(path)
    assert {each.name for each in tmp_path.iterdir()} == {"db", "db-wal"}

"""A log is applied only to the database that it belongs to."""

import shutil
from contextlib import closing

import pytest
from kakuri_registry import Change, SQLiteStore, StoreMismatch, WorkloadEntry, _session, _sqlite
from kakuri_workload import Workload, WorkloadState


def put(name, version=1, size=0):
    workload = Workload(name, "nginx", "edera-zone", 1, 1, env={"X": "x" * size} if size else {})
    entry = WorkloadEntry(workload, WorkloadState.PENDING, version, 0.0, 0.0)
    return Change(name, version, entry, (), is_new=True)


def ids(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        return [entry.workload.id for entry in store.load().entries]


class Node:
    """A folder with a store whose process dies: only what is on the disk counts."""

    def __init__(self, folder):
        self.path = folder / "node" / "db"
        self.crashed = folder / "crashed" / "db"
        self.backup = folder / "backup" / "db"
        for path in (self.crashed, self.backup):
            path.parent.mkdir(mode=0o700)
        self.version = 1

    def copy(self, to, *, log):
        shutil.copy(self.path, to)
        if log:
            shutil.copy(f"{self.path}-wal", f"{to}-wal")

    def run(self, *names, size=0, before_end=lambda: None):
        """Start, write some workloads (all but the last of this size), and stop in order."""
        with closing(SQLiteStore(self.path, reserve=0)) as store:
            self.version = store.load().version
            for name in names:
                self.version += 1
                store.write([put(name, self.version, 0 if name == names[-1] else size)])
            before_end()

    def crash(self, *names, size=0):
        """Do as `run`, and keep what a crash at the end leaves in `crashed`."""
        self.run(*names, size=size, before_end=lambda: self.copy(self.crashed, log=True))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_log_that_a_crash_left_is_applied_to_its_database(node):
    node.run("a")
    node.crash("b", "c")
    assert ids(node.crashed) == ["a", "b", "c"]


@pytest.mark.parametrize("runs_between", [0, 1, 3])
def test_backup_beside_the_log_of_a_later_run_is_refused_and_both_stay_as_they_are(
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
    files[1].unlink()  # as the message says
    assert ids(node.crashed) == ["a"]


def test_backup_is_refused_even_if_the_log_was_restarted_since(node, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    node.run("a")
    node.copy(node.backup, log=False)
    node.crash(*(f"w-{number}" for number in range(4)), size=50_000)
    assert 0 < node.crashed.with_name("db-wal").stat().st_size < 8 * 4120
    shutil.copy(node.backup, node.crashed)
    with pytest.raises(StoreMismatch):
        SQLiteStore(node.crashed)


def test_backup_with_its_own_log_is_restored_over_both(node):
    node.run("a", before_end=lambda: node.copy(node.backup, log=True))
    node.crash("b", "c")
    for suffix in ("", "-wal"):
        shutil.copy(f"{node.backup}{suffix}", f"{node.crashed}{suffix}")
    assert ids(node.crashed) == ["a"]


def test_every_moment_of_a_start_leaves_a_log_that_belongs_to_its_database(node, monkeypatch):
    """As if the machine had died after the mark, and after the log was brought in."""
    node.run("a")
    images = []
    empty_log = _session.empty_log

    def keep(connection):
        for moment in ("marked", "emptied"):
            image = node.crashed.with_name(f"{moment}-{len(images)}")
            node.copy(image, log=True)
            images.append(image)
            if moment == "marked":
                is_empty = empty_log(connection)
        return is_empty

    monkeypatch.setattr(_session, "empty_log", keep)
    node.run("b")
    monkeypatch.undo()
    assert [ids(image) for image in images[:2]] == [["a"], ["a"]]


def test_log_of_a_full_disk_that_could_not_be_emptied_still_belongs(node, monkeypatch):
    node.run("a")
    monkeypatch.setattr(_session, "empty_log", lambda _connection: False)
    monkeypatch.setattr(_sqlite, "empty_log", lambda _connection: False)
    node.crash("b", "c")
    monkeypatch.undo()
    assert ids(node.crashed) == ["a", "b", "c"]


def test_database_without_a_mark_takes_its_log(node):
    with closing(SQLiteStore(node.path, reserve=0)) as store:  # never loaded
        store.write([put("a")])
        node.copy(node.crashed, log=True)
    assert ids(node.crashed) == ["a"]


def test_log_is_emptied_when_it_is_long(tmp_path, monkeypatch):
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 8)
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        store.load()
        sizes = []
        for number in range(12):
            store.write([put(f"w-{number}", number + 1, 5000)])
            sizes.append((tmp_path / "db-wal").stat().st_size)
        assert 0 in sizes
        assert max(sizes) < 8 * 4120

import errno
import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from kakuri_registry import (
    STORE_FAILPOINTS,
    VERSION_GAP,
    Change,
    MemoryStore,
    SQLiteStore,
    StoreFailed,
    StoreFull,
    StoreLocked,
    StoreReport,
    StoreTooNew,
    WorkloadEntry,
    WorkloadRegistry,
    _directory,
    _recovery,
    check_store,
)
from kakuri_registry._rows import COLUMNS
from kakuri_registry._schema import SCHEMA_VERSION
from kakuri_registry._store import no_failpoint
from kakuri_registry._write_ahead_log import FRAME_HEADER, FRAME_SALTS, LOG_HEADER
from kakuri_workload import (
    DesiredState,
    PullPolicy,
    Removal,
    RestartPolicy,
    Run,
    Transition,
    Workload,
    WorkloadState,
)
from kakuri_workload.testing import workload

CASES = Path(__file__).parent / "cases"
PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def put(
    workload_id: str, version: int = 1, *, is_registration: bool = True, **fields: object
) -> Change:
    entry = WorkloadEntry(workload(workload_id), Run(PENDING, **fields), version, 0.0, 0.0)
    return Change(workload_id, version, entry, (), is_registration)


def filled(path: Path, count: int) -> list[WorkloadEntry]:
    with closing(SQLiteStore(path)) as store:
        changes = [put(f"w-{number:05}", number + 1) for number in range(count)]
        store.write(changes)
    return [change.entry for change in changes]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "kakuri.db"


@pytest.fixture(params=["memory", "sqlite"])
def reopened(request, path):
    """Return a function that closes the store, if it is open, and opens it again."""
    stores = []

    def reopen():
        if request.param == "memory":
            stores[:] = stores or [MemoryStore()]
        else:
            for store in stores:
                store.close()
            stores[:] = [SQLiteStore(path)]
        return stores[0]

    yield reopen
    for store in stores:
        store.close()


def test_store_reopened_loads_every_written_field(reopened):
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    store = reopened()
    for name in ("a", "b", "c"):
        registry.register(workload(name, labels={"team": "red"}, pull=PullPolicy.NEVER), now=1.0)
    registry.update("b", Run(RUNNING, address="10.0.0.2", image_digest="sha256:0f"), now=2.0)
    registry.remove("c")
    for change in changes:
        store.write([change])
    loaded = reopened().load()
    again = WorkloadRegistry.load(loaded)
    assert loaded.problems == ()
    assert again.page() == registry.page()
    assert again.page(label=("team", "red"), state=RUNNING) == [registry.get("b")]
    assert again.history("b") == (Transition(1.0, PENDING), Transition(2.0, RUNNING))
    assert again.version >= registry.version
    assert again.register(workload("d"), now=3.0).version > registry.version


def test_store_reopened_loads_counts_of_histories(reopened):
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    registry.register(workload("a"), now=0)
    for attempt in range(3):
        registry.update("a", Run(RUNNING), now=attempt)
        registry.restart("a", now=attempt, restart_at=9.0, reason="BackOff")
    reopened().write(changes[-1:])
    again = WorkloadRegistry.load(reopened().load())
    assert again.history("a") == registry.history("a")
    assert again.history("a")[-1].count == 3


def test_registry_loaded_from_a_store_continues_its_versions(reopened):
    registry, changes = WorkloadRegistry(), []
    registry.subscribe(changes.append)
    registry.register(workload("later"), now=1.0)
    registry.register(workload("sooner"), now=1.0)
    registry.update("later", Run(FAILED), now=9.0)
    registry.update("sooner", Run(FAILED), now=8.0)
    reopened().write(list({change.workload_id: change for change in changes}.values()))
    again = WorkloadRegistry.load(reopened().load(), max_workloads=1)
    removable = again.removable(now=20.0, retention=10.0)
    assert [entry.workload.id for entry in removable] == ["sooner", "later"]
    assert len(again) == 2  # a lower limit does not drop workloads


def test_versions_grow_across_restarts_without_a_write(path):
    versions = []
    for _ in range(3):
        with closing(SQLiteStore(path)) as store:
            versions.append(store.load().version)
            store.write([put("a", versions[-1] + 1), Change("b", versions[-1] + 2, None)])
    assert versions[0] == VERSION_GAP
    assert versions[1] - versions[0] > VERSION_GAP
    with closing(SQLiteStore(path)) as store:
        before = store.load().version
        assert store.load().version == before + VERSION_GAP


def test_write_of_many_changes_stores_the_same_as_single_writes(path):
    entries = filled(path, 300)
    with closing(SQLiteStore(path)) as store:
        assert sorted(store.load().entries, key=lambda entry: entry.version) == entries
        store.write([Change(f"w-{number:05}", 400, None) for number in range(1, 300)])
        assert store.load().entries == entries[:1]


def test_lone_surrogates_and_numbers_that_sqlite_cannot_hold_are_stored(path):
    odd = put("odd", 2, message="lone \ud800", exit_code=10**30)
    with closing(SQLiteStore(path)) as store:
        store.write([put("plain", 1, message="…"), odd, Change("gone \udfff", 3, None)])
        first, second = store.load().entries
    assert (first.run.message, second.run.message) == ("…", "lone \ud800")
    assert second.run.exit_code == 2**63 - 1


def test_files_of_a_store_are_readable_by_this_user_only(path):
    old = os.umask(0)
    try:
        with closing(SQLiteStore(path)) as store:
            store.write([put("a")])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {"kakuri.db", "kakuri.db-wal", "kakuri.db.lock", "kakuri.db.reserve"} == set(modes)
    assert set(modes.values()) == {0o600}


def test_database_syncs_at_every_commit(path):
    with closing(SQLiteStore(path)) as store:
        pragmas = ("journal_mode", "synchronous", "locking_mode")
        values = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert values == ["wal", 2, "exclusive"]


def test_second_store_on_one_database_raises_store_locked(path):
    with closing(SQLiteStore(path)):
        with pytest.raises(StoreLocked, match=r"another process has '.*kakuri\.db' open"):
            SQLiteStore(path)
        code = "import sys, kakuri_registry\nkakuri_registry.SQLiteStore(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
        )
        assert "StoreLocked: another process has" in other.stderr
    SQLiteStore(path).close()


def test_database_that_another_program_reads_raises_store_locked(path):
    filled(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked):
            SQLiteStore(path)


def test_closed_store_raises_store_failed(path):
    store = SQLiteStore(path)
    assert repr(store) == f"<SQLiteStore '{path}' open>"
    store.close()
    store.close()
    assert repr(store) == f"<SQLiteStore '{path}' closed>"
    for use in (lambda: store.write([put("a")]), store.check_room):
        with pytest.raises(StoreFailed, match="is closed"):
            use()


def test_database_of_an_earlier_schema_is_migrated(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((CASES / "schema-1.sql").read_text())
    with closing(SQLiteStore(path)) as store:
        (entry,) = store.load().entries
        assert entry.workload == Workload(
            "wl-old", "nginx:latest", "edera-zone", 512, 500, (), ("two", "words"), {"A": "1"},
            restart_policy=RestartPolicy.ALWAYS,
        )  # fmt: skip
        assert (entry.state, entry.version, entry.run.address) == (RUNNING, 40, "10.0.0.2")
        store.write([Change("wl-old", 50, entry, (Transition(1001.5, RUNNING),))])
    with closing(SQLiteStore(path)) as store:
        assert store.load().histories == {"wl-old": (Transition(1001.5, RUNNING),)}
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_database_with_ids_of_the_runtime_loses_only_their_columns(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((CASES / "schema-5.sql").read_text())
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert loaded.problems == ()
    waiting, ended, stopping = loaded.entries
    digest = "sha256:" + "0" * 64
    assert waiting.workload == Workload(
        "wl-run", "nginx:latest", "edera-zone", 512, 500, ("sh", "-c"), ("two\nlines", "\\"),
        {"A": "1"}, "/srv", "1000:0", {"team": "x"}, RestartPolicy.ALWAYS, 7, PullPolicy.NEVER,
    )  # fmt: skip
    why = "the last run ended: Error, exit code 3"
    assert waiting.run == Run(PENDING, "BackOff", why, 3, None, 1001.0, None, 1, digest)
    assert (waiting.version, waiting.registered_at, waiting.changed_at) == (3, 1000.0, 1003.0)
    assert (waiting.failures, waiting.restart_at) == (1, 1013.0)
    assert ended.run == Run(FAILED, "ImagePullFailed", "no such image")
    assert stopping.run == Run(RUNNING, started_at=1006.5)
    assert (stopping.desired, stopping.grace_seconds) == (DesiredState.STOP, 5)
    assert loaded.histories["wl-run"] == (
        Transition(1001.5, RUNNING),
        Transition(1003.0, PENDING, "BackOff", why, 3, 1),
    )
    with closing(sqlite3.connect(path)) as new:
        columns = {row[1] for row in new.execute("PRAGMA table_info(workloads)")}
        assert columns == {"number", *COLUMNS}
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_database_with_events_in_rows_of_workloads_keeps_them_and_loses_the_column(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((CASES / "schema-9.sql").read_text())
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        (entry,) = loaded.entries
        assert (entry.workload.id, entry.state, entry.trace) == ("wl-run", RUNNING, TRACE)
        assert [(event.index, event.id, event.trace) for event in loaded.events] == [
            (1, None, None),
            (2, "wl-run", TRACE),
            (3, "wl-gone", None),
            (4, "wl-run", TRACE),
            (5, "wl-gone", None),
            (6, "wl-gone", None),
        ]
        store.write([put("wl-new", loaded.version + 1)])
    assert check_store(path) == StoreReport(2, ())
    with closing(sqlite3.connect(path)) as new:
        columns = {row[1] for row in new.execute("PRAGMA table_info(workloads)")}
        assert columns == {"number", *COLUMNS}
        query = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        assert new.execute(query).fetchall() == []
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_failed_migration_leaves_the_old_database_unchanged(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((CASES / "schema-1.sql").read_text())
        old.execute(
            "ALTER TABLE workloads ADD COLUMN history TEXT"
        )  # so that the migration can't add it
    with pytest.raises(StoreFailed, match="duplicate column"):
        SQLiteStore(path)
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)


def test_database_of_a_later_version_raises_store_too_new_and_changes_nothing(path):
    filled(path, 1)
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    path.chmod(0o640)
    before = path.read_bytes()
    with pytest.raises(StoreTooNew) as caught:
        SQLiteStore(path)
    assert str(caught.value) == (
        f"expected a database of schema {SCHEMA_VERSION} or earlier in '{path}', "
        f"got schema {SCHEMA_VERSION + 1}: a later version has written it"
    )
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o640


def test_database_of_another_application_raises_store_failed_and_changes_nothing(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE workloads (dear TEXT)")
    path.chmod(0o664)
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="got another application's"):
        SQLiteStore(path)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o664
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("state = 'flying'", "got 'flying'"),
        ("image = 'no image!'", "got 'no image!'"),
        ("message = CAST(x'ff' AS TEXT)", "expected text in message"),
        ("memory_mb = 'much'", "expected a whole number in memory_mb"),
        ("changed_at = NULL", "expected a time in changed_at, got None"),
    ],
)
def test_invalid_row_is_a_problem_and_the_others_are_loaded(path, change, problem):
    entries = filled(path, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as poison:
        poison.execute(f"UPDATE workloads SET {change} WHERE id = 'w-00001'")
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert loaded.entries == [entries[0], entries[2]]
        (found,) = loaded.problems
        assert found.workload_id == "w-00001"
        assert problem in found.message
        # It may be registered again.
        store.write([put("w-00001", 9)])
        assert len(store.load().entries) == 3
        assert store.load().problems == ()


def pages_of(path: Path) -> list[int]:
    """Return the numbers of the pages that have rows of workloads."""
    data = path.read_bytes()
    return [
        page for page in range(len(data) // 4096)
        if data[page * 4096] == 0x0D and b"edera-zone" in data[page * 4096 : (page + 1) * 4096]
    ]  # fmt: skip


def overwrite(path: Path, page: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(data)


@pytest.mark.parametrize("which", [[0], [-1], [5, 15], [3, 4, -1], [0, 9, 10, -1]])
def test_damaged_database_is_recovered_with_all_readable_rows(path, which):
    entries = filled(path, 1000)
    pages = pages_of(path)
    lost = set()
    for index in which:
        page = pages[index]
        lost |= set(re.findall(rb"w-\d{5}", path.read_bytes()[page * 4096 : (page + 1) * 4096]))
        overwrite(path, page, b"\xff" * 4096)
    damaged = path.read_bytes()
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        kept = [entry for entry in entries if entry.workload.id.encode() not in lost]
        assert 0 < len(lost) <= 60 * len(which)
        assert sorted(loaded.entries, key=lambda entry: entry.version) == kept
        (problem,) = loaded.problems
        assert f"{len(kept)} workloads were recovered" in problem.message
        aside = path.with_name("kakuri.db.damaged-1")
        assert f"is kept as '{aside}'" in problem.message
        assert aside.read_bytes() == damaged
        store.write([put("again", loaded.version + 1)])
    with closing(SQLiteStore(path)) as store:
        assert len(store.load().entries) == len(kept) + 1
        assert store.load().problems == ()


def test_damaged_database_keeps_a_row_whose_text_is_not_utf_8(path):
    entries = filled(path, 1000)
    with closing(sqlite3.connect(path, isolation_level=None)) as poison:
        poison.execute("UPDATE workloads SET message = CAST(x'ff' AS TEXT) WHERE id = 'w-00000'")
    lost = re.findall(rb"w-\d{5}", path.read_bytes()[pages_of(path)[-1] * 4096 :][:4096])
    overwrite(path, pages_of(path)[-1], b"\xff" * 4096)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert b"w-00000" not in lost
    assert len(loaded.entries) == len(entries) - len(set(lost)) - 1
    (found,) = [problem for problem in loaded.problems if problem.workload_id == "w-00000"]
    assert "expected text in message" in found.message


def test_file_of_a_store_that_is_no_longer_a_database_is_kept_and_replaced(path):
    SQLiteStore(path).close()
    for number in (1, 2):
        path.write_bytes(b"not a database, but as long as one, for sure" * 100)
        with closing(SQLiteStore(path)) as store:
            loaded = store.load()
            assert loaded.entries == []
            assert "0 workloads were recovered" in loaded.problems[0].message
        assert path.with_name(f"kakuri.db.damaged-{number}").read_bytes().startswith(b"not a")


@pytest.mark.parametrize("content", [b"notes\n", b"other notes " * 100])
def test_file_that_never_was_a_database_raises_store_failed_and_changes_nothing(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(StoreFailed, match=r"in '.*/notes\.txt', got another kind of file"):
        SQLiteStore(path)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, 0o644)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("stored", "tombstone", "expected"),
    [(None, 0, 1000), ("none", 0, 1000), (1, 0, 1000), (5000, 0, 5000), (1, 7000, 7000)],
)
def test_recovered_database_continues_after_the_latest_version_that_is_readable(
    path, stored, tombstone, expected
):
    """`stored` is in the table of the registry, 1000 the last workload's, `tombstone` a removal's."""
    registry = WorkloadRegistry()
    registry.register(workload("gone"), now=1.0)
    removal = []
    registry.subscribe(removal.append)
    registry.remove("gone", now=2.0, removal=Removal("s1", "c1", 0, "list"))
    filled(path, 1000)
    with closing(SQLiteStore(path)) as store:
        if tombstone:
            store.write(removal)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        if stored is None:
            other.execute("DELETE FROM registry")
        else:
            other.execute("UPDATE registry SET version = ?", (stored,))
        if tombstone:
            other.execute("UPDATE tombstones SET number = ?", (tombstone,))
    overwrite(path, pages_of(path)[3], b"\xff" * 4096)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert loaded.version == expected + VERSION_GAP
        assert loaded.compacted == expected
        assert len(loaded.tombstones) == bool(tombstone)


def test_recovered_database_of_an_earlier_schema_has_its_rows(path):
    entries = filled(path, 1000)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE workloads DROP COLUMN message")
    overwrite(path, pages_of(path)[3], b"\xff" * 4096)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert 900 < len(loaded.entries) < 1000
    assert {entry.workload.id for entry in loaded.entries} < {e.workload.id for e in entries}


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM registry",
        "UPDATE registry SET version = 'none'",
        "UPDATE registry SET compacted = x'ff'",
    ],
)
def test_database_without_a_valid_version_is_recovered(path, change):
    entries = filled(path, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(change)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert (loaded.entries, loaded.version) == (entries, 3 + VERSION_GAP)
        (problem,) = loaded.problems
        assert "the registry has no valid version" in problem.message
        assert "3 workloads were recovered" in problem.message
    with closing(SQLiteStore(path)) as store:
        assert store.load().problems == ()


def test_truncated_database_is_recovered(path):
    entries = filled(path, 1000)
    os.truncate(path, path.stat().st_size // 2)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert 100 < len(loaded.entries) < 1000
    assert {entry.workload.id for entry in loaded.entries} < {e.workload.id for e in entries}


def test_database_whose_index_lacks_a_row_is_recovered(path):
    entries = filled(path, 50)
    with closing(sqlite3.connect(path, isolation_level=None)) as clever:
        (sql,) = clever.execute("SELECT sql FROM sqlite_schema WHERE name = 'workloads'").fetchone()
        clever.execute(sql.replace("workloads", "twin"))
        clever.execute("INSERT INTO twin SELECT * FROM workloads WHERE number != 8")
        roots = dict(
            clever.execute("SELECT tbl_name, rootpage FROM sqlite_schema WHERE type = 'index'")
        )
        clever.execute("PRAGMA writable_schema = ON")
        for table, other in (("workloads", "twin"), ("twin", "workloads")):
            clever.execute(
                "UPDATE sqlite_schema SET rootpage = ? WHERE type = 'index' AND tbl_name = ?",
                (roots[other], table),
            )
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert loaded.entries == entries
        assert "the index has 49 workloads, the table 50" in loaded.problems[0].message


class Crash(BaseException):
    """Stands for the end of the process."""


def crash_at(monkeypatch, number):
    """Raise Crash at the n-th change of a name in the directory."""
    remaining = number

    def counted(change):
        def call(*arguments, **options):
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                raise Crash
            return change(*arguments, **options)

        return call

    for owner, name in (
        (os, "link"),
        (Path, "replace"),
        (Path, "unlink"),
        (_recovery, "sync_directory"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


def test_crash_at_any_point_of_recovery_loses_no_readable_row(path, monkeypatch):
    entries = filled(path, 1000)
    overwrite(path, pages_of(path)[3], b"\xff" * 4096)
    damaged = path.read_bytes()
    for number in range(1, 100):
        with monkeypatch.context() as patched:
            crash_at(patched, number)
            try:
                with closing(SQLiteStore(path)) as store:
                    store.load()
                break
            except Crash:
                pass
        with closing(SQLiteStore(path)) as store:
            loaded = store.load().entries
        assert 900 < len(loaded) < len(entries)
        path.write_bytes(damaged)
    assert number > 5


def test_recovery_makes_each_step_durable_before_the_next_one(path, monkeypatch):
    filled(path, 1000)
    overwrite(path, pages_of(path)[3], b"\xff" * 4096)
    steps = []

    def noted(name, call):
        def act(*arguments, **options):
            steps.append((name, *(Path(each).name for each in arguments)))
            return call(*arguments, **options)

        return act

    monkeypatch.setattr(os, "link", noted("link", os.link))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    monkeypatch.setattr(Path, "unlink", noted("unlink", Path.unlink))
    monkeypatch.setattr(_recovery, "sync_directory", noted("sync", _recovery.sync_directory))
    path.with_name("kakuri.db-wal").touch()
    _recovery.recover(path)
    assert steps == [
        ("unlink", "kakuri.db.part"),
        ("link", "kakuri.db", "kakuri.db.damaged-1"),
        ("link", "kakuri.db-wal", "kakuri.db.damaged-1-wal"),
        ("replace", "kakuri.db.part", "kakuri.db.new"),
        ("sync", "state"),
        ("unlink", "kakuri.db-wal"),
        ("replace", "kakuri.db.new", "kakuri.db"),
        ("sync", "state"),
    ]


@pytest.mark.parametrize(
    ("code", "recoveries"),
    [(sqlite3.SQLITE_CORRUPT, 1), (sqlite3.SQLITE_NOTADB, 1), (sqlite3.SQLITE_IOERR, 0)],
)
def test_load_that_fails_again_after_a_recovery_raises_store_failed(
    path, monkeypatch, code, recoveries
):
    error = sqlite3.DatabaseError("it is broken")
    error.sqlite_errorcode = code
    recovered = []

    def fail(*_):
        raise error

    def recover(path):
        recovered.append(path)
        return path, 0

    with closing(SQLiteStore(path)) as store:
        monkeypatch.setattr("kakuri_registry._sqlite.read_all", fail)
        monkeypatch.setattr("kakuri_registry._sqlite.recover", recover)
        with pytest.raises(StoreFailed, match="it is broken") as caught:
            store.load()
    assert caught.value.__cause__ is error
    assert recovered == [path] * recoveries


def test_recovery_is_completed_after_a_crash_before_the_rename(path):
    filled(path, 3)
    new = path.with_name("kakuri.db.new")
    filled(new, 2)
    for name in ("kakuri.db.new.lock", "kakuri.db.new.reserve"):
        path.with_name(name).unlink()
    path.with_name("kakuri.db-wal").write_bytes(b"the log of the damaged one")
    with closing(SQLiteStore(path)) as store:
        assert len(store.load().entries) == 2
    assert not new.exists()


def test_log_of_a_damaged_database_is_removed_before_the_new_one_is_renamed(tmp_path, monkeypatch):
    path = tmp_path / "db"
    path.write_bytes(b"damaged")
    log, new = tmp_path / "db-wal", tmp_path / "db.new"
    log.write_bytes(b"its log")
    new.write_bytes(b"new")
    replace = Path.replace

    def checked(self, target):
        assert not log.exists()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", checked)
    _recovery.complete_recovery(path)
    assert (path.read_bytes(), log.exists(), new.exists()) == (b"new", False, False)


def test_sync_directory_calls_fsync_on_the_directory(tmp_path, monkeypatch):
    synchronized = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synchronized.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    _directory.sync_directory(tmp_path)
    assert synchronized == [tmp_path]


def image(path: Path, to: Path) -> Path:
    """Copy a database as a crash at this moment would leave it."""
    to.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        with path.with_name(path.name + suffix).open("rb") as file:
            (to / f"kakuri.db{suffix}").write_bytes(file.read())
    return to / "kakuri.db"


@pytest.mark.parametrize("torn", [1, 100, 4096, 4120, 5000])
def test_torn_write_loses_only_the_unacknowledged_transaction(path, tmp_path, torn):
    with closing(SQLiteStore(path)) as store:
        store.load()  # truncates the log, so that each write makes it longer
        store.write([put("a", 1)])
        store.write([put("b", 2)])
        length = path.with_name("kakuri.db-wal").stat().st_size
        store.write([put("c", 3)])
        crashed = image(path, tmp_path / "crashed")
    log = crashed.with_name("kakuri.db-wal")
    assert length < log.stat().st_size
    os.truncate(log, max(length + 1, log.stat().st_size - torn))
    with closing(SQLiteStore(crashed)) as store:
        loaded = store.load()
    assert [entry.workload.id for entry in loaded.entries] == ["a", "b"]
    (problem,) = loaded.problems
    assert re.match(
        r"the log ends in a transaction that is not complete: \d of its \d+ pages", problem.message
    )
    assert not problem.is_damage


def test_damage_in_the_middle_of_the_log_is_distinguished_from_an_incomplete_write(path, tmp_path):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([put("a", 1)])
        length = path.with_name("kakuri.db-wal").stat().st_size
        store.write([put("b", 2)])
        store.write([put("c", 3)])
        crashed = image(path, tmp_path / "crashed")
    with crashed.with_name("kakuri.db-wal").open("r+b") as log:
        log.seek(length + 1000)
        log.write(b"\xff" * 8)
    with closing(SQLiteStore(crashed)) as store:
        loaded = store.load()
    assert [entry.workload.id for entry in loaded.entries] == ["a"]
    (problem,) = loaded.problems
    assert re.fullmatch(
        r"the log is damaged: \d of its \d+ pages are dropped, with 2 transactions",
        problem.message,
    )
    assert problem.is_damage


@pytest.mark.parametrize("at", range(LOG_HEADER))
def test_damaged_header_of_the_log_is_reported(path, tmp_path, at):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([put("a", 1)])
        crashed = image(path, tmp_path / "crashed")
    log = crashed.with_name("kakuri.db-wal")
    content = bytearray(log.read_bytes())
    content[at] ^= 0x10
    log.write_bytes(content)
    report = check_store(crashed)
    with closing(SQLiteStore(crashed)) as store:
        loaded = store.load()
    assert loaded.entries == []
    (problem,) = loaded.problems
    assert problem.message == ("the log is damaged: its header is not valid, so it counts as empty")
    assert problem.is_damage
    assert report.problems == (problem,)


@pytest.mark.parametrize("at", [0, FRAME_SALTS, FRAME_SALTS + 7, 16, FRAME_HEADER + 4095])
def test_damaged_page_of_the_log_is_reported_with_all_that_follow(path, tmp_path, at):
    with closing(SQLiteStore(path)) as store:
        store.load()
        for number, name in enumerate("abc", 1):
            store.write([put(name, number)])
        crashed = image(path, tmp_path / "crashed")
    log = crashed.with_name("kakuri.db-wal")
    content = bytearray(log.read_bytes())
    content[LOG_HEADER + at] ^= 0x10
    log.write_bytes(content)
    report = check_store(crashed)
    with closing(SQLiteStore(crashed)) as store:
        (problem,) = store.load().problems
    pages = (len(content) - LOG_HEADER) // (FRAME_HEADER + 4096)
    assert problem.message == (
        f"the log is damaged: {pages} of its {pages} pages are dropped, with 3 transactions"
    )
    assert report.problems == (problem,)


def test_damage_in_the_log_of_an_earlier_schema_is_reported_before_it_is_migrated(path, tmp_path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript((CASES / "schema-9.sql").read_text())
        old.execute("PRAGMA journal_mode = WAL")
        old.execute("PRAGMA wal_autocheckpoint = 0")
        for _ in range(3):
            old.execute("UPDATE registry SET version = version + 1")
        crashed = image(path, tmp_path / "crashed")
    with crashed.with_name("kakuri.db-wal").open("r+b") as log:
        log.seek(LOG_HEADER + FRAME_HEADER + 4096 + FRAME_HEADER + 1000)
        log.write(b"\xff" * 8)
    with closing(SQLiteStore(crashed)) as store:
        messages = [problem.message for problem in store.load().problems]
    assert "the log is damaged: 2 of its 3 pages are dropped, with 2 transactions" in messages


def test_crash_at_each_failpoint_leaves_the_old_or_the_new_state(path, tmp_path):
    images = {}

    def failpoint(name: str) -> None:
        images[name] = image(path, tmp_path / name)

    with closing(SQLiteStore(path)) as store:
        store.write([put("old", 1)])
    with closing(SQLiteStore(path, failpoint=failpoint)) as store:
        store.write([put("new", 2), Change("old", 3, None)])
    assert tuple(images) == STORE_FAILPOINTS
    found = {}
    for name, crashed in images.items():
        with closing(SQLiteStore(crashed)) as store:
            found[name] = [entry.workload.id for entry in store.load().entries]
    assert found == dict(zip(STORE_FAILPOINTS, (["old"], ["old"], ["new"]), strict=True))


def test_exception_before_the_commit_undoes_the_write(path):
    def failpoint(name: str) -> None:
        if name == "store.before-commit":
            raise KeyboardInterrupt

    with closing(SQLiteStore(path)) as store:
        store.write([put("a", 1)])
        store._failpoint = failpoint
        with pytest.raises(KeyboardInterrupt):
            store.write([put("b", 2)])
        store._failpoint = no_failpoint
        store.write([put("c", 3)])
        assert [entry.workload.id for entry in store.load().entries] == ["a", "c"]


def test_full_disk_refuses_new_workloads_before_it_uses_the_reserve(path):
    reserve = path.with_name("kakuri.db.reserve")
    with closing(SQLiteStore(path, reserve=1 << 20)) as store:
        entries = [put(f"w-{number:05}", number + 1) for number in range(100)]
        store.write(entries)
        assert reserve.stat().st_blocks * 512 >= 1 << 20
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFull, match="the disk is full: can't write"):
            store.write([put(f"x-{number:05}", number + 101) for number in range(100)])
        assert reserve.exists()
        # Changes that need no more space are accepted without the reserve.
        store.write([Change(f"w-{number:05}", number + 301, None) for number in range(50)])
        assert reserve.exists()
        # Changes that need more space use the reserve, and are then refused as well.
        with pytest.raises(StoreFull):
            store.write([put("w-00099", 400, is_registration=False, message="m" * 1_000_000)])
        assert not reserve.exists()
        # Once there is space, the reserve is allocated before a new workload is accepted.
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.write([put("new", 401)])
        assert reserve.exists()
        assert len(store.load().entries) == 51


def test_new_workloads_raise_store_full_while_less_than_the_reserve_is_free(path, monkeypatch):
    with closing(SQLiteStore(path, reserve=1 << 20)) as store:
        room = os.statvfs(path.parent)
        free = 1 << 20

        def statvfs(_: object) -> os.statvfs_result:
            return os.statvfs_result((*room[:1], 1, room[2], room[3], free, *room[5:]))

        monkeypatch.setattr(os, "statvfs", statvfs)
        store.write([put("a", 1)])
        free -= 1
        with pytest.raises(StoreFull, match="no room is left for new workloads"):
            store.write([put("b", 2)])
        store.write([put("a", 3, is_registration=False, reason="Stopped")])
        store._reserve.release()
        free = (2 << 20) - 1  # not enough to allocate the reserve again
        with pytest.raises(StoreFull):
            store.write([put("b", 4)])
        free += 1
        store.write([put("b", 5)])
        assert path.with_name("kakuri.db.reserve").stat().st_size == 1 << 20


def test_write_commits_removals_before_a_registration_that_may_be_withdrawn(path, tmp_path):
    """The registration's transaction holds nothing that a full disk must not refuse."""
    registry = WorkloadRegistry()
    for name in ("a", "b"):
        registry.register(workload(name), now=1.0)
    changes = []
    registry.subscribe(changes.append)
    registry.remove("a", now=2.0, removal=Removal("s1", "c1", 0, "list"))
    registry.update("b", Run(RUNNING), now=3.0)
    registry.register(workload("new"), now=4.0)
    images = []

    def failpoint(name: str) -> None:
        if name == "store.after-commit":
            images.append(image(path, tmp_path / f"{name}-{len(images)}"))

    with closing(SQLiteStore(path)) as store:
        store.write([put("a", 1), put("b", 2)])
        store._failpoint = failpoint
        store.write(changes)
    found = []
    for crashed in images:
        with closing(SQLiteStore(crashed)) as store:
            loaded = store.load()
        found.append(
            (
                [(entry.workload.id, entry.state) for entry in loaded.entries],
                [each.entry.workload.id for each in loaded.tombstones],
            )
        )
    assert found == [
        ([("b", RUNNING)], ["a"]),
        ([("b", RUNNING), ("new", PENDING)], ["a"]),
    ]


def test_changes_on_a_full_disk_are_written_in_parts_of_sixteen_without_tombstones(path):
    registry = WorkloadRegistry()
    names = [f"w-{number:05}" for number in range(40)]
    for name in names:
        registry.register(workload(name), now=1.0)
    changes = []
    registry.subscribe(changes.append)
    for name in names:
        registry.remove(name, now=2.0, removal=Removal("s1", "c1", 0, "list"))
    log = path.with_name("kakuri.db-wal")
    sizes = []

    def failpoint(name: str) -> None:
        if name == "store.before-write":
            sizes.append(log.stat().st_size)

    filled(path, 40)
    with closing(SQLiteStore(path, reserve=1 << 20)) as store:
        store.load()
        store._reserve.release()
        store._reserve.try_ensure_room = lambda: False
        store._failpoint = failpoint
        with pytest.raises(StoreFull, match="no room is left for new workloads"):
            store.write([put("new", 100)])
        store.write(changes)
        assert sizes == [0, 0, 0]  # each part begins with an empty log
        loaded = store.load()
    assert (loaded.entries, loaded.tombstones) == ([], [])


def test_removal_of_an_unknown_workload_writes_nothing(path):
    with closing(SQLiteStore(path)) as store:
        store.load()
        before = path.with_name("kakuri.db-wal").stat().st_size
        store.write([Change("never", 1, None)])
        assert path.with_name("kakuri.db-wal").stat().st_size == before


def test_directory_that_cannot_be_created_raises_store_failed(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match="can't open the store"):
        SQLiteStore(tmp_path / "file" / "kakuri.db")


@pytest.mark.parametrize("fault", ["sqlite", "system", "other"])
def test_store_that_cannot_be_opened_releases_its_lock(path, monkeypatch, fault):
    error = {
        "sqlite": sqlite3.OperationalError("disk I/O error"),
        "system": OSError(5, "Input/output error"),
        "other": KeyboardInterrupt(),
    }[fault]

    def fail(_self):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteStore, "_open", fail)
        with pytest.raises(KeyboardInterrupt if fault == "other" else StoreFailed):
            SQLiteStore(path)
    SQLiteStore(path).close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, sqlite3.OperationalError])
def test_exception_before_the_commit_undoes_removals_and_writes(path, error):
    def failpoint(name: str) -> None:
        if name == "store.before-commit":
            raise error

    with closing(SQLiteStore(path)) as store:
        store.write([put("a", 1), put("b", 2)])
        store._failpoint = failpoint
        with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else StoreFailed):
            store.write([Change("a", 3, None), put("c", 4)])
        store._failpoint = no_failpoint
        assert [entry.workload.id for entry in store.load().entries] == ["a", "b"]
        store.write([Change("b", 5, None), put("d", 6)])  # begins an explicit transaction
        assert [entry.workload.id for entry in store.load().entries] == ["a", "d"]


def test_database_with_a_readable_mode_is_made_private(path):
    SQLiteStore(path).close()
    path.chmod(0o644)
    SQLiteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_default_reserve_takes_eight_mebibytes_of_the_disk(path):
    SQLiteStore(path).close()
    reserve = path.with_name(f"{path.name}.reserve").stat()
    assert reserve.st_size == 8 * 1024 * 1024
    assert reserve.st_blocks * 512 >= reserve.st_size


@pytest.mark.parametrize("is_foreign", [False, True])
def test_closed_or_refused_store_has_no_open_file(path, is_foreign):
    SQLiteStore(path).close()
    if is_foreign:  # only regular files are accepted
        path.unlink()
        path.mkdir()
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        if is_foreign:
            with pytest.raises(StoreFailed):
                SQLiteStore(path)
        else:
            SQLiteStore(path).close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_damaged_database_that_cannot_be_replaced_raises_store_failed(path, monkeypatch):
    SQLiteStore(path).close()
    path.write_bytes(b"not a database" * 1000)

    def replace(path):
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr("kakuri_registry._sqlite.recover", replace)
    with pytest.raises(StoreFailed, match=r"can't replace .*kakuri\.db.*not permitted") as caught:
        SQLiteStore(path)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert path.read_bytes().startswith(b"not a database")


def test_store_that_cannot_be_written_is_loaded_with_a_problem_and_not_tidied(path):
    entries = filled(path, 3)
    with closing(SQLiteStore(path)) as store:
        store._opened().execute("PRAGMA query_only = ON")
        loaded = store.load()
        assert loaded.entries == entries
        (problem,) = loaded.problems
        assert "the versions of this run may be used again" in problem.message
        with pytest.raises(StoreFailed):
            store.tidy()
    with pytest.raises(StoreFailed, match="is closed"):
        store.tidy()


def test_file_system_that_fails_refuses_registrations_with_its_reason(path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with closing(SQLiteStore(path)) as store:
        with monkeypatch.context() as broken:
            broken.setattr(os, "statvfs", fail)
            with pytest.raises(StoreFailed, match="can't reserve space in"):
                store.write([put("a")])
        store.write([put("a")])
        assert len(store.load().entries) == 1

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import Change, WorkloadEntry, _rows
from kakuri_registry._rows import (
    COLUMNS,
    LARGEST,
    MAX_STORED_TEXT,
    BadRow,
    RowReader,
    row_of,
    storable,
)
from kakuri_registry._schema import migrate
from kakuri_registry._statements import PUT, SELECT, put_rows
from kakuri_workload import (
    DesiredState,
    Run,
    Transition,
    Workload,
    WorkloadState,
)

from .strategies import ID, TEXT, workloads

NUMBER = st.integers(0, 2**31 - 1)
TIME = st.floats(0, 253_402_300_799)

WORKLOADS = workloads(ID, st.integers(1, 2**31 - 1))
STATES = st.sampled_from(WorkloadState)
EXIT_CODES = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
RUNS = st.builds(
    Run,
    STATES,
    reason=st.none() | TEXT,
    message=st.none() | TEXT,
    exit_code=EXIT_CODES,
    address=st.none() | TEXT,
    started_at=st.none() | TIME,
    ended_at=st.none() | TIME,
    attempt=NUMBER,
    image_digest=st.none() | TEXT,
)
ENTRIES = st.builds(
    WorkloadEntry,
    WORKLOADS,
    run=RUNS,
    version=NUMBER,
    registered_at=TIME,
    changed_at=TIME,
    restart_at=st.none() | TIME,
    desired=st.sampled_from(DesiredState),
    grace_seconds=NUMBER,
)
HISTORIES = st.lists(
    st.builds(Transition, TIME, STATES, st.none() | TEXT, st.none() | TEXT, EXIT_CODES, NUMBER),
    max_size=3,
).map(tuple)


@pytest.fixture(scope="module")
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, ":memory:")
    yield connection
    connection.close()


@given(entry=ENTRIES, history=HISTORIES)
def test_any_entry_and_history_are_read_as_written(connection, entry, history):
    change = Change(entry.workload.id, entry.version, entry, history)
    connection.execute("DELETE FROM workloads")
    put_rows(connection, [row_of(change)])
    (row,) = connection.execute(SELECT)
    assert RowReader().read(row) == change


def change(**fields: object) -> Change:
    workload = Workload("wl-1", "nginx", "edera-zone", 512, 500)
    entry = WorkloadEntry(workload, Run(WorkloadState.PENDING, **fields), 1, 0.0, 0.0)
    return Change("wl-1", 1, entry)


def test_row_has_a_cell_for_every_column():
    assert len(row_of(change())) == len(COLUMNS)


def test_row_without_uncommon_columns_clears_those_of_the_earlier_row(connection):
    connection.execute("DELETE FROM workloads")
    failed = change(reason="Error", message="m", exit_code=1, ended_at=1.0)
    plain = change(address="10.0.0.1", started_at=2.0)
    for each in (failed, plain, failed, plain):
        put_rows(connection, [row_of(each)])
        (row,) = connection.execute(SELECT)
        assert RowReader().read(row) == each


def test_rows_with_and_without_uncommon_columns_are_written_by_two_statements(connection):
    connection.execute("DELETE FROM workloads")
    changes = []
    for number in range(6):
        fields = {"exit_code": 0} if number % 2 else {}
        each = change(**fields)
        entry = replace(each.entry, workload=replace(each.entry.workload, id=f"w-{number}"))
        changes.append(each._replace(workload_id=f"w-{number}", entry=entry))
    statements = []
    connection.set_trace_callback(statements.append)
    put_rows(connection, map(row_of, changes))
    connection.set_trace_callback(None)
    assert len(statements) == 2
    read = RowReader().read
    found = {each.workload_id: each for each in map(read, connection.execute(SELECT))}
    assert found == {each.workload_id: each for each in changes}


def test_exit_code_and_message_beyond_their_limits_are_shortened(connection):
    connection.execute("DELETE FROM workloads")
    changed = change(exit_code=10**30, message="m" * (MAX_STORED_TEXT + 1))
    connection.execute(PUT[1], [storable(cell) for cell in row_of(changed)])
    (row,) = connection.execute(SELECT)
    entry = RowReader().read(row).entry
    assert (entry.run.exit_code, len(entry.run.message)) == (LARGEST, MAX_STORED_TEXT)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("id", "No Id", "expected the id of a workload in id, got 'No Id'"),
        ("id", "a" * 64, "expected the id of a workload in id"),
        ("id", None, "expected text in id, got None"),
        ("id", b"\xff", "expected text in id"),
        ("image", "no image!", "expected an image reference in image, got 'no image!'"),
        ("image", "a" * 256, "expected an image reference in image"),
        ("image", 5, "expected text in image, got 5"),
        ("image", None, "expected text in image, got None"),
        ("state", "flying", "expected pending, running, succeeded, failed in state, got 'flying'"),
        ("wanted", "rest", "expected run, restart, stop, remove in wanted, got 'rest'"),
        ("wanted", None, "expected text in wanted, got None"),
        ("pull", "often", "expected missing, always, never in pull, got 'often'"),
        ("image_digest", 1, "expected text in image_digest, got 1"),
        ("restart_policy", 1, "expected text in restart_policy, got 1"),
        ("version", "1", "expected a whole number in version, got '1'"),
        ("memory_mb", None, "expected a whole number in memory_mb, got None"),
        ("changed_at", "noon", "expected a time in changed_at, got 'noon'"),
        ("started_at", 1, "expected a time in started_at, got 1"),
        ("message", "m" * (MAX_STORED_TEXT + 1), "expected at most 4194304 characters in message"),
        ("message", b"\xff", r"expected text in message, got b'\\xff'"),
        ("env", "a\nb\nc", "expected keys and values in env, got 3 lines"),
        ("env", "a\nb\na\nc", "expected keys and values in env, got 4 lines"),
        ("args", r"\x", r"expected an escape in args, got '\\\\x'"),
        ("command", "\\", r"expected an escape in command, got '\\\\'"),
        ("history", "1.0\npending", "expected six lines for each transition in history, got 2"),
        ("history", "1.0\npending\nx\n\n\n", "expected numbers in history"),
        ("history", "1.0\nflying\n1\n\n\n", "in state, got 'flying'"),
    ],
)
def test_invalid_cell_raises_bad_row_that_names_its_column(column, cell, message):
    row = list(row_of(change()))[: len(COLUMNS)]
    row[COLUMNS.index(column)] = cell
    with pytest.raises(BadRow, match=message):
        RowReader().read(row)


def test_rows_with_the_same_text_share_one_object():
    reader = RowReader()
    rows = [
        row_of(change(reason=reason))[: len(COLUMNS)]
        for reason in ("".join(["Pull", "ing"]), "Pulling")
    ]
    first, second = (reader.read(row).entry for row in rows)
    assert first.run.reason is second.run.reason


@pytest.mark.parametrize("most", [0, 1, 2, 3])
@pytest.mark.parametrize("length", [1, 63, 64, 300])
def test_rows_beyond_the_shared_texts_are_read_as_written(monkeypatch, most, length):
    """What rows share is bounded; texts that are longer or more than that are separate objects."""
    monkeypatch.setattr(_rows, "MAX_SHARED", most)
    reader = RowReader()
    for number in range(6):
        letter = "abc"[number % 3]
        run = Run(WorkloadState.PENDING, reason=letter * length)
        spec = Workload("w", f"nginx:{letter}", f"class-{letter}", 1, 1)
        history = (Transition(1.0, WorkloadState.FAILED, letter * length),)
        change = Change("w", 1, WorkloadEntry(spec, run, 1, 0.0, 0.0), history)
        found = reader.read(row_of(change)[: len(COLUMNS)])
        assert (found.entry, found.history) == (change.entry, history)

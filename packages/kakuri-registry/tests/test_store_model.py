"""A registry with its database, compared with a model in memory over crashes at any point."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kakuri_registry import (
    STORE_FAILPOINTS,
    SQLiteStore,
    WorkloadEntry,
    WorkloadRegistry,
)
from kakuri_registry._accepted_rows import read_accepted
from kakuri_registry._rows import RowReader
from kakuri_workload import DesiredState, Run, Workload, WorkloadState

IDS = st.sampled_from([f"w-{number}" for number in range(6)])
STATES = st.sampled_from(WorkloadState)
TEXT = st.none() | st.text(max_size=3)
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)

Kept = dict[str, tuple[WorkloadEntry, tuple]]


class RegistryAndDatabase(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "0" / "kakuri.db"
        self.crashes = 0
        self.now = 0.0
        self.model: Kept = {}  # what the registry should have
        self.disk: Kept = {}  # what the database should have
        self.latest = 0
        self.open()

    def open(self) -> None:
        self.store = SQLiteStore(self.path, reserve=0)
        self.registry = WorkloadRegistry.load(self.store.load())
        self.unsaved = {}
        self.registry.subscribe(self.note)
        self.model = dict(self.disk)
        # No version is used twice, even if it was not written.
        assert self.registry.version >= self.latest

    def note(self, change) -> None:
        assert change.version > self.latest
        self.latest = change.version
        before = self.unsaved.get(change.workload_id)
        is_registration = change.is_registration or (before is not None and before.is_registration)
        self.unsaved[change.workload_id] = change._replace(is_registration=is_registration)

    def changed(self, entry: WorkloadEntry) -> None:
        self.model[entry.workload.id] = (entry, self.registry.history(entry.workload.id))

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    @rule(name=IDS, labels=LABELS, args=st.lists(st.text(max_size=2), max_size=2).map(tuple))
    def register(self, name, labels, args) -> None:
        self.now += 1
        if name not in self.model:
            workload = Workload(name, "nginx", "edera-zone", 1, 1, args=args, labels=labels)
            self.changed(self.registry.register(workload, now=self.now))

    @rule(name=IDS, state=STATES, reason=TEXT)
    def update(self, name, state, reason) -> None:
        self.now += 1
        entry = self.registry.get(name)
        if entry is not None and entry.state.can_become(state):
            self.changed(self.registry.update(name, Run(state, reason=reason), now=self.now))

    @rule(name=IDS, exit_code=st.none() | st.integers(0, 255))
    def restart(self, name, exit_code) -> None:
        self.now += 1
        entry = self.registry.get(name)
        if entry is not None and not entry.state.is_terminal:
            self.changed(
                self.registry.restart(
                    name, now=self.now, restart_at=self.now + 10, exit_code=exit_code
                )
            )

    @rule(name=IDS, desired=st.sampled_from(DesiredState))
    def set_desired(self, name, desired) -> None:
        self.now += 1
        if name in self.model:
            self.changed(self.registry.set_desired(name, desired, now=self.now, grace_seconds=5))

    @rule(name=IDS)
    def remove(self, name) -> None:
        if name in self.model:
            self.registry.remove(name)
            del self.model[name]

    @rule()
    def write(self) -> None:
        self.store.write(list(self.unsaved.values()))
        self.unsaved = {}
        self.disk = dict(self.model)

    @precondition(lambda self: self.unsaved)
    @rule(step=st.sampled_from(STORE_FAILPOINTS))
    def crash_in_a_write(self, step) -> None:
        where = self.next_directory()
        self.store._failpoint = lambda name: self.copy(where) if name == step else None
        self.store.write(list(self.unsaved.values()))
        if step == "store.after-commit":
            self.disk = dict(self.model)
        self.reopen(where)

    @rule()
    def crash(self) -> None:
        where = self.next_directory()
        self.copy(where)
        self.reopen(where)

    @rule()
    def end(self) -> None:
        self.reopen(self.path.parent)

    def next_directory(self) -> Path:
        self.crashes += 1
        return self.directory / str(self.crashes)

    def copy(self, where: Path) -> None:
        where.mkdir()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{self.path}{suffix}", where / f"kakuri.db{suffix}")

    def reopen(self, where: Path) -> None:
        self.store.close()
        self.path = where / "kakuri.db"
        self.open()

    @invariant()
    def the_registry_agrees_with_the_model(self) -> None:
        entries = [self.model[name][0] for name in sorted(self.model)]
        assert self.registry.page() == entries
        for name, (_, history) in self.model.items():
            assert self.registry.history(name) == history
        for state in WorkloadState:
            found = [entry for entry in entries if entry.state is state]
            assert self.registry.page(state=state) == found
            assert self.registry.count(state) == len(found)
            for label in (("a", "x"), ("b", "y")):
                assert self.registry.page(state=state, label=label) == [
                    entry for entry in found if label in entry.workload.labels.items()
                ]
        ended = [each for each in entries if each.state.is_terminal]
        ended = [each for each in ended if each.desired is not DesiredState.REMOVE]
        ended.sort(key=lambda entry: self.model[entry.workload.id][1][-1].at)
        assert self.registry.removable(now=self.now + 1, retention=0) == ended

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        execute = self.store._connection.execute
        versions = dict(execute("SELECT id, version FROM workloads").fetchall())
        for (text,) in execute("SELECT changes FROM accepted"):
            for change in read_accepted(RowReader(), text):
                versions[change.workload_id] = change.version
        assert versions == {name: entry.version for name, (entry, _) in self.disk.items()}


TestRegistryAndDatabase = RegistryAndDatabase.TestCase
TestRegistryAndDatabase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)

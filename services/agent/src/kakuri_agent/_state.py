"""Where the agent keeps what it has to know after a crash."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from kakuri_daemon import DaemonError
from kakuri_registry import (
    Journal,
    SQLiteStore,
    Store,
    StoreError,
    WorkloadRegistry,
    check_store,
)

log = structlog.get_logger()

SUFFIX = ".sqlite"


def default_state_dir() -> Path:
    """Give /var/lib/kakuri for root, else the user's state folder (XDG Base Directory)."""
    if os.geteuid() == 0:
        return Path("/var/lib/kakuri")
    states = os.environ.get("XDG_STATE_HOME", "")
    # A relative path is to be ignored, says the specification.
    base = Path(states) if states.startswith("/") else Path.home() / ".local/state"
    return base / "kakuri"


class StateFolder:
    """The stores of one node, one for each runtime: what one runs the other knows nothing of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def runtimes(self) -> frozenset[str]:
        """The names of the runtimes that have a store here. Raises DaemonError if it can't look."""
        try:
            files = list(self._folder.iterdir())  # glob finds nothing where it may not read
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return frozenset(path.stem for path in files if path.suffix == SUFFIX)

    def store(self, runtime: str) -> Store:
        """Give the store of a runtime's workloads. Raises DaemonError if it can't be used."""
        try:
            return SQLiteStore(self._folder / f"{runtime}{SUFFIX}")
        except StoreError as error:
            raise self._unusable(error) from error

    def check(self, report: Callable[[str], object]) -> bool:
        """Check every store, call `report` with a line for each finding, return if all are whole.

        Raises DaemonError if there is none, or if one can't be checked.
        """
        runtimes = sorted(self.runtimes)
        if not runtimes:
            raise DaemonError(f"there is no store in {self._folder}")
        is_whole = True
        for runtime in runtimes:
            path = self._folder / f"{runtime}{SUFFIX}"
            try:
                found = check_store(path)
            except StoreError as error:
                raise DaemonError(str(error)) from error
            for problem in found.problems:
                about = "" if problem.workload_id is None else f" ({problem.workload_id})"
                report(f"{path}: {problem.message}{about}")
            verdict = "not whole" if found.problems else "whole"
            report(f"{path}: {verdict}, {found.workloads} workloads")
            is_whole &= not found.problems
        return is_whole

    def _unusable(self, reason: object) -> DaemonError:
        return DaemonError(f"can't keep workloads in {self._folder}: {reason}")


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[tuple[WorkloadRegistry, Journal]]:
    """Give what a store knows of workloads, and the journal that keeps it; closes the store.

    Raises DaemonError for a store that can't be read, and at the end for one that did not take
    the last changes.
    """
    try:
        try:
            loaded = store.load()
        except StoreError as error:
            raise DaemonError(str(error)) from error
        for problem in loaded.problems:
            log.error("store damaged", problem=problem.message, id=problem.workload_id)
        registry = WorkloadRegistry.load(loaded)
        if len(registry):
            log.info("workloads known", number=len(registry))
        journal = Journal(registry, store)
        try:
            yield registry, journal
        finally:
            await _close(journal)
    finally:
        store.close()


async def _close(journal: Journal) -> None:
    lost = journal.backlog
    try:
        await journal.close()
    except StoreError as error:
        raise DaemonError(f"changes of {lost} workloads were not kept: {error}") from error

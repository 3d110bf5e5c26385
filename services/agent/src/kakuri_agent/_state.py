"""The agent's state directory: workloads and the last runtime, kept over crashes."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from kakuri_daemon import DaemonError
from kakuri_registry import Store, StoreError, StoreWriter, WorkloadRegistry

from kakuri_agent.runtimes._names import REAL_RUNTIMES, SIDECAR

log = structlog.get_logger()

SUFFIX = ".sqlite"

ZONES = "sidecar"
"""Name of the store of real zones, for every runtime; the sidecar was the first one."""

NAME_FILE = "runtime"
"""The file with the name of the runtime that ran the zones of this node last."""

MAX_NAME = 64
"""Bytes of that name."""


def default_state_dir() -> Path:
    """Return /var/lib/kakuri for root, else the user's state directory (XDG Base Directory).

    Raises DaemonError if the user has no home directory.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/kakuri")
    states = os.environ.get("XDG_STATE_HOME", "")
    if states.startswith("/"):  # the specification demands that relative paths are ignored
        return Path(states, "kakuri")
    try:
        return Path.home() / ".local/state/kakuri"
    except RuntimeError as error:
        message = f"user {os.geteuid()} has no home directory: set HOME or --state-dir"
        raise DaemonError(message) from error


class StateDirectory:
    """The stores of one node: one of real zones, one of simulated ones.

    A sidecar and a zone node in this process find the same zones, so they share a store.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def last_runtime(self) -> str | None:
        """The name of the runtime that ran the zones of this node last; None if none did.

        Raises DaemonError if the directory can't be read.
        """
        if ZONES not in self._stores():
            return None
        return self._recorded_runtime() or SIDECAR

    def store(self, *, is_simulated: bool) -> Store:
        """Return the store of simulated or of real zones. Raises DaemonError if it is unusable."""
        from kakuri_registry import SQLiteStore  # noqa: PLC0415 (it loads the database)

        name = "simulated" if is_simulated else ZONES
        try:
            return SQLiteStore(self._directory / f"{name}{SUFFIX}")
        except (StoreError, OSError) as error:
            raise self._unusable(error) from error

    def record_runtime(self, name: str) -> None:
        """Record which runtime runs the zones of this node; a failure is only logged."""
        if name == self._recorded_runtime():
            return
        path = self._directory / NAME_FILE
        new = path.with_suffix(".new")
        try:
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{name}\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            log.warning("could not record the runtime", runtime=name, error=error.strerror)

    def _recorded_runtime(self) -> str | None:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with os.fdopen(os.open(self._directory / NAME_FILE, flags), "rb") as file:
                name = file.read(MAX_NAME).decode().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return name if name in REAL_RUNTIMES else None

    def _stores(self) -> frozenset[str]:
        try:
            # Not glob, which ignores a directory that can't be read.
            files = list(self._directory.iterdir())
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return frozenset(path.stem for path in files if path.suffix == SUFFIX)

    def check(self, report: Callable[[str], object]) -> bool:
        """Check every store, report each problem and a summary, and return whether all are intact.

        Raises DaemonError if there is none, or if one can't be checked.
        """
        from kakuri_registry import check_store  # noqa: PLC0415 (it loads the database)

        names = sorted(self._stores())
        if not names:
            raise DaemonError(f"there is no store in {self._directory}")
        is_intact = True
        for name in names:
            path = self._directory / f"{name}{SUFFIX}"
            try:
                found = check_store(path)
            except StoreError as error:
                raise DaemonError(str(error)) from error
            for problem in found.problems:
                about = "" if problem.workload_id is None else f" ({problem.workload_id})"
                report(f"{path}: {problem.message}{about}")
            verdict = "damaged" if found.problems else "intact"
            noun = "workload" if found.workloads == 1 else "workloads"
            report(f"{path}: {verdict}, {found.workloads} {noun}")
            is_intact &= not found.problems
        return is_intact

    def _unusable(self, reason: object) -> DaemonError:
        return DaemonError(f"can't keep workloads in {self._directory}: {reason}")


@asynccontextmanager
async def open_registry(store: Store) -> AsyncIterator[tuple[WorkloadRegistry, StoreWriter]]:
    """Load the workloads of a store; yield their registry and its writer, and close the store.

    Raises DaemonError for a store that can't be read, and at the end if the last changes could not
    be written.
    """
    try:
        try:
            loaded = store.load()
        except StoreError as error:
            raise DaemonError(str(error)) from error
        for problem in loaded.problems:
            about = {} if problem.workload_id is None else {"id": problem.workload_id}
            if problem.is_damage:
                log.error("store damaged", problem=problem.message, **about)
            else:
                log.warning("store problem", problem=problem.message, **about)
        registry = WorkloadRegistry.load(loaded)
        if len(registry):
            log.info("workloads known", number=len(registry))
        writer = StoreWriter(registry, store)
        try:
            yield registry, writer
        finally:
            await _close(writer)
    finally:
        store.close()


async def _close(writer: StoreWriter) -> None:
    lost = writer.backlog
    try:
        await writer.close()
    except StoreError as error:
        raise DaemonError(f"changes of {lost} workloads were not saved: {error}") from error

"""How the workers of one daemon reach one another: a Unix socket of each, in a private directory.

A client reaches only one of them, which asks the others for what they know only together, such as
the number of requests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from kakuri_tcp import Endpoint

PEERS_VARIABLE = "_KAKURI_WORKER_PEERS"
"""The variable with a worker's number and the directory, separated by a colon."""

SUFFIX = ".socket"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerPeers:
    """The workers of this process's parent.

    Attributes:
        name: The name of this worker: its number, from 1.
        directory: The directory of the sockets.
    """

    name: str
    directory: Path

    @property
    def endpoint(self) -> Endpoint:
        """Where this worker has to listen for the others."""
        return self._endpoint_of(self.directory / f"{self.name}{SUFFIX}")

    def others(self) -> dict[str, Endpoint]:
        """Return where the other workers listen, by their names."""
        return {
            path.stem: self._endpoint_of(path)
            for path in sorted(self.directory.glob(f"*{SUFFIX}"))
            if path.stem != self.name
        }

    @staticmethod
    def _endpoint_of(path: Path) -> Endpoint:
        return Endpoint.parse(f"unix:{path}")


def inherited_peers() -> WorkerPeers | None:
    """Return the workers of this process's parent, from the variable that the parent has set.

    None if they can't reach one another.
    """
    name, _, directory = os.environ.pop(PEERS_VARIABLE, "").partition(":")
    return WorkerPeers(name, Path(directory)) if name.isdecimal() and directory else None


@contextmanager
def peers_directory() -> Iterator[str | None]:
    """Create the directory, and remove it at the end; yield None if that is not possible."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415 (only a parent of workers needs it)

    try:
        directory = TemporaryDirectory(prefix="kakuri-workers-", ignore_cleanup_errors=True)
    except OSError as error:
        log.warning("workers can't reach one another", error=error.strerror)
        yield None
        return
    with directory as path:
        yield path

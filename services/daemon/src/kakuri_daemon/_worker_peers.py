"""Connects the workers of one daemon to each other, over Unix sockets without files.

A client reaches only one of them, which asks the others for what they know only together, such as
the number of requests.

The parent opens the sockets, and removes their files at once. Workers inherit them, and connect to
one through a descriptor of its removed file, so nothing remains after a kill.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import structlog
from kakuri_tcp import Endpoint, ListenFailed, ListeningSockets, open_listening_sockets

PEERS_VARIABLE = "_KAKURI_WORKER_PEERS"
"""The variable with a worker's number, the descriptor of its listening socket, and for each worker
a descriptor of its socket's removed file: `2:7:8,9,10`."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerPeers:
    """The workers of this process's parent.

    Attributes:
        name: The name of this worker: its number, from 1.
        listening: Where this worker has to listen for the others.
        others: Where the other workers listen, by their names.
    """

    name: str
    listening: Endpoint | ListeningSockets
    others: dict[str, Endpoint]


def inherited_peers() -> WorkerPeers | None:
    """Return the workers of this process's parent, from the variable that the parent has set.

    None if they can't reach one another.
    """
    try:
        name, listener, files = os.environ.pop(PEERS_VARIABLE, "").split(":")
        endpoints = {
            str(number): Endpoint.unix(f"/proc/self/fd/{int(file)}")
            for number, file in enumerate(files.split(","), 1)
        }
        listening = ListeningSockets.inherited(endpoints.pop(name), [int(listener)])
    except (KeyError, OSError, OverflowError, ValueError):
        return None
    return WorkerPeers(name, listening, endpoints)


@dataclass(frozen=True, slots=True)
class PeerSockets:
    """The sockets of the workers, in their parent; without any, they can't reach one another."""

    listeners: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def for_worker(self, number: int) -> tuple[dict[str, str], list[int]]:
        """Return the variables and the descriptors that a worker inherits."""
        if not self.listeners:
            return {}, []
        listener = self.listeners[number - 1]
        value = f"{number}:{listener}:{','.join(map(str, self.files))}"
        return {PEERS_VARIABLE: value}, [listener, *self.files]


@contextmanager
def peer_sockets(number: int) -> Iterator[PeerSockets]:
    """Open the sockets of this many workers, and close them at the end."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415 (only a parent of workers needs it)

    peers = PeerSockets()
    with ExitStack() as stack:
        try:
            with TemporaryDirectory(prefix="kakuri-workers-") as directory:
                for index in range(number):
                    path = f"{directory}/{index}"
                    (sockets,) = open_listening_sockets(Endpoint.unix(path), 1)
                    stack.callback(sockets.close)
                    peers.listeners.extend(sockets.descriptors)
                    peers.files.append(os.open(path, os.O_PATH))
                    stack.callback(os.close, peers.files[-1])
        except (OSError, ListenFailed) as error:
            log.warning("workers can't reach one another", error=str(error))
            peers = PeerSockets()
        yield peers

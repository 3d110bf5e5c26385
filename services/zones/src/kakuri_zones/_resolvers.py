"""Resolver configurations (resolv.conf(5)), and which resolvers a zone can reach."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAX_RESOLVER_FILE = 65_536
"""Bytes read of such a file."""

MAX_SERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_LENGTH = 2048
"""The limits of resolvers (resolv.conf(5)) and of the kubelet."""


@dataclass(frozen=True, slots=True)
class Resolvers:
    """A resolver configuration: servers, search domains and options (resolv.conf(5))."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Resolvers":
        """Read a resolver configuration, leaving out servers that no zone can reach."""
        servers: list[str] = []
        searches: tuple[str, ...] = ()
        options: list[str] = []
        for line in text.splitlines():
            match line.split():
                case ["nameserver", server, *_]:
                    if is_reachable(server):
                        servers.append(server)
                case ["search" | "domain", name, *others]:  # a line without names changes nothing
                    searches = name, *others
                case ["options", *names]:
                    # trust-ad is true only of the host's own path to its resolver.
                    options += [name for name in names if name != "trust-ad"]
        return cls(tuple(servers[:MAX_SERVERS]), _bounded(searches), tuple(dict.fromkeys(options)))


def read_resolvers(path: Path) -> Resolvers | None:
    """Return the configuration in a file; None if it can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return Resolvers.parse(file.read(MAX_RESOLVER_FILE))
    except OSError:
        return None


def is_reachable(server: str) -> bool:
    """Return whether a zone may reach a resolver: not a loopback or link-local address."""
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.is_link_local:
            return False
        address = address.ipv4_mapped or address
    return not (address.is_loopback or address.is_unspecified)


def _bounded(searches: Iterable[str]) -> tuple[str, ...]:
    bounded: list[str] = []
    length = 0
    for name in searches:
        length += len(name) + 1
        if len(bounded) == MAX_SEARCHES or length > MAX_SEARCH_LENGTH:
            break
        bounded.append(name)
    return tuple(bounded)

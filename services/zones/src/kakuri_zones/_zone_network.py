"""The network settings of a zone: its hosts file, resolvers and ports.

By default, a runtime copies these files from the host: an /etc/hosts without the zone's name, and a
resolver configuration whose resolver may listen on the host's loopback, which no zone can reach.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from kakuri_cri import CallRefused, api

from kakuri_zones._resolvers import Resolvers, read_resolvers
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The host's resolver configuration; the second has the upstream servers of systemd-resolved."""

PRIVILEGED_PORTS = "net.ipv4.ip_unprivileged_port_start"
"""The sysctl with the first port of a network namespace that any user may bind."""

HOSTS_PATH = "/etc/hosts"
HOSTS_FILE = "hosts"

_LOCALHOST = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


class ZoneNetwork:
    """Provides the hosts file, resolvers and sysctls of zones.

    Args:
        logs: The hosts file is kept in the directory of the zone's log, and is removed with it.
        servers: Addresses of the resolvers of every zone; the host's if empty.
        searches: Search domains of every zone; the host's if empty.
        has_hosts: Whether a zone gets its own hosts file, which is mounted from the host.
        resolver_files: The host's resolver configurations; the first with a reachable server is
            used.
    """

    def __init__(
        self,
        logs: LogStore,
        *,
        servers: Sequence[str] = (),
        searches: Sequence[str] = (),
        has_hosts: bool = True,
        resolver_files: Sequence[Path] = RESOLVER_FILES,
    ) -> None:
        self._logs = logs
        self._servers = tuple(servers)
        self._searches = tuple(searches)
        self._has_hosts = has_hosts
        self._resolver_files = resolver_files
        self._without_sysctls: set[str] = set()

    def resolvers(self) -> Resolvers:
        """Return the resolver configuration of a zone that starts now."""
        found = Resolvers()
        for path in self._resolver_files:
            found = read_resolvers(path) or found
            if found.servers:
                break
        return Resolvers(
            self._servers or found.servers, self._searches or found.searches, found.options
        )

    def dns_config(self) -> api.DNSConfig:
        """Return the resolver configuration for the runtime, never an empty one."""
        resolvers = self.resolvers()
        # Given an empty configuration, the runtime would copy the host's.
        options = resolvers.options or ("ndots:1",)
        return api.DNSConfig(
            servers=resolvers.servers, searches=resolvers.searches, options=options
        )

    def sysctls(self, handler: str) -> Mapping[str, str]:
        """Return the sysctls of a sandbox: any user of a zone may bind any port in it."""
        return {} if handler in self._without_sysctls else {PRIVILEGED_PORTS: "0"}

    def handle_sysctl_refusal(self, handler: str, zone_id: str, refusal: CallRefused) -> bool:
        """Return whether a sandbox was refused because of its sysctls.

        If so, later sandboxes of this handler get none. A message in which only the zone's id may
        have the word does not count.
        """
        message = refusal.message
        is_refused = "ip_unprivileged_port_start" in message or (
            "sysctl" in message and "sysctl" not in zone_id
        )
        if is_refused and handler not in self._without_sysctls:
            self._without_sysctls.add(handler)
            log.warning("sysctls refused, zones get none", handler=handler, error=message)
        return is_refused

    async def mounts(self, zone_id: str, addresses: Sequence[str]) -> list[api.Mount]:
        """Write a zone's hosts file and return the mounts of its container.

        Raises:
            LogError: The file can't be written.
        """
        if not self._has_hosts:
            return []
        content = hosts_file(zone_id, addresses).encode()
        path = await self._logs.write_beside(zone_id, HOSTS_FILE, content)
        return [api.Mount(container_path=HOSTS_PATH, host_path=str(path), readonly=True)]


def hosts_file(name: str, addresses: Sequence[str]) -> str:
    """Return the hosts file of a zone: its name stands for its addresses, or for its loopback."""
    known = [address for address in addresses if _is_address(address)] or ["127.0.0.1"]
    return _LOCALHOST + "".join(f"{address}\t{name}\n" for address in known)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

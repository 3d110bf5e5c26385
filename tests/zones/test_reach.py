"""A zone reaches servers of its node that listen on every address, and none on loopback."""

import socket
from contextlib import contextmanager

PROBE = """
gateway=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')
for port in "$@"; do
  for host in "$gateway" 127.0.0.1; do
    case $(echo | nc -w 3 "$host" "$port" 2>/dev/null) in
      reached) echo "$host $port reached" ;;
      *) echo "$host $port closed" ;;
    esac
  done
done
echo gateway "$gateway"
"""


@contextmanager
def listener(address):
    """Listen on a port that the kernel chooses; the backlog accepts every client."""
    with socket.create_server((address, 0)) as server:
        server.settimeout(60)
        yield server


def test_zone_reaches_what_listens_on_every_address_and_nothing_on_loopback(system):
    with listener("0.0.0.0") as exposed, listener("127.0.0.1") as private:
        ports = [exposed.getsockname()[1], private.getsockname()[1], system.port, system.agent_port]
        system.run("reach", "sh", "-c", PROBE, "sh", *map(str, ports))
        connection, (peer, _) = exposed.accept()
        connection.sendall(b"reached\n")
        connection.close()
        system.await_end("reach")
        seen = system.log("reach").decode().splitlines()
    gateway = seen[-1].removeprefix("gateway ")
    assert gateway
    assert peer != gateway  # the zone itself
    assert [line for line in seen if line.endswith(" reached")] == [f"{gateway} {ports[0]} reached"]
    assert len(seen) == 2 * len(ports) + 1
    system.remove("reach")

"""Compares the server's memory for each idle connection with that of asyncio's streams."""

import argparse
import asyncio
import resource
import socket
import subprocess
import sys
from pathlib import Path

from kakuri_tcp import Connection, Endpoint, ServerLimits, listen, listen_lines

LOCAL = Endpoint.parse("127.0.0.1:0")
LIMITS = ServerLimits(connections=100_000, connections_per_peer=100_000)


class Silent(Connection):
    __slots__ = ()

    def data_received(self, data):
        self.made_progress = True


async def serve_streams():
    async def serve(reader, writer):
        while await reader.readline():
            pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    return server.sockets[0].getsockname()[1]


async def serve_lines():
    return (await listen_lines(LOCAL, bytes.upper)).endpoint.port


async def serve_connections():
    return (await listen(LOCAL, Silent, limits=LIMITS)).endpoint.port


SERVERS = {"streams": serve_streams, "lines": serve_lines, "connection": serve_connections}


async def serve(kind):
    print(await SERVERS[kind](), flush=True)
    await asyncio.Event().wait()


def resident(process):
    """Return the bytes of a process that are in memory."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(kind, number):
    command = [sys.executable, __file__, "--serve", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            before = resident(server)
            peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
            for peer in peers:  # every one has been served once
                peer.sendall(b"x\n")
            if kind == "lines":
                for peer in peers:
                    assert peer.recv(2) == b"X\n"
            else:
                # A round trip through the kernel's queue is not a reply: wait for it to empty.
                while any(count_unread(server.pid, port)):
                    pass
            after = resident(server)
            for peer in peers:
                peer.close()
            return (after - before) / number
        finally:
            server.terminate()


def count_unread(pid, port):
    """Return the receive queues of the server's connections that are not empty."""
    local = f":{port:04X}"
    rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    for row in rows:
        fields = row.split()
        if fields[1].endswith(local):
            yield int(fields[4].split(":")[1], 16)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SERVERS)
    parser.add_argument("--connections", type=int, default=5_000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.serve:
        asyncio.run(serve(options.serve))
    print(f"python {sys.version.split()[0]}; {options.connections} idle connections")
    for kind in SERVERS:
        print(f"{kind:12} {measure(kind, options.connections) / 1024:6.1f} KiB for each")


if __name__ == "__main__":
    main()

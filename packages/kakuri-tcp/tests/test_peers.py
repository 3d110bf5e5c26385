import os
import socket

import pytest
from kakuri_tcp._peers import Credentials, Peer, identify


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("192.0.2.1", 5), Peer("192.0.2.1", "192.0.2.1:5")),
        (("127.0.0.1", 5), Peer("loopback", "127.0.0.1:5", is_loopback=True)),
        (("127.9.0.1", 5), Peer("loopback", "127.9.0.1:5", is_loopback=True)),
        (("::1", 5, 0, 0), Peer("loopback", "[::1]:5", is_loopback=True)),
        (("::ffff:127.0.0.1", 5, 0, 0), Peer("loopback", "[::ffff:127.0.0.1]:5", is_loopback=True)),
        (("2001:db8:1:2:3::4", 5, 0, 0), Peer("20010db800010002", "[2001:db8:1:2:3::4]:5")),
        (("fe80::1%lo", 5, 0, 1), Peer("fe80000000000000", "[fe80::1%lo]:5")),
    ],
)
def test_key_of_a_tcp_peer_is_its_address_or_network(address, peer):
    assert identify(None, address) == peer


def test_key_of_a_unix_peer_is_its_user():
    near, far = socket.socketpair()
    with near, far:
        pid, uid, gid = os.getpid(), os.geteuid(), os.getegid()
        assert identify(near, "") == Peer(
            f"uid={uid}", f"unix:pid={pid},uid={uid}", Credentials(pid, uid, gid), uid=uid
        )


def test_unix_peers_without_credentials_share_one_key(monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert identify(None, "") == Peer("unix", "unix")

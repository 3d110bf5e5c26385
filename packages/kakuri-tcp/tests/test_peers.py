import os
import socket

import pytest
from kakuri_tcp._peers import Credentials, Peer, identify


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("192.0.2.1", 5), Peer("192.0.2.1", "192.0.2.1:5")),
        (("2001:db8:1:2:3::4", 5, 0, 0), Peer("20010db800010002", "[2001:db8:1:2:3::4]:5")),
        (("fe80::1%lo", 5, 0, 1), Peer("fe80000000000000", "[fe80::1%lo]:5")),
    ],
)
def test_a_peer_is_counted_by_its_address(address, peer):
    assert identify(None, address) == peer


def test_a_peer_on_a_unix_socket_is_counted_by_its_user():
    near, far = socket.socketpair()
    with near, far:
        pid, uid, gid = os.getpid(), os.geteuid(), os.getegid()
        assert identify(near, "") == Peer(
            f"uid={uid}", f"unix:pid={pid},uid={uid}", Credentials(pid, uid, gid)
        )


def test_where_the_system_does_not_tell_all_are_one(monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert identify(None, "") == Peer("unix", "unix")

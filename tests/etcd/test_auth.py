"""A member that requires tokens, which expire after a while and when it restarts."""

import asyncio

import pytest
import pytest_asyncio
from kakuri_grpc import Channel, InvalidArgument, PermissionDenied, Unauthenticated

from .cluster import Cluster
from .etcd_rpc import (
    KV,
    Auth,
    AuthEnableRequest,
    AuthenticateRequest,
    AuthRoleAddRequest,
    AuthRoleGrantPermissionRequest,
    AuthUserAddRequest,
    AuthUserGrantRoleRequest,
    Permission,
    PermissionType,
    PutRequest,
    RangeRequest,
)

TOKEN_TTL = 1
"""Seconds after which a member forgets a token that no call has used."""

PASSWORDS = {"root": "secret of root", "alice": "secret of alice"}
SETUP = [
    *(
        (Auth.UserAdd, AuthUserAddRequest(name=name, password=PASSWORDS[name]))
        for name in PASSWORDS
    ),
    (Auth.RoleAdd, AuthRoleAddRequest(name="root")),
    (Auth.UserGrantRole, AuthUserGrantRoleRequest(user="root", role="root")),
    (Auth.RoleAdd, AuthRoleAddRequest(name="writer")),
    (Auth.UserGrantRole, AuthUserGrantRoleRequest(user="alice", role="writer")),
    (
        Auth.RoleGrantPermission,
        AuthRoleGrantPermissionRequest(
            name="writer",
            perm=Permission(permType=PermissionType.READWRITE, key=b"/a/", range_end=b"/a0"),
        ),
    ),
    (Auth.AuthEnable, AuthEnableRequest()),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A cluster of one member whose store needs a token as soon as `alice` has prepared it."""
    directory = tmp_path_factory.mktemp("guarded")
    flags = ("--auth-token-ttl", str(TOKEN_TTL), "--snapshot-count", "20")
    cluster = Cluster(directory, 1, *flags)
    try:
        cluster.start()
        cluster.members[0].is_prepared = False
        yield cluster.members[0]
    finally:
        cluster.close()


@pytest_asyncio.fixture
async def guarded_channel(guarded, leader):
    async with Channel(guarded.endpoint) as channel:
        if not guarded.is_prepared:
            await leader(channel)
            for method, request in SETUP:
                await channel.call(method, request, timeout=10)
            guarded.is_prepared = True
        yield channel


@pytest.fixture
def alice(guarded_channel):
    return User(guarded_channel, "alice")


class User:
    """Calls with a token, and gets a new one when the member no longer accepts it.

    Attributes:
        token: the last token; empty before the first.
        fetched: how many tokens were fetched.
    """

    def __init__(self, channel, name):
        self.channel = channel
        self.name = name
        self.token = ""
        self.fetched = 0

    async def authenticate(self):
        request = AuthenticateRequest(name=self.name, password=PASSWORDS[self.name])
        answer = await self.channel.call(
            Auth.Authenticate, request, timeout=10, wait_for_ready=True
        )
        self.token = answer.token
        self.fetched += 1

    async def call_once(self, method, request):
        metadata = (("token", self.token),)
        return await self.channel.call(
            method, request, timeout=10, metadata=metadata, wait_for_ready=True
        )

    async def call(self, method, request):
        """Call once more with a new token if the member does not know this one."""
        if not self.token:
            await self.authenticate()
        try:
            return await self.call_once(method, request)
        except Unauthenticated:  # nothing was done, so that the call may be repeated
            await self.authenticate()
            return await self.call_once(method, request)

    async def put(self, key, value=b""):
        return await self.call(KV.Put, PutRequest(key=key, value=value))

    async def value(self, key):
        (pair,) = (await self.call(KV.Range, RangeRequest(key=key))).kvs
        return pair.value


async def test_call_without_a_token_is_an_invalid_argument(guarded_channel):
    with pytest.raises(InvalidArgument, match="user name is empty"):
        await guarded_channel.call(KV.Put, PutRequest(key=b"/a/1"), timeout=10)


async def test_wrong_password_is_an_invalid_argument(guarded_channel):
    request = AuthenticateRequest(name="alice", password="wrong")
    with pytest.raises(InvalidArgument, match="authentication failed"):
        await guarded_channel.call(Auth.Authenticate, request, timeout=10)


async def test_user_reads_and_writes_what_its_role_permits(alice):
    await alice.put(b"/a/2", b"two")
    assert await alice.value(b"/a/2") == b"two"
    assert alice.fetched == 1


async def test_denied_permission_is_final_and_fetches_no_other_token(alice):
    await alice.put(b"/a/3")
    with pytest.raises(PermissionDenied, match="permission denied"):
        await alice.put(b"/b/3")
    assert alice.fetched == 1


async def test_token_that_was_never_known_is_replaced(alice):
    alice.token = "made-up.1"
    with pytest.raises(Unauthenticated, match="invalid auth token"):
        await alice.call_once(KV.Range, RangeRequest(key=b"/a/4"))
    await alice.put(b"/a/4", b"four")
    assert (await alice.value(b"/a/4"), alice.fetched) == (b"four", 1)


async def test_token_that_has_expired_is_replaced(alice):
    await alice.put(b"/a/5", b"before")
    await asyncio.sleep(TOKEN_TTL + 2)  # the member looks for old ones once a second
    with pytest.raises(Unauthenticated, match="invalid auth token"):
        await alice.call_once(KV.Range, RangeRequest(key=b"/a/5"))
    assert await alice.value(b"/a/5") == b"before"
    assert alice.fetched == 2


async def test_token_of_before_a_restart_is_replaced(alice, guarded, leader):
    before = guarded.snapshots()
    await alice.put(b"/a/6", b"before")
    while guarded.snapshots() <= before:  # a member that reads all of its log finds tokens in it
        await alice.put(b"/a/7")
    await alice.put(b"/a/7")
    guarded.kill()
    guarded.start()
    guarded.wait()
    await leader(alice.channel)
    with pytest.raises(Unauthenticated, match="invalid auth token"):
        await alice.call_once(KV.Range, RangeRequest(key=b"/a/6"))
    assert await alice.value(b"/a/6") == b"before"
    assert alice.fetched == 2

"""A watch that continues over broken connections and dead leaders, checked against the history."""

import asyncio
import random

import pytest
from kakuri_grpc import (
    Channel,
    DeadlineExceeded,
    Keepalive,
    Processed,
    StatusError,
    Unavailable,
)

from .etcd_rpc import (
    KV,
    Compare,
    Maintenance,
    PutRequest,
    RangeRequest,
    RequestOp,
    StatusRequest,
    TxnRequest,
    Watch,
    WatchCreateRequest,
    WatchRequest,
)

FIRST, LAST = b"/w/", b"/w0"
HAS_LEADER = (("hasleader", "true"),)
"""Without it, a watch stays open and silent on a member that has lost the others."""


class Watcher:
    """Collects the events of all keys, and resumes after the last one on each new stream.

    Attributes:
        events: keys with the revisions of their events, in the order of arrival.
        streams: how many streams were opened and answered.
    """

    def __init__(self, channel, start):
        self.channel = channel
        self.next = start
        self.events = []
        self.streams = 0
        self.grew = asyncio.Event()

    async def run(self):
        while True:
            try:
                await self._watch()
            except (Unavailable, StatusError):
                await asyncio.sleep(0.01)  # the channel connects again

    async def _watch(self):
        watching = await self.channel.stream(
            Watch.Watch, timeout=None, metadata=HAS_LEADER, wait_for_ready=True
        )
        async with watching as watch:
            create = WatchCreateRequest(key=FIRST, range_end=LAST, start_revision=self.next)
            await watch.send(WatchRequest(create_request=create))
            async for answer in watch:
                assert answer.compact_revision == 0
                self.streams += answer.created
                for event in answer.events:
                    self.events.append((event.kv.key, event.kv.mod_revision))
                    self.next = event.kv.mod_revision + 1
                self.grew.set()

    async def until_failure(self, fault):
        """Watch until the first event has come, cause a fault, and wait for the stream's end."""
        watching = asyncio.ensure_future(self._watch())
        await self.until(1)
        fault()
        with pytest.raises(Unavailable, match="leader"):
            await watching

    async def until(self, number):
        """Wait until so many events came."""
        while len(self.events) < number:
            self.grew.clear()
            await self.grew.wait()


async def history(channel):
    """Return all keys with the revision that created them, in the order of revisions."""
    request = RangeRequest(key=FIRST, range_end=LAST, keys_only=True)
    answer = await channel.call(KV.Range, request, timeout=20)
    return sorted(((pair.key, pair.mod_revision) for pair in answer.kvs), key=lambda one: one[1])


async def test_watch_over_100_broken_connections_sees_each_of_10000_keys_once(channel, one_member):
    number, broken = 10_000, 100
    chance = random.Random(7)
    before = await channel.call(KV.Range, RangeRequest(key=b"/w"), timeout=10)
    numbers = iter(range(number))

    async def write():
        for one in numbers:
            await channel.call(KV.Put, PutRequest(key=b"/w/%05d" % one), timeout=20)

    async with Channel(one_member.endpoint) as watched, asyncio.timeout(60):
        watcher = Watcher(watched, before.header.revision + 1)
        watching = asyncio.ensure_future(watcher.run())
        writing = asyncio.gather(*[write() for _ in range(32)])
        for cut in range(1, broken + 1):
            await watcher.until(cut * 90 + chance.randrange(90))
            watched._connections.current._transport.abort()
            streams = watcher.streams
            while watcher.streams == streams:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0)
        await writing
        await watcher.until(number)
        watching.cancel()
    assert watcher.streams > broken
    assert watcher.events == await history(channel)


async def test_watch_and_writes_continue_when_the_leader_is_killed(three_members, leader):
    number = 300
    async with asyncio.timeout(30):
        async with Channel(three_members[0].endpoint) as any_member:
            chief = await leader(any_member)
        ids = {}
        for member in three_members:
            async with Channel(member.endpoint) as channel:
                await leader(channel)
                answer = await channel.call(Maintenance.Status, StatusRequest(), timeout=5)
                ids[answer.header.member_id] = member
        victim = ids.pop(chief)
        endpoints = [victim.endpoint, *(member.endpoint for member in ids.values())]
        follower = next(iter(ids.values())).endpoint
        async with Channel(*endpoints) as writer, Channel(follower) as watched:
            watcher = Watcher(watched, 1)
            watching = asyncio.ensure_future(watcher.run())
            for one in range(number):
                if one == number // 3:
                    victim.kill()
                await create_once(writer, b"/w/%05d" % one)
            await watcher.until(number)
            watching.cancel()
            assert watcher.events == await history(writer)
            assert len(watcher.events) == number


async def test_watch_learns_of_a_lost_quorum_and_continues_when_it_returns(three_members, leader):
    first, second, third = three_members
    async with asyncio.timeout(40), Channel(first.endpoint) as channel:
        await leader(channel)
        await create_once(channel, b"/w/before")
        watcher = Watcher(channel, 1)
        await watcher.until_failure(lambda: [second.kill(), third.kill()])
        assert watcher.events[0][0] == b"/w/before"
        stale = RangeRequest(key=b"/w/before", serializable=True)
        assert (await channel.call(KV.Range, stale, timeout=5)).count == 1
        with pytest.raises((DeadlineExceeded, StatusError)):
            await channel.call(KV.Range, RangeRequest(key=b"/w/before"), timeout=0.3)
        second.start()
        watching = asyncio.ensure_future(watcher.run())
        await create_once(channel, b"/w/after")
        await watcher.until(2)
        watching.cancel()
        assert watcher.events == await history(channel)


async def test_keepalive_ends_a_watch_on_a_member_that_is_frozen(three_members, leader):
    member = three_members[0]
    keepalive = Keepalive(interval=0.5, timeout=0.5)
    async with asyncio.timeout(20), Channel(member.endpoint, keepalive=keepalive) as channel:
        await leader(channel)
        async with await channel.stream(Watch.Watch, timeout=None) as watch:
            create = WatchCreateRequest(key=FIRST, range_end=LAST)
            await watch.send(WatchRequest(create_request=create))
            assert (await watch.receive()).created
            member.freeze()
            with pytest.raises(Unavailable, match="ping") as caught:
                await watch.receive()
            assert caught.value.processed is Processed.UNKNOWN


async def create_once(channel, key):
    """Create a key. An attempt that may have been made is repeated, as it can't succeed twice."""
    request = TxnRequest(
        compare=(Compare(key=key, version=0),), success=(RequestOp(put=PutRequest(key=key)),)
    )
    while True:
        try:
            await channel.call(KV.Txn, request, timeout=1, wait_for_ready=True)
        except (DeadlineExceeded, Unavailable):
            await asyncio.sleep(0.02)
        else:
            return

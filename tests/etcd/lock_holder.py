"""A process that contends for a lock, and reports while it holds it.

    python -m tests.etcd.lock_holder ENDPOINT NAME

It writes a line for each event that a test checks:

    held FROM UNTIL      it holds the lock, by the clock that all processes of a machine share
    lost                 it no longer holds it
    refused              a write that it made after that, as if it had not noticed, changed nothing

A holder counts from when it *sent* what renewed its lease: the member counts from later, so that
the holder's time is over first. Once it is, the holder has lost the lock, even if the member disagrees.
"""

import asyncio
import sys
import time

from kakuri_grpc import Channel

from .etcd_rpc import (
    KV,
    Compare,
    CompareTarget,
    Lease,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    PutRequest,
    RequestOp,
    TxnRequest,
)

TTL = 2
"""Seconds for which the lock is held without being renewed."""

LOCK, DATA = b"/lock", b"/data"


class Holder:
    """One that contends for the lock.

    Attributes:
        until: when it has to consider the lock lost, unless it renews its lease before.
    """

    def __init__(self, channel, name):
        self.channel = channel
        self.name = name.encode()
        self.until = 0.0

    async def run(self):
        while True:
            lease = await self._granted()
            async with await self.channel.stream(Lease.LeaseKeepAlive, timeout=None) as keeping:
                revision = await self._acquired(lease, keeping)
                if revision:
                    report(f"held {time.monotonic()} {self.until}")
                    await self._hold(lease, keeping)
                    report("lost")
                    if not await self._written(revision):
                        report("refused")

    async def _granted(self):
        began = time.monotonic()
        answer = await self.channel.call(Lease.LeaseGrant, LeaseGrantRequest(TTL=TTL), timeout=5)
        self.until = began + answer.TTL
        return answer.ID

    async def _renewed(self, lease, keeping):
        """Return whether the lease was renewed before its time was over."""
        began = time.monotonic()
        await keeping.send(LeaseKeepAliveRequest(ID=lease))
        answer = await keeping.receive()
        if not answer.TTL or time.monotonic() >= self.until:
            return False
        self.until = began + answer.TTL
        return True

    async def _acquired(self, lease, keeping):
        """Return the revision at which the lock was acquired; 0 if the lease was lost before."""
        own = PutRequest(key=LOCK, value=self.name, lease=lease)
        request = TxnRequest(compare=(Compare(key=LOCK, version=0),), success=(RequestOp(put=own),))
        while await self._renewed(lease, keeping):
            answer = await self.channel.call(KV.Txn, request, timeout=5)
            if answer.succeeded:
                return answer.header.revision if time.monotonic() < self.until else 0
            await asyncio.sleep(0.05)
        return 0

    async def _hold(self, lease, keeping):
        while await self._renewed(lease, keeping):
            report(f"held {time.monotonic()} {self.until}")
            await asyncio.sleep(TTL / 10)

    async def _written(self, revision):
        """Write as the holder since a revision, and return whether that changed anything."""
        is_holder = Compare(target=CompareTarget.CREATE, key=LOCK, create_revision=revision)
        write = RequestOp(put=PutRequest(key=DATA, value=self.name))
        request = TxnRequest(compare=(is_holder,), success=(write,))
        return (await self.channel.call(KV.Txn, request, timeout=5)).succeeded


def report(line):
    print(line, flush=True)


async def main(endpoint, name):
    async with Channel(endpoint) as channel:
        await Holder(channel, name).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

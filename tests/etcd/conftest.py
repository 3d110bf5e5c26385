import asyncio

import pytest
import pytest_asyncio
from kakuri_grpc import Channel, StatusError

from .cluster import Cluster
from .etcd_rpc import Maintenance, StatusRequest


@pytest.fixture(scope="session")
def one_member(tmp_path_factory):
    """A cluster of one member, for all tests that break nothing."""
    cluster = Cluster(tmp_path_factory.mktemp("one"), 1)
    try:
        cluster.start()
        yield cluster.members[0]
    finally:
        cluster.close()


@pytest.fixture
def three_members(tmp_path):
    """A cluster of three members, of which a test may kill one."""
    cluster = Cluster(tmp_path, 3)
    try:
        cluster.start()
        yield cluster.members
    finally:
        cluster.close()


@pytest_asyncio.fixture
async def channel(one_member):
    async with Channel(one_member.endpoint) as opened:
        await leader_of(opened)
        yield opened


@pytest.fixture
def leader():
    """Return a coroutine that returns the member id of the leader as one member sees it."""
    return leader_of


async def leader_of(channel):
    async with asyncio.timeout(20):
        while True:
            try:
                status = await channel.call(
                    Maintenance.Status, StatusRequest(), timeout=5, wait_for_ready=True
                )
            except StatusError:  # it is starting
                status = None
            if status is not None and status.leader:
                return status.leader
            await asyncio.sleep(0.05)

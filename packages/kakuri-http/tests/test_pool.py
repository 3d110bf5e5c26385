"""The queue of the pool, with connections that need no network: which request gets a slot."""

import asyncio
from collections import deque

import pytest
from kakuri_http import ConnectFailed, Limits, PoolLimits, RequestTimeout, Timeouts
from kakuri_http.client._pool import Pool
from kakuri_tcp import Endpoint

ONE, OTHER = Endpoint.tcp("127.0.0.1", 1), Endpoint.tcp("127.0.0.1", 2)
WAIT = Timeouts()


class FakeConnection:
    """A connection that is reusable until a test changes it."""

    def __init__(self):
        self.is_reusable = True
        self.ended = None
        self.idle_since = 0.0

    def end_exchange(self):
        pass

    def has_input(self):
        return False

    def abort(self):
        self.is_reusable, self.ended = False, "aborted"

    close_with_client = abort

    def close(self):
        self.is_reusable, self.ended = False, "closed"


class FakePool(Pool):
    """A pool of such connections."""

    def __init__(self, **limits):
        super().__init__(PoolLimits(**limits), Limits(), None, ())
        self.made = []

    async def _connect(self, endpoint, timeouts):
        self.made.append(FakeConnection())
        return self.made[-1]


async def waiting(pool, endpoint=ONE):
    task = asyncio.create_task(pool.acquire(endpoint, WAIT))
    await asyncio.sleep(0)
    return task


async def test_request_cancelled_in_the_turn_of_its_slot_passes_the_connection_on():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    first, second = await waiting(pool), await waiting(pool)
    pool.release(ONE, connection)  # assigned to the first,
    first.cancel()  # which can't use it
    assert await second is connection
    with pytest.raises(asyncio.CancelledError):
        await first
    pool.release(ONE, connection)
    assert repr(pool) == "<Pool 0 in use, 1 idle, 0 waiting>"


async def test_request_cancelled_in_the_turn_of_its_slot_leaves_the_connection_idle():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    only = await waiting(pool)
    pool.release(ONE, connection)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    assert repr(pool) == "<Pool 0 in use, 1 idle, 0 waiting>"
    assert await pool.acquire(ONE, WAIT) is connection


async def test_request_cancelled_in_the_turn_of_a_new_slot_frees_it():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    first, second = await waiting(pool), await waiting(pool)
    connection.is_reusable = False
    pool.release(ONE, connection)  # the first may open a new connection
    first.cancel()
    assert await second is pool.made[1]
    assert pool._count == {ONE: 1}


async def test_connection_of_a_cancelled_request_is_aborted_if_the_pool_has_closed():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    only = await waiting(pool)
    pool.release(ONE, connection)
    pool.close()
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    assert connection.ended == "aborted"
    assert not pool._count


@pytest.mark.parametrize("is_reusable", [True, False])
async def test_request_that_got_its_slot_just_before_the_pool_closed_is_not_sent(is_reusable):
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    connection.is_reusable = is_reusable
    only = await waiting(pool)
    pool.release(ONE, connection)
    pool.close()
    with pytest.raises(ConnectFailed, match="the client is closed"):
        await only
    assert connection.ended == "aborted"
    assert len(pool.made) == 1
    assert not pool._count


async def test_free_slot_skips_cancelled_requests():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    gone = [await waiting(pool) for _ in range(3)]
    patient = await waiting(pool)
    for task in gone:
        task.cancel()  # they are in the queue until they run again
    pool.release(ONE, connection)
    assert await patient is connection


async def test_all_free_slots_are_assigned_in_one_turn():
    pool = FakePool(per_host=2, connections=2)
    one, two = await pool.acquire(ONE, WAIT), await pool.acquire(OTHER, WAIT)
    first, second, third = await waiting(pool), await waiting(pool), await waiting(pool, OTHER)
    one.is_reusable = two.is_reusable = False
    pool.release(ONE, one)
    pool.release(OTHER, two)
    assert {await first, await second} == set(pool.made[2:])
    assert "1 waiting" in repr(pool)
    pool.release(ONE, first.result())
    assert await third is pool.made[-1]


async def test_request_that_waits_too_long_leaves_the_queue():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    with pytest.raises(RequestTimeout, match=r"connections to .* were in use for 0.0 s"):
        await pool.acquire(ONE, Timeouts(pool=0.0))
    assert repr(pool) == "<Pool 1 in use, 0 idle, 0 waiting>"
    pool.release(ONE, connection)
    assert await pool.acquire(ONE, WAIT) is connection


async def test_idle_connection_of_another_host_is_closed_for_a_new_one():
    pool = FakePool(connections=1)
    connection = await pool.acquire(ONE, WAIT)
    pool.release(ONE, connection)
    other = await pool.acquire(OTHER, WAIT)
    assert (connection.ended, other.ended) == ("closed", None)
    assert pool._count == {OTHER: 1}


async def test_last_used_connection_is_used_first_and_old_ones_are_closed(monkeypatch):
    pool = FakePool(per_host=3, idle=2.0)
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    connections = [await pool.acquire(ONE, WAIT) for _ in range(3)]
    for connection in connections:
        pool.release(ONE, connection)
        now += 1.0
    assert await pool.acquire(ONE, WAIT) is connections[2]
    assert [each.ended for each in connections] == ["closed", None, None]
    assert pool._count == {ONE: 2}


async def test_connection_that_broke_while_idle_is_replaced():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    pool.release(ONE, connection)
    connection.has_input = lambda: True  # the server has closed it, or sent unsolicited bytes
    assert await pool.acquire(ONE, WAIT) is pool.made[1]
    assert connection.ended == "aborted"
    assert pool._count == {ONE: 1}


async def test_closed_pool_raises_in_waiting_and_later_requests():
    pool = FakePool(per_host=1)
    idle, used = FakeConnection(), await pool.acquire(ONE, WAIT)
    task = await waiting(pool)
    pool._idle[OTHER] = deque([idle])
    pool.close()
    assert (idle.ended, used.ended) == ("aborted", "aborted")
    assert repr(pool) == "<Pool 1 in use, 0 idle, 0 waiting>"
    for late in (task, pool.acquire(OTHER, WAIT)):
        with pytest.raises(Exception, match="the client is closed"):
            await late


async def test_request_whose_time_is_over_as_a_slot_becomes_free_times_out():
    pool = FakePool(per_host=1)
    connection = await pool.acquire(ONE, WAIT)
    late = asyncio.create_task(pool.acquire(ONE, Timeouts(pool=0.0)))
    await asyncio.sleep(0)  # its time is over in the next turn,
    asyncio.get_running_loop().call_soon(pool.release, ONE, connection)  # and then a slot is free
    with pytest.raises(RequestTimeout) as caught:
        await late
    assert caught.value.phase == "pool"
    assert repr(pool) == "<Pool 0 in use, 1 idle, 0 waiting>"


async def test_request_cancelled_as_the_pool_closes_is_cancelled():
    pool = FakePool(per_host=1)
    await pool.acquire(ONE, WAIT)
    only = await waiting(pool)
    pool.close()
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only


async def test_connection_made_while_the_pool_closes_is_aborted(monkeypatch):
    pool = Pool(PoolLimits(), Limits(), None, ())
    connection = FakeConnection()
    connection.peer = None

    async def connect(*_, **__):
        pool.close()
        return connection

    monkeypatch.setattr("kakuri_http.client._pool.connect", connect)
    with pytest.raises(Exception, match="the client is closed"):
        await pool.acquire(ONE, WAIT)
    assert (connection.ended, pool._count.total()) == ("aborted", 0)


@pytest.mark.parametrize(("name", "peer"), [("", "127.0.0.1:1"), ("10.0.0.1:80", "10.0.0.1:80")])
async def test_connection_whose_peer_has_no_address_is_named_by_its_endpoint(
    monkeypatch, name, peer
):
    pool = Pool(PoolLimits(), Limits(), None, ())
    made = FakeConnection()
    made.peer = name

    async def connect(*_, **__):
        return made

    monkeypatch.setattr("kakuri_http.client._pool.connect", connect)
    assert (await pool.acquire(ONE, WAIT)).peer == peer
    pool.close()


async def test_pool_forgets_endpoints_to_which_no_connection_is_open():
    pool = FakePool(connections=2, idle=0.0)
    for port in range(1, 6):
        endpoint = Endpoint.tcp("127.0.0.1", port)
        pool.release(endpoint, await pool.acquire(endpoint, WAIT))
    assert len(pool._idle) == 1

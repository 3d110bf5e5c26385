"""Calls of all kinds to a real etcd: one member, and what it may answer."""

import subprocess
import sys
from pathlib import Path

import kakuri_protobuf as kp
import pytest
from kakuri_grpc import InvalidArgument, StatusCode, StatusError

from .etcd_rpc import (
    KV,
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    EventType,
    Lease,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    Maintenance,
    PutRequest,
    RangeRequest,
    RequestOp,
    SnapshotRequest,
    TxnRequest,
    Watch,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
)

HERE = Path(__file__).resolve().parent


@pytest.fixture
def prefix(request):
    """Return a prefix of keys that belongs to one test."""
    return f"/{request.node.name}/".encode()


def after(prefix):
    """Return the end of the range of all keys with a prefix."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def put(key, value=b"", **more):
    return PutRequest(key=key, value=value, **more)


async def keys(channel, prefix, **more):
    request = RangeRequest(key=prefix, range_end=after(prefix), **more)
    return await channel.call(KV.Range, request, timeout=10)


def test_generated_messages_are_those_of_the_proto_file(tmp_path):
    command = [sys.executable, "-m", "kakuri_protobuf", "compile", "etcd_rpc.proto", "-o"]
    subprocess.run([*command, tmp_path / "made.py"], check=True, cwd=HERE)
    assert (tmp_path / "made.py").read_text() == (HERE / "etcd_rpc.py").read_text()


async def test_put_range_and_delete_agree_on_revisions(channel, prefix):
    first = await channel.call(KV.Put, put(prefix + b"a", b"1"), timeout=10)
    second = await channel.call(KV.Put, put(prefix + b"a", b"2", prev_kv=True), timeout=10)
    assert second.header.revision == first.header.revision + 1
    assert second.prev_kv.value == b"1"
    (pair,) = (await keys(channel, prefix)).kvs
    assert (pair.value, pair.version) == (b"2", 2)
    assert pair.create_revision == first.header.revision
    assert pair.mod_revision == second.header.revision
    (old,) = (await keys(channel, prefix, revision=first.header.revision)).kvs
    assert old.value == b"1"
    deleting = DeleteRangeRequest(key=prefix, range_end=after(prefix))
    assert (await channel.call(KV.DeleteRange, deleting, timeout=10)).deleted == 1
    assert (await keys(channel, prefix)).count == 0


async def test_values_of_a_mebibyte_go_both_ways(channel, prefix):
    value = bytes(range(256)) * 4096
    await channel.call(KV.Put, put(prefix, value), timeout=10)
    request = RangeRequest(key=prefix)
    assert (await channel.call(KV.Range, request, timeout=10)).kvs[0].value == value


async def test_key_is_created_once_as_a_compare_with_version_zero_is_written(channel, prefix):
    absent = Compare(key=prefix, version=0)
    assert kp.encode(absent).endswith(b"\x20\x00")
    create = TxnRequest(
        compare=(absent,),
        success=(RequestOp(put=put(prefix, b"first")),),
        failure=(RequestOp(range=RangeRequest(key=prefix)),),
    )
    answers = [await channel.call(KV.Txn, create, timeout=10) for _ in range(2)]
    assert [answer.succeeded for answer in answers] == [True, False]
    assert answers[0].responses[0].put is not None
    assert answers[1].responses[0].range.kvs[0].value == b"first"


async def test_transaction_that_compares_a_revision_loses_against_a_later_write(channel, prefix):
    before = await channel.call(KV.Put, put(prefix, b"0"), timeout=10)
    unchanged = Compare(
        target=2, key=prefix, mod_revision=before.header.revision
    )  # MOD  # fmt: skip
    update = TxnRequest(compare=(unchanged,), success=(RequestOp(put=put(prefix, b"1")),))
    assert (await channel.call(KV.Txn, update, timeout=10)).succeeded
    assert not (await channel.call(KV.Txn, update, timeout=10)).succeeded


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        (KV.Put, PutRequest(), StatusCode.INVALID_ARGUMENT),
        (KV.Range, RangeRequest(key=b"a", revision=1 << 40), StatusCode.OUT_OF_RANGE),
        (Lease.LeaseRevoke, LeaseRevokeRequest(ID=4711), StatusCode.NOT_FOUND),
        (KV.Compact, CompactionRequest(revision=1 << 40), StatusCode.OUT_OF_RANGE),
    ],
)
async def test_refusal_has_the_status_and_text_of_etcd(channel, method, request_, code):
    with pytest.raises(StatusError, match="etcdserver: ") as caught:
        await channel.call(method, request_, timeout=10)
    assert caught.value.code is code


async def test_request_over_etcds_limit_raises_status_error_and_the_connection_continues(
    channel, prefix
):
    with pytest.raises(StatusError) as caught:
        await channel.call(KV.Put, put(prefix, bytes(2 << 20)), timeout=10)
    assert isinstance(caught.value, InvalidArgument) or (
        caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    )
    assert (await keys(channel, prefix)).count == 0


async def test_two_watches_share_a_stream_and_get_their_own_events(channel, prefix):
    async with await channel.stream(Watch.Watch, timeout=20) as watch:
        for watch_id, name in ((1, b"a"), (2, b"b")):
            create = WatchCreateRequest(key=prefix + name, watch_id=watch_id, prev_kv=True)
            await watch.send(WatchRequest(create_request=create))
            answer = await watch.receive()
            assert answer.created
            assert answer.watch_id == watch_id
        await channel.call(KV.Put, put(prefix + b"a", b"1"), timeout=10)
        await channel.call(KV.Put, put(prefix + b"b", b"2"), timeout=10)
        await channel.call(KV.DeleteRange, DeleteRangeRequest(key=prefix + b"a"), timeout=10)
        seen = []
        while len(seen) < 3:
            answer = await watch.receive()
            seen += [
                (answer.watch_id, event.type, event.kv.key, event.kv.value)
                for event in answer.events
            ]
        assert sorted(seen) == [
            (1, EventType.PUT, prefix + b"a", b"1"),
            (1, EventType.DELETE, prefix + b"a", b""),
            (2, EventType.PUT, prefix + b"b", b"2"),
        ]
        await watch.send(WatchRequest(cancel_request=WatchCancelRequest(watch_id=1)))
        answer = await watch.receive()
        assert (answer.watch_id, answer.canceled) == (1, True)
        await watch.send(WatchRequest(progress_request=WatchProgressRequest()))
        assert (await watch.receive()).header.revision > 0


async def test_watch_below_a_compaction_is_canceled_with_its_revision(channel, prefix):
    for _ in range(3):
        last = await channel.call(KV.Put, put(prefix), timeout=10)
    revision = last.header.revision
    await channel.call(KV.Compact, CompactionRequest(revision=revision), timeout=10)
    async with await channel.stream(Watch.Watch, timeout=20) as watch:
        create = WatchCreateRequest(key=prefix, start_revision=revision - 2)
        await watch.send(WatchRequest(create_request=create))
        async for answer in watch:
            if answer.canceled:
                break
        assert answer.compact_revision == revision


async def test_lease_is_kept_alive_over_a_stream_and_takes_its_keys_with_it(channel, prefix):
    lease = await channel.call(Lease.LeaseGrant, LeaseGrantRequest(TTL=60), timeout=10)
    assert (lease.error, lease.TTL) == ("", 60)
    await channel.call(KV.Put, put(prefix, b"held", lease=lease.ID), timeout=10)
    async with await channel.stream(Lease.LeaseKeepAlive, timeout=20) as keeping:
        for _ in range(3):
            await keeping.send(LeaseKeepAliveRequest(ID=lease.ID))
            answer = await keeping.receive()
            assert (answer.ID, answer.TTL) == (lease.ID, 60)
        await channel.call(Lease.LeaseRevoke, LeaseRevokeRequest(ID=lease.ID), timeout=10)
        await keeping.send(LeaseKeepAliveRequest(ID=lease.ID))
        assert (await keeping.receive()).TTL == 0  # it is gone
    assert (await keys(channel, prefix)).count == 0


async def test_snapshot_is_streamed_whole(channel, prefix):
    for number in range(20):
        await channel.call(KV.Put, put(prefix + b"%d" % number, bytes(100_000)), timeout=10)
    size, remaining = 0, None
    async with await channel.stream(Maintenance.Snapshot, SnapshotRequest(), timeout=20) as blobs:
        async for part in blobs:
            size += len(part.blob)
            remaining = part.remaining_bytes
    assert size > 2_000_000
    assert remaining == 0

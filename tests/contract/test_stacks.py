"""The same operations send the same bytes to the runtime over grpcio and over kakuri-grpc.

A proxy in front of a fake runtime records every call as it arrives. Ids of the runtime are counted
instead of random, and the monitor lists nothing by itself, so two runs differ in nothing else.
"""

import itertools

import pytest
from kakuri_cri import GrpcChannel, Runtime
from kakuri_cri.testing import CriProxy, FakeCri
from kakuri_sidecar import GrpcioChannel
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import until
from kakuri_workload import PullPolicy
from kakuri_workload.testing import zone_spec
from kakuri_zones import MonitorTimes, Settings, StartFailed, zone_node

NEVER = 100_000.0
MONITOR = MonitorTimes(interval=NEVER, without_events=NEVER, resubscribe=NEVER, retry_events=NEVER)

SPECS = {
    "plain": zone_spec("plain", image="web:1", memory_mb=64, cpu_millicores=500),
    "everything": zone_spec(
        "everything",
        image="registry.example/app@sha256:" + "0" * 64,
        memory_mb=1024,
        cpu_millicores=2500,
        command=("/bin/app", "--name=wörld"),
        args=("", "\N{SNOWMAN}", "x" * 10_000),
        env={"EMPTY": "", "TEXT": "line\nline\t\N{GRINNING FACE}"},
        working_dir="/srv/app",
        user="0:0",
        labels={"team": "x", "app.example/part": "1"},
        attempt=2,
        pull=PullPolicy.MISSING,
    ),
    "largest": zone_spec(
        "largest",
        image="web:1",
        memory_mb=2**31 - 1,
        cpu_millicores=2**31 - 1,
        env={"LARGE": "x" * 200_000},
        user="app:staff",
    ),
}


@pytest.fixture
def calls_of(tmp_path, monkeypatch):
    """Return a function that runs an operation over a channel, and returns the calls it made."""

    async def run(make_channel, operation):
        ids = itertools.count()
        monkeypatch.setattr("secrets.token_hex", lambda size: f"{next(ids):0{2 * size}x}")
        settings = Settings(
            cri=Endpoint.unix("/unused"), log_dir=tmp_path / "logs", monitor=MONITOR,
            dns_servers=["1.1.1.1"],
        )  # fmt: skip
        fake_runtime = FakeCri(unimplemented=["GetContainerEvents"])
        async with fake_runtime as fake, CriProxy(fake.path) as proxy:
            async with (
                Runtime(make_channel(proxy.endpoint)) as runtime,
                zone_node(runtime, settings) as node,
            ):
                # Once at the start, and once more since there are no events; then never again.
                await until(lambda: answered(proxy.calls.of("ListContainers")) == 2)
                proxy.calls.clear()
                await operation(node, fake)
            return [(call.method, call.request) for call in proxy.calls.all]

    return run


def answered(calls):
    return sum(call.code == "OK" for call in calls)


def in_order(calls):
    """Return the calls that change something in their order, then those that only read.

    Reads of one step may be made at the same time, so their order is not fixed.
    """
    reads = [call for call in calls if call[0].startswith("List") or call[0].endswith("Status")]
    return [call for call in calls if call not in reads], sorted(reads)


async def both(calls_of, operation):
    grpcio = await calls_of(GrpcioChannel, operation)
    own = await calls_of(GrpcChannel, operation)
    assert in_order(own) == in_order(grpcio)
    return [method for method, _ in own]


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
async def test_start_stop_and_remove_send_the_same_bytes_over_both_stacks(calls_of, spec):
    async def operation(node, fake):
        await node.start(spec)
        await node.stop(spec.id, 3)
        await node.remove(spec.id, 0)

    methods = await both(calls_of, operation)
    changes = ["RunPodSandbox", "CreateContainer", "StartContainer", "StopContainer"]
    changes += ["StopPodSandbox", "StopPodSandbox", "RemoveContainer", "RemovePodSandbox"]
    assert [method for method in methods if method in changes] == changes


async def test_failed_start_and_its_roll_back_send_the_same_bytes_over_both_stacks(calls_of):
    async def operation(node, fake):
        fake.faults.set("StartContainer", "error(UNKNOWN: exec: no such file)")
        with pytest.raises(StartFailed, match="no such file"):
            await node.start(SPECS["plain"])

    assert "RemovePodSandbox" in await both(calls_of, operation)


async def test_next_attempt_sends_the_same_bytes_over_both_stacks(calls_of):
    async def operation(node, fake):
        await node.start(SPECS["plain"])
        fake.exit("plain", 3)
        await node.stop("plain", 1)
        await node.start(
            zone_spec("plain", image="web:1", memory_mb=64, cpu_millicores=500, attempt=1)
        )
        await until(lambda: len(fake.containers) == len(fake.sandboxes) == 1)

    assert (await both(calls_of, operation)).count("CreateContainer") == 2

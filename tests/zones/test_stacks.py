"""A zone started over grpcio and over kakuri-grpc has the same labels, spec and limits."""

import json
import re
from base64 import b64decode

import pytest
from kakuri_cri import GrpcChannel, Runtime
from kakuri_sidecar import GrpcioChannel
from kakuri_tcp import Endpoint
from kakuri_workload.testing import zone_spec
from kakuri_zones import Settings, zone_node

from .system import IDLE, run_ctr

SPEC = zone_spec(
    "twin",
    image="busybox:latest",
    memory_mb=64,
    cpu_millicores=250,
    command=IDLE[:2],
    args=IDLE[2:],
    env={"TEXT": "wörld", "EMPTY": ""},
    working_dir="/tmp",
    user="1000:1001",
    labels={"team": "x"},
)

VARIES = re.compile(
    r"[0-9a-f]{64}"  # ids
    r"|/proc/[0-9]+/ns/"  # namespaces of the sandbox's first process
    r"|\d{4}-\d\d-\d\dT[0-9:.]+Z"
    r"|cni-[0-9a-f-]+"
)


async def records_of(node, directory, make_channel):
    """Run a zone over a channel; return what containerd has of it, without what always varies."""
    settings = Settings(
        cri=Endpoint.unix(str(node.socket)),
        handlers={"edera-zone": "edera"},
        cgroup_parent=node.cgroup_parent,
        log_dir=directory / "logs",
        dns_servers=["10.9.9.9"],
    )
    async with (
        Runtime(make_channel(settings.cri)) as runtime,
        zone_node(runtime, settings) as zones,
    ):
        await zones.start(SPEC)
        status = await zones.zone(SPEC.id)
        sandbox = await runtime.pod_sandbox_status(status.pod_sandbox_id)
        container = await runtime.container_status(status.container_id)
        hosts = settings.log_dir / SPEC.id / "hosts"
        records = {
            "sandbox": run_ctr(node, "containers", "info", status.pod_sandbox_id),
            "container": run_ctr(node, "containers", "info", status.container_id),
            "sandbox labels": json.dumps(dict(sandbox.labels), sort_keys=True),
            "container labels": json.dumps(dict(container.labels), sort_keys=True),
            "annotations": json.dumps(dict(container.annotations), sort_keys=True),
            "hosts": hosts.read_text().replace(status.address, "ADDRESS"),
        }
        await zones.remove(SPEC.id, 0)
    return {name: VARIES.sub("…", decoded(text)) for name, text in records.items()}


def decoded(text):
    """Return a record of containerd with the configuration that it stores in base64 as text."""
    return re.sub(r'"value": "(eyJ[^"]+)"', lambda found: _configuration(found[1]), text)


def _configuration(stored):
    document = json.loads(b64decode(stored))
    for of_the_network in ("IP", "AdditionalIPs", "CNIResult"):
        document["Metadata"].pop(of_the_network, None)
    return json.dumps(document, separators=(",", ":"))


async def test_zone_over_both_stacks_is_the_same_to_containerd(node, tmp_path):
    over_grpcio = await records_of(node, tmp_path, GrpcioChannel)
    over_own = await records_of(node, tmp_path, GrpcChannel)
    assert over_own == over_grpcio
    for expected in ('"uid": 1000', '"noNewPrivileges": true', '"memory_limit_in_bytes":67108864'):
        assert expected in over_own["container"]


@pytest.mark.parametrize("make_channel", [GrpcioChannel, GrpcChannel])
async def test_zone_of_one_stack_is_adopted_by_the_other(node, tmp_path, make_channel):
    other = GrpcChannel if make_channel is GrpcioChannel else GrpcioChannel
    settings = Settings(
        cri=Endpoint.unix(str(node.socket)),
        handlers={"edera-zone": "edera"},
        cgroup_parent=node.cgroup_parent,
        log_dir=tmp_path / "logs",
    )
    async with (
        Runtime(make_channel(settings.cri)) as runtime,
        zone_node(runtime, settings) as zones,
    ):
        started, existed = await zones.start(SPEC)
        assert not existed
    async with Runtime(other(settings.cri)) as runtime, zone_node(runtime, settings) as zones:
        assert await zones.start(SPEC) == (started, True)
        assert (await zones.zone(SPEC.id)).spec == SPEC
        await zones.remove(SPEC.id, 0)

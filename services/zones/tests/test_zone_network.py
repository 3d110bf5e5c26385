import asyncio
import stat

import pytest
from kakuri_cri import CallRefused
from kakuri_zones._resolvers import Resolvers, is_reachable
from kakuri_zones._zone_network import ZoneNetwork, hosts_file
from kakuri_zones.logs._errors import LogError
from kakuri_zones.logs._store import LogStore

PORTS = {"net.ipv4.ip_unprivileged_port_start": "0"}


@pytest.fixture
def logs(tmp_path):
    store = LogStore(tmp_path)
    yield store
    store.close()


def network(tmp_path, *texts, **options):
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"resolv-{number}.conf")
        files[-1].write_text(text)
    return ZoneNetwork(LogStore(tmp_path), resolver_files=files, **options)


def written(network):
    config = network.dns_config()
    return list(config.servers), list(config.searches), list(config.options)


@pytest.mark.parametrize(
    "server",
    [
        "127.0.0.53", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::",
        "fe80::1%eth0", "fe80::1", "localhost", "", "10.0.0.256",
    ],
)  # fmt: skip
def test_resolver_that_zones_cannot_reach_is_left_out(server):
    assert not is_reachable(server)


@pytest.mark.parametrize("server", ["10.0.0.53", "192.168.0.1", "2001:db8::1", "fd00::1"])
def test_resolver_in_the_network_is_reachable(server):
    assert is_reachable(server)


def test_resolvers_of_the_host_that_zones_can_reach_are_used(tmp_path):
    text = (
        "# a comment\n; another\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n"
        "nameserver 10.0.0.2\nnameserver 2001:db8::1\nnameserver 10.0.0.4\n"
        "domain lost.example\nsearch a.example b.example\n"
        "options edns0 trust-ad\noptions ndots:2 edns0\nnameserver\nsortlist 1.2.3.4\n"
    )
    assert written(network(tmp_path, text)) == (
        ["10.0.0.1", "10.0.0.2", "2001:db8::1"],
        ["a.example", "b.example"],
        ["edns0", "ndots:2"],
    )


def test_loopback_stub_is_replaced_by_the_resolvers_that_it_forwards_to(tmp_path):
    stub = "nameserver 127.0.0.53\noptions edns0\nsearch stub.example\n"
    upstream = "nameserver 10.0.0.1\nsearch upstream.example\n"
    assert written(network(tmp_path, stub, upstream)) == (
        ["10.0.0.1"], ["upstream.example"], ["ndots:1"],
    )  # fmt: skip


@pytest.mark.parametrize("texts", [(), ("",), ("nameserver 127.0.0.53\n",)])
def test_dns_config_without_resolvers_is_not_empty(tmp_path, texts):
    assert written(network(tmp_path, *texts)) == ([], [], ["ndots:1"])


def test_resolvers_and_domains_of_the_options_replace_those_of_the_host(tmp_path):
    text = "nameserver 10.0.0.1\nsearch host.example\noptions timeout:1\n"
    given = network(tmp_path, text, servers=["10.9.9.9"], searches=["own.example"])
    assert written(given) == (["10.9.9.9"], ["own.example"], ["timeout:1"])


def test_search_line_without_names_is_ignored():
    assert Resolvers.parse("domain a.example\nsearch\n").searches == ("a.example",)


def test_search_domains_beyond_their_number_or_length_are_dropped():
    names = [f"{'x' * 60}.{number}.example" for number in range(100)]
    searches = Resolvers.parse("search " + " ".join(names)).searches
    assert len(searches) < 32
    assert sum(len(name) + 1 for name in searches) <= 2048
    assert len(Resolvers.parse("search " + " ".join(f"d{n}" for n in range(40))).searches) == 32


def test_hosts_file_has_the_zones_name_for_each_of_its_addresses():
    lines = hosts_file("web-1", ["10.88.0.2", "fd00::2"]).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-2:] == ["10.88.0.2\tweb-1", "fd00::2\tweb-1"]


@pytest.mark.parametrize("addresses", [[], [""], ["10.0.0.2\n6.6.6.6 bank.example"]])
def test_name_of_a_zone_without_address_is_its_loopback(addresses):
    assert hosts_file("web-1", addresses).splitlines()[-1] == "127.0.0.1\tweb-1"


async def test_hosts_file_is_readable_in_the_zone_and_mounted_read_only(logs, tmp_path):
    await logs.prepare("web-1", 0)
    zones = ZoneNetwork(logs)
    for address in ("10.88.0.2", "10.88.0.3"):
        (mount,) = await zones.mounts("web-1", [address])
        path = tmp_path / "web-1" / "hosts"
        assert (mount.container_path, mount.host_path) == ("/etc/hosts", str(path))
        assert mount.readonly
        assert path.read_text().endswith(f"{address}\tweb-1\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in (tmp_path / "web-1").iterdir()] == ["hosts"]
    await logs.remove("web-1")
    assert not (tmp_path / "web-1").exists()


async def test_hosts_file_is_not_written_through_a_link(logs, tmp_path):
    (tmp_path / "web-1").mkdir()
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "web-1" / "hosts").symlink_to(target)
    (tmp_path / "web-1" / "hosts.part").symlink_to(target)
    await ZoneNetwork(logs).mounts("web-1", [])
    assert target.read_text() == "mine"
    assert not (tmp_path / "web-1" / "hosts").is_symlink()


async def test_hosts_file_without_its_directory_is_an_error(logs):
    with pytest.raises(LogError):
        await ZoneNetwork(logs).mounts("web-1", [])


async def test_no_hosts_file_option_leaves_out_the_mount(logs):
    assert await ZoneNetwork(logs, has_hosts=False).mounts("web-1", []) == []


def test_handler_that_refuses_the_sysctl_gets_none_from_then_on(tmp_path):
    zones = network(tmp_path)
    assert zones.sysctls("edera") == PORTS
    other = CallRefused("RunPodSandbox", "no space left on device")
    assert not zones.handle_sysctl_refusal("edera", "web-1", other)
    refusal = CallRefused("RunPodSandbox", "sysctl net.ipv4.ip_unprivileged_port_start not allowed")
    assert zones.handle_sysctl_refusal("edera", "web-1", refusal)
    assert zones.sysctls("edera") == {}
    assert zones.sysctls("other") == PORTS


def test_id_of_a_zone_is_not_taken_for_a_refused_sysctl(tmp_path):
    zones = network(tmp_path)
    quoting = CallRefused("RunPodSandbox", 'failed to set up the network of "no-sysctls"')
    assert not zones.handle_sysctl_refusal("edera", "no-sysctls", quoting)
    assert zones.sysctls("edera") == PORTS
    refusal = CallRefused("RunPodSandbox", "sysctl net.ipv4.ip_unprivileged_port_start not allowed")
    assert zones.handle_sysctl_refusal("edera", "no-sysctls", refusal)


async def test_zones_that_start_at_once_all_run_where_the_runtime_refuses_the_sysctl(runtime, node):
    runtime.node.accepts_sysctls = False
    runtime.faults.set("RunPodSandbox", "3*delay(200)")  # all have begun before one is refused
    await asyncio.gather(*map(node.start, ["a", "b", "c"]))
    for name in ("a", "b", "c"):
        assert dict(runtime.sandbox(name).config.linux.sysctls) == {}


async def test_refusal_without_sysctls_is_not_tried_again(runtime, node):
    refused = "error(UNKNOWN: sysctl net.ipv4.x is not allowed)"
    runtime.faults.set("RunPodSandbox", f"2*{refused}")
    await node.start()
    assert len(runtime.calls.of("RunPodSandbox")) == 2


async def test_zone_starts_where_the_runtime_refuses_the_sysctl(runtime, node):
    runtime.faults.set("RunPodSandbox", "error(UNKNOWN: sysctl net.ipv4.x is not allowed)")
    is_new, _ = await node.start()
    assert is_new
    first, second = (call.request.config.linux for call in runtime.calls.of("RunPodSandbox"))
    assert (dict(first.sysctls), dict(second.sysctls)) == (PORTS, {})


async def test_each_further_name_is_tried_without_refused_sysctls(runtime, node):
    refused = "error(UNKNOWN: sysctl net.ipv4.x is not allowed)"
    reserved = 'error(UNKNOWN: failed to reserve sandbox name "z": name "z" is reserved for "x")'
    runtime.faults.set("RunPodSandbox", f"{refused}->{reserved}")
    is_new, _ = await node.start()
    assert is_new
    sent = [dict(call.request.config.linux.sysctls) for call in runtime.calls.of("RunPodSandbox")]
    assert sent == [PORTS, {}, {}]
    (created,) = runtime.calls.of("CreateContainer")
    assert dict(created.request.sandbox_config.linux.sysctls) == {}


async def test_zone_gets_its_own_hosts_file_and_resolvers(runtime, run, tmp_path):
    async with run(dns_servers=["10.9.9.9"]) as node:
        await node.start()
        assert list(runtime.sandbox("z").config.dns_config.servers) == ["10.9.9.9"]
        assert runtime.sandbox("z").config.hostname == "z"
        (mount,) = runtime.container("z").config.mounts
        assert mount.host_path == str(tmp_path / "logs" / "z" / "hosts")
        address = runtime.sandbox("z").ip
        assert (tmp_path / "logs" / "z" / "hosts").read_text().endswith(f"{address}\tz\n")


async def test_health_has_a_condition_if_no_resolver_is_reachable_from_zones(
    run, monkeypatch, tmp_path
):
    monkeypatch.setattr("kakuri_zones._zone_network.RESOLVER_FILES", (tmp_path / "none",))
    monkeypatch.setattr(ZoneNetwork.__init__, "__kwdefaults__", {
        **ZoneNetwork.__init__.__kwdefaults__, "resolver_files": (tmp_path / "none",),
    })  # fmt: skip
    async with run() as node:
        health = await node.zones.health()
        assert health.status == "ok"
        condition = health.conditions[-1]
        assert (condition.type, condition.status) == ("NameResolution", False)
        assert condition.reason == "NoResolver"
    async with run(dns_servers=["10.9.9.9"]) as node:
        conditions = (await node.zones.health()).conditions
        assert "NameResolution" not in [each.type for each in conditions]

"""Metrics of real containers, as the control plane serves them to Prometheus."""

import re
import time

from kakuri_http.blocking import BlockingClient

from .system import IDLE, await_that

SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

MEBIBYTE = 2**20
WORK_SECONDS = 3.0

BUSY, IDLE_ZONE = ((("workload", name),) for name in ("busy", "idle"))


def scrape(system):
    """Return the values of all series, by name and by labels without the node's name."""
    with BlockingClient() as client:
        text = client.request("GET", system.url("/metrics")).body.decode()
    found = {}
    for name, labels, value in SERIES.findall(text):
        key = tuple(sorted(pair for pair in LABEL.findall(labels) if pair[0] != "node"))
        found.setdefault(name, {})[key] = float(value)
    return found


def test_working_zone_shows_its_usage_until_it_is_removed(system):
    keep = "x=$(head -c 12000000 /dev/zero | tr '\\0' x); while :; do :; done"
    system.run("busy", "sh", "-c", keep, memory_mb=256)
    system.run("idle", *IDLE)
    for workload in ("busy", "idle"):
        system.await_state(workload, "running")
    time.sleep(WORK_SECONDS)  # the runtime is asked again only after ten seconds
    cpu, memory = "kakuri_zone_cpu_usage_seconds_total", "kakuri_zone_memory_working_set_bytes"
    figures = await_that(
        "usage",
        lambda: (
            (found := scrape(system)).get(memory, {}).get(BUSY, 0) > 10_000_000
            and found.get(cpu, {}).get(BUSY, 0) > 0.3
            and found
        ),
    )
    assert figures[cpu][IDLE_ZONE] < figures[cpu][BUSY] / 2
    assert figures[memory][IDLE_ZONE] < 5_000_000
    assert figures["kakuri_zone_memory_limit_bytes"][BUSY] == 256 * MEBIBYTE
    for name in ("writable_bytes", "processes", "network_receive_bytes_total"):
        assert IDLE_ZONE in figures[f"kakuri_zone_{name}"]
    assert figures["kakuri_zone_stats_available"] == {(): 1}
    assert figures["kakuri_runtime_available"] == {(): 1}

    system.remove("busy")
    figures = scrape(system)
    assert [name for name, series in figures.items() if "('workload', 'busy')" in str(series)] == []
    assert IDLE_ZONE in figures[cpu]


def test_calls_pulls_disks_and_logs_are_counted(system):
    system.run(
        "writer",
        "sh",
        "-c",
        "head -c 5000 /dev/zero | tr '\\0' x; echo; trap 'exit 0' TERM; sleep 600 & wait",
    )
    system.await_state("writer", "running")
    figures = await_that(
        "a log of 5,000 bytes",
        lambda: (found := scrape(system))["kakuri_log_bytes_total"].get((), 0) > 5000 and found,
    )
    counts = figures["kakuri_cri_request_duration_seconds_count"]
    assert counts[("method", "RunPodSandbox"),] >= 1
    assert counts[("method", "ListContainers"),] >= 1
    assert figures["kakuri_image_pulls_total"][("outcome", "succeeded"),] >= 1
    assert figures["kakuri_disk_available_bytes"].keys() == {
        (("disk", "images"),), (("disk", "logs"),)
    }  # fmt: skip
    assert figures["kakuri_zones_orphaned"] == {(): 0}


def test_every_daemon_of_the_node_has_metrics(system):
    components = {dict(labels)["component"] for labels in scrape(system)["kakuri_build_info"]}
    assert components == {"control-plane", "agent", *system.zone_daemons}

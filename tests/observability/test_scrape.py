"""What Prometheus and its tools find in the metrics of a stack."""

import re

from .stack import OPEN_METRICS, await_that

RUNNING = {"web", "cache", "database"}


def test_promtool_reports_no_problem(stack, promtool):
    assert promtool("check", "metrics", text=stack.scrape()) == ""


def test_openmetrics_has_its_end_and_prometheus_names(stack):
    text = stack.scrape(OPEN_METRICS)
    assert text.endswith("# EOF\n")
    assert "kakuri_zone_cpu_usage_seconds_total{" in text


def test_prometheus_scrapes_the_stack(server):
    await_that("a scrape", lambda: server.query("up == 1"))
    (target,) = server.get("targets")["activeTargets"]
    assert target["lastError"] == ""
    assert target["health"] == "up"


def test_running_zones_have_their_usage_and_nothing_else_has(server):
    for name in (
        "kakuri_zone_cpu_usage_seconds_total",
        "kakuri_zone_memory_working_set_bytes",
        "kakuri_zone_memory_limit_bytes",
        "kakuri_zone_writable_bytes",
        "kakuri_zone_processes",
        "kakuri_zone_network_receive_bytes_total",
        "kakuri_zone_network_transmit_bytes_total",
        "kakuri_zone_info",
    ):
        await_that(name, lambda name=name: server.query(name))
        found = server.query(name)
        assert {each["metric"]["workload"] for each in found} == RUNNING
        assert {each["metric"]["node"] for each in found} == {"node1"}


def test_usage_joins_with_the_image(server):
    joined = (
        "kakuri_zone_memory_working_set_bytes"
        " * on (node, workload) group_left (image) kakuri_zone_info"
    )
    await_that(joined, lambda: server.query(joined))
    assert {each["metric"]["image"] for each in server.query(joined)} == {"server:1"}


def test_no_label_has_an_id_of_the_runtime_or_an_attempt(stack):
    labels = set(re.findall(r'[{,]([a-z_]+)="', stack.scrape()))
    assert labels.isdisjoint({"id", "container", "container_id", "sandbox", "pod", "attempt"})
    assert not re.search('"[0-9a-f]{64}"', stack.scrape())


def test_series_of_a_removed_workload_end(stack, server):
    stack.run("short-lived")
    query = 'kakuri_zone_cpu_usage_seconds_total{workload="short-lived"}'
    await_that("usage", lambda: server.query(query))
    assert stack.request("DELETE", "/workloads/short-lived?grace_seconds=0") == 202
    await_that("the end", lambda: not server.query(query))

"""Metrics of the process that runs a daemon."""

import os
import time
from pathlib import Path

import pytest
from kakuri_daemon import LogStream
from kakuri_daemon.metrics import observe_loop_lag, process_families


def samples(component="agent"):
    return {
        (family.name, *each.labels): each
        for family in process_families(component, "1.2")
        for each in family.samples
    }


def test_process_has_the_figures_of_the_kernel():
    found = samples()
    assert found["kakuri_build_info", "agent", "1.2"].value == 1
    assert found["process_resident_memory_bytes", "agent"].value > 1 << 20
    assert found["process_start_time_seconds", "agent"].value <= time.time()
    assert 0 < found["process_open_fds", "agent"].value < found["process_max_fds", "agent"].value
    assert found["python_gc_collections", "agent", "0"].value >= 0
    assert found["process_cpu_seconds", "agent"].value == pytest.approx(
        sum(os.times()[:2]), abs=5.0
    )


def test_figures_that_the_kernel_does_not_report_have_no_series(monkeypatch):
    def fail(*_arguments):
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", fail)
    monkeypatch.setattr(Path, "iterdir", fail)
    names = {name for name, *_ in samples()}
    assert "kakuri_build_info" in names
    assert names.isdisjoint(
        {"process_cpu_seconds", "process_resident_memory_bytes", "process_start_time_seconds"}
    )
    assert "process_open_fds" not in names


def test_loop_lag_is_a_histogram():
    before = samples()["kakuri_loop_lag_seconds", "agent"]
    observe_loop_lag(0.5)
    after = samples()["kakuri_loop_lag_seconds", "agent"]
    assert sum(after.buckets) == sum(before.buckets) + 1
    assert after.value == pytest.approx(before.value + 0.5)


def test_dropped_log_lines_are_counted():
    before = samples()["kakuri_log_lines_dropped", "agent"].value
    stream = LogStream(os.open(os.devnull, os.O_WRONLY), max_waiting=0)
    stream.write("lost\n")
    stream.close(1.0)
    assert samples()["kakuri_log_lines_dropped", "agent"].value == before + 1

"""Metrics of the process that runs a daemon."""

import gc
import os
import resource
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


STAT = b"7 (a) b) S " + b" ".join(str(number).encode() for number in range(4, 53))
"""A process whose fields are their own numbers, from the fourth on (proc_pid_stat(5))."""


@pytest.fixture
def kernel(monkeypatch):
    """Replace the content of the files of the kernel."""
    files = {"/proc/self/stat": STAT, "/proc/stat": b"cpu 1 2\nbtime 1000\nctxt 3\n"}
    monkeypatch.setattr(Path, "read_bytes", lambda path: files[str(path)])
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 10}[name])
    monkeypatch.setattr(resource, "getpagesize", lambda: 4096)
    return files


def test_figures_of_the_process_are_the_fields_of_the_kernel(kernel):
    found = samples()
    assert found["process_cpu_seconds", "agent"].value == (14 + 15) / 10
    assert found["process_resident_memory_bytes", "agent"].value == 24 * 4096
    assert found["process_start_time_seconds", "agent"].value == 1000 + 22 / 10


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/proc/self/stat", b"7 (a) S"), ("/proc/self/stat", STAT.replace(b" 24 ", b" x ")),
        ("/proc/stat", b""), ("/proc/stat", b"btime x\n"), ("/proc/stat", b"btime \n"),
    ],
)  # fmt: skip
def test_malformed_files_of_the_kernel_report_nothing(kernel, path, content):
    kernel[path] = content
    assert "process_cpu_seconds" not in {name for name, *_ in samples()}


def test_open_descriptors_are_counted_without_the_one_that_lists(monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(range(7)))
    assert samples()["process_open_fds", "agent"].value == 6


@pytest.mark.parametrize(
    ("limits", "value"),
    [((64, 128), 64.0), ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None)],
)
def test_limit_of_descriptors_is_the_soft_one_if_there_is_one(monkeypatch, limits, value):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: {resource.RLIMIT_NOFILE: limits}[kind])
    found = samples().get(("process_max_fds", "agent"))
    assert (found and found.value) == value


def test_collections_of_garbage_are_counted_by_generation(monkeypatch):
    stats = [{"collections": number} for number in (5, 0, 7)]
    monkeypatch.setattr(gc, "get_stats", lambda: stats)
    found = samples()
    for generation, number in enumerate((5, 0, 7)):
        assert found["python_gc_collections", "agent", str(generation)].value == number


def test_every_family_has_the_component_as_its_label():
    for family in process_families("sidecar", "1.2"):
        assert family.labels[0] == "component"
        assert set(family.columns[0]) == {"sidecar"}
        assert list(family.faults()) == []

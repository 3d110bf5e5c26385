import subprocess

import pytest

from tools import prometheus

from .stack import Prometheus, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A stack whose workloads run, fail and can't be pulled."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    for name in ("web", "cache", "database"):
        stack.run(name)
    stack.run("crashing", "crash:1", restart_policy="on_failure")
    stack.run("unknown", "missing:1")
    assert stack.request("GET", "/workloads/nothing") == 404
    stack.await_series(r"^kakuri_zone_cpu_usage_seconds_total\{.*database.*\} ")
    stack.await_series(r'^kakuri_image_pulls_total\{.*"failed".*\} [1-9]')
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def server(stack, tmp_path_factory):
    """A Prometheus that has scraped the stack."""
    server = Prometheus(stack, tmp_path_factory.mktemp("prometheus"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def promtool():
    """Return a function that runs promtool and returns its output, after a check of its status."""

    def run(*arguments, text=None, cwd=None):
        command = [prometheus.program("promtool"), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=cwd)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    return run

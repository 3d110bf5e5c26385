"""What other programs make of the control plane's document."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.e2e.processes import DEADLINE, clean_environment

from .checker import installed_checker

HERE = Path(__file__).parent
FUZZING_SECONDS = 200
"""The limit on a busy machine; it takes twenty seconds of one core."""

WORKLOAD = {"id": "test-1", "image": "nginx:latest", "memory_mb": 64}


def run_tool(module, *arguments, timeout=DEADLINE * 3, **options):
    """Run a tool of this environment and return its output; fail if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=clean_environment(PYTHONPATH=os.environ.get("PYTHONPATH", "")),
        **options,
    )
    assert done.returncode == 0, (
        f"{module} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done.stdout + done.stderr


def test_document_is_valid_openapi():
    faults = OpenAPIV31SpecValidator(installed_checker().document).iter_errors()
    assert [f"{list(fault.path)}: {fault.message:.200}" for fault in faults] == []


@pytest.mark.timeout(FUZZING_SECONDS + 10)
def test_generated_requests_are_answered_as_described(url, tmp_path):
    for name in ("schemathesis.toml", "schemathesis_hooks.py"):  # it also writes where they are
        shutil.copy(HERE / name, tmp_path)
    options = ["--config-file", "schemathesis.toml", "run", f"{url}/openapi.json", "--no-color"]
    shown = run_tool("schemathesis.cli", *options, cwd=tmp_path, timeout=FUZZING_SECONDS)
    print(shown[-2000:])
    (cases,) = re.findall(r"(\d+) generated, \d+ passed", shown)
    assert int(cases) > 500


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Generate a client package, and return its parent directory."""
    directory = tmp_path_factory.mktemp("generated")
    document = directory / "openapi.json"
    document.write_text(json.dumps(installed_checker().document))
    target = directory / "kakuri_client"
    shown = run_tool(
        "openapi_python_client", "generate", "--path", str(document), "--meta", "none",
        "--output-path", str(target),
    )  # fmt: skip
    assert "WARNING" not in shown
    return directory


@pytest.fixture
def client(generated, monkeypatch, url):
    monkeypatch.syspath_prepend(str(generated))
    with importlib.import_module("kakuri_client").Client(base_url=url) as client:
        yield client


def test_generated_client_creates_lists_and_deletes_a_workload(client):
    workloads = {
        name: importlib.import_module(f"kakuri_client.api.workloads.{name}_workload{plural}")
        for name, plural in (("create", ""), ("get", ""), ("list", "s"), ("delete", ""))
    }
    models = importlib.import_module("kakuri_client.models")
    submission = models.Submission.from_dict(WORKLOAD)
    created = workloads["create"].sync_detailed(client=client, body=submission)
    assert (created.status_code, created.parsed.runtime_class) == (201, "edera-zone")
    assert created.parsed.cpu_millicores == 1000
    again = workloads["create"].sync_detailed(client=client, body=submission)
    assert (again.status_code, again.parsed.id) == (200, "test-1")
    page = workloads["list"].sync(client=client, spec=True)
    (listed,) = page.workloads
    assert (listed.id, listed.spec.memory_mb) == ("test-1", 64)
    assert listed.created_at.tzinfo is not None
    refused = workloads["create"].sync(
        client=client, body=models.Submission.from_dict(WORKLOAD | {"memory_mb": 65})
    )
    assert (refused.code, refused.errors[0].path) == ("conflict", "$.memory_mb")
    removed = workloads["delete"].sync_detailed("test-1", client=client, wait=20, grace_seconds=0)
    assert (removed.status_code, removed.parsed.removed.verified_by) == (200, "simulated")
    assert workloads["get"].sync("test-1", client=client).code == "not_found"

"""Defaults, keys, stop, start, restart, removal and nodes, asked for with the real curl."""

import json

import pytest

from .processes import curl
from .test_flow import document, problem, until

MADE = '{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":1000}'


def state_of(url):
    return json.loads(curl(url).body).get("state")


@pytest.fixture
def workload(url):
    """Return the URL of a workload that runs."""
    assert curl(f"{url}/workloads", "-d", document()).status == 201
    one = f"{url}/workloads/test-1"
    until(lambda: state_of(one), "running")
    return one


def test_post_of_id_and_image_shows_the_defaults(url):
    made = curl(f"{url}/workloads", "-d", '{"id":"test-1","image":"nginx:latest"}')
    assert (made.status, made.body) == (201, MADE)
    again = curl(f"{url}/workloads", "-d", MADE)
    assert again.status == 200
    assert again.body.startswith(MADE[:-1] + ',"state":"')
    assert again.body.endswith(',"existing":true}')


def test_posts_with_one_key_are_one_workload(url):
    options = ["-H", "Idempotency-Key: order 7", "-d", '{"image":"ghcr.io/acme/web:1"}']
    first, second = curl(f"{url}/workloads", *options), curl(f"{url}/workloads", *options)
    assert (first.status, second.status) == (201, 200)
    name = json.loads(first.body)["id"]
    assert name.startswith("web-")
    assert first.headers["location"] == second.headers["location"] == f"/workloads/{name}"
    without = curl(f"{url}/workloads", "-d", '{"image":"nginx"}')
    assert (without.status, problem(without)["errors"][0]["path"]) == (400, "$.id")


def test_dry_run_starts_nothing_and_reports_the_errors_of_a_post(url):
    dry = curl(f"{url}/workloads?dry_run", "-d", document())
    assert (dry.status, dry.body) == (
        200, '{"dry_run":true,"change":"create","workload":' + document()
        + ',"image":{"state":"simulated"}}',
    )  # fmt: skip
    assert curl(f"{url}/workloads/test-1").status == 404
    curl(f"{url}/workloads", "-d", document())
    again = curl(f"{url}/workloads?dry_run=true", "-d", document())
    assert json.loads(again.body)["change"] == "none"
    other = curl(f"{url}/workloads?dry_run=1", "-d", document(memory_mb=1, env={"A": "1"}))
    assert other.status == 409
    assert [each["path"] for each in problem(other)["errors"]] == ["$.env['A']", "$.memory_mb"]


def test_stopped_workload_keeps_its_record_and_is_started_again(workload):
    stopped = curl(f"{workload}/stop", "-d", '{"grace_seconds":1}')
    assert (stopped.status, json.loads(stopped.body)["desired"]) == (202, "stopped")
    until(lambda: state_of(workload), "succeeded")
    ended = json.loads(curl(workload).body)
    assert (ended["reason"], "desired" in ended) == ("Stopped", False)
    assert curl(f"{workload}/stop", "-X", "POST").status == 200
    history = json.loads(curl(f"{workload}/history").body)["transitions"]
    assert history[-1]["reason"] == "Stopped"
    started = curl(f"{workload}/start", "-X", "POST")
    assert (started.status, json.loads(started.body)["restarts"]) == (202, 1)
    until(lambda: state_of(workload), "running")
    again = curl(f"{workload}/start", "-X", "POST")
    assert (again.status, json.loads(again.body)["existing"]) == (200, True)


def test_restart_ends_the_run_and_begins_the_next(workload):
    restarted = curl(f"{workload}/restart", "-X", "POST")
    assert restarted.status == 202
    expected = {"id": "test-1", "state": "running", "restarts": 1}
    until(lambda: json.loads(curl(workload).body), expected)


def test_write_with_another_version_is_412_and_with_the_current_one_is_done(workload):
    shown = curl(f"{workload}?spec")
    details = json.loads(shown.body)
    tag = shown.headers["etag"]
    assert tag == f'"{details["version"]}"'
    assert details["spec"] == json.loads(document())
    for condition in ('"0"', f"W/{tag}", '"0", "1"'):
        refused = curl(f"{workload}/stop", "-X", "POST", "-H", f"If-Match: {condition}")
        assert (refused.status, problem(refused)["code"]) == (412, "version_mismatch")
        assert curl(workload, "-X", "DELETE", "-H", f"If-Match: {condition}").status == 412
    assert curl(f"{workload}?spec").headers["etag"] == tag
    assert curl(workload, "-X", "DELETE", "-H", f"If-Match: {tag}").status == 202


def test_delete_that_waits_returns_the_receipt_and_leaves_a_tombstone(workload):
    removed = curl(f"{workload}?wait=20&grace_seconds=0", "-X", "DELETE")
    receipt = json.loads(removed.body)
    assert (removed.status, receipt["id"]) == (200, "test-1")
    assert receipt["removed"]["verified_by"] == "simulated"
    assert curl(workload).status == 404
    tombstone = json.loads(curl(f"{workload}?removed&spec").body)
    assert tombstone["spec"] == json.loads(document())
    assert tombstone["removal"] == receipt["removed"]
    assert tombstone["removed_at"] == receipt["removed_at"]
    assert json.loads(curl(f"{workload}/history?removed").body)["transitions"]
    listed = json.loads(curl(workload.replace("/test-1", "?removed")).body)["workloads"]
    assert [each["id"] for each in listed] == ["test-1"]


def test_workload_that_is_being_removed_reports_it_and_refuses_other_requests(start, tmp_path):
    away = ["--runtime", "sidecar", "--sidecar", f"unix:{tmp_path}/none.sock"]
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--store", "memory", *away)
    plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
    url = f"http://{plane.address}/workloads"
    assert curl(url, "-d", document()).status == 201
    removed = curl(f"{url}/test-1?wait=1", "-X", "DELETE")
    assert (removed.status, json.loads(removed.body)["desired"]) == (202, "removed")
    assert json.loads(curl(f"{url}/test-1").body)["desired"] == "removed"
    assert json.loads(curl(url).body)["workloads"][0]["desired"] == "removed"
    for path in ("", "/test-1/start", "/test-1/restart"):
        answer = curl(url + path, "-d", document() if path == "" else "{}")
        assert (answer.status, problem(answer)["code"]) == (409, "conflict"), path


def test_node_is_shown_with_what_its_agent_reports(url):
    (node,) = json.loads(curl(f"{url}/nodes").body)["nodes"]
    assert (node["state"], node["simulated"], node["runtime"]) == ("ready", True, "simulated")
    assert "nothing really runs" in node["message"]
    assert json.loads(curl(f"{url}/nodes/{node['name']}").body)["name"] == node["name"]
    assert curl(f"{url}/nodes/other").status == 404


def test_workload_that_never_fits_is_422_with_the_figures(start):
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--memory-mb", "2048")
    plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
    answer = curl(f"http://{plane.address}/workloads", "-d", document(memory_mb=4096))
    assert (answer.status, problem(answer)["code"]) == (422, "never_fits")
    assert problem(answer)["errors"] == [
        {"path": "$.memory_mb", "message": "expected at most 2048, got 4096"}
    ]
    assert "retry-after" not in answer.headers

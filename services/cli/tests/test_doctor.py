import json
import os
import socket
import stat
from types import SimpleNamespace

import pytest
from kakuri import _local_checks as local
from kakuri._check import FAIL, OK, SKIP, WARN
from kakuri._checks import _clock
from kakuri_http import problem

from .fake_api import RECEIPT


@pytest.fixture
def doctor(kakuri):
    """Run doctor without the checks of this machine; return exit code and results by name."""

    def run(*options):
        result = kakuri("doctor", "--no-local", "--json", *options)
        document = json.loads(result.out)
        assert document["ok"] == (result.code == 0)
        found = {one["name"].split()[0]: one for one in document["checks"]}
        return result.code, {name: one["result"] for name, one in found.items()}, found

    return run


def test_doctor_of_a_healthy_node_is_ok(doctor):
    code, results, _ = doctor()
    assert code == 0
    assert results == {
        "configuration": "ok", "control": "ok", "clocks": "ok", "agent": "ok", "runtime": "ok",
        "isolation": "ok", "capacity": "ok",
    }  # fmt: skip


def test_doctor_as_text_has_a_line_for_each_check_and_a_summary(kakuri, api):
    api.nodes[0] |= {"simulated": True}
    result = kakuri("doctor", "--no-local")
    lines = result.out.splitlines()
    assert result.code == 1
    assert "FAIL  runtime                               simulated: nothing really runs" in lines
    assert "      → start the agent with --runtime sidecar or cri: docs/operations.md" in lines
    assert lines[-1] == "1 of 6 checks failed or were skipped"


def test_doctor_without_a_control_plane_skips_what_needs_it(doctor, environment):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    code, results, _ = doctor()
    assert code == 1
    assert results == {
        "configuration": "ok", "control": "fail", "agent": "skip", "runtime": "skip",
        "capacity": "skip",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("node", "name", "result", "detail"),
    [
        ({"runtime_available": False, "state": "unavailable", "message": "cni not initialized"},
         "runtime", "fail", "cni not initialized"),
        ({"message": "a condition"}, "runtime", "warn", "a condition"),
        ({"handlers": {"edera-zone": "runc"}}, "isolation", "warn", "shares the node's kernel"),
        ({"handlers": None}, "handlers", "skip", "does not report"),
        ({"store": "memory"}, "agent", "warn", "store memory"),
        ({"memory_mb_used": 16000}, "capacity", "warn", "384 MiB of 16 GiB"),
        ({"memory_mb": None, "cpu_millicores": None}, "capacity", "warn", "no limit"),
    ],
)  # fmt: skip
def test_doctor_finds_what_is_wrong_with_a_node(doctor, api, node, name, result, detail):
    api.nodes[0] |= node
    if "state" in node:
        away = problem(503, code="runtime_unavailable", detail=node["message"])
        api.overrides[("GET", "/readyz")] = away
    _, results, found = doctor()
    assert results[name] == result
    assert detail in found[name]["detail"]


def test_doctor_without_an_agent_fails_with_its_reason(doctor, api):
    refused = problem(503, code="agent_unreachable", detail="no agent at /run/x")
    api.overrides |= {("GET", "/nodes"): refused, ("GET", "/readyz"): refused}
    _, results, found = doctor()
    assert (results["agent"], results["runtime"]) == ("fail", "skip")
    assert found["agent"]["detail"] == "no agent at /run/x"


@pytest.mark.parametrize("code", ["agent_unreachable", "agent_timeout"])
def test_doctor_of_a_node_whose_agent_has_stopped_answering_fails(doctor, api, code):
    api.nodes[0] |= {"state": "unavailable", "message": "no agent at /run/x"}
    status = 503 if code == "agent_unreachable" else 504
    api.overrides[("GET", "/readyz")] = problem(status, code=code, detail="no agent at /run/x")
    exit_code, results, found = doctor()
    assert exit_code == 1
    assert (results["agent"], results["runtime"]) == ("fail", "skip")
    assert found["agent"]["detail"] == "no agent at /run/x"


@pytest.mark.parametrize(
    ("headers", "result", "detail"),
    [
        ({"date": "Thu, 26 Nov 2026 14:01:15 GMT"}, OK, "agree to a second or two"),
        ({"date": "Thu, 26 Nov 2026 14:00:00 GMT"}, WARN, "differs by 77 s"),
        ({}, SKIP, "the response has no Date"),
    ],
)
def test_clock_of_the_server_is_compared(environment, headers, result, detail):
    found = _clock(SimpleNamespace(headers=headers))
    assert found.result == result
    assert detail in found.detail


def test_doctor_names_the_option_for_a_host_that_is_refused(doctor, api):
    refused = problem(421, code="misdirected_request", detail="not this host")
    api.overrides[("GET", "/healthz")] = refused
    _, results, found = doctor()
    assert results["control"] == "fail"
    assert "--allowed-host" in found["control"]["advice"]


@pytest.fixture
def trial(api):
    """Make the trial's workload end, with this output."""

    def make(output="kakuri-trial 6.16.1-edera", **fields):
        def on_post(api, document):
            api.write(document["id"], ("2026-11-26T14:01:00Z", "stdout", 0, output))
            ended = {"state": "succeeded", "exit_code": 0} | fields
            api.change(document["id"], **ended)

        api.on_post = on_post

    return make


def test_trial_starts_reads_compares_and_removes_a_workload(doctor, trial, api):
    trial()
    code, results, found = doctor("--run")
    assert code == 0
    assert [results[name] for name in ("start", "its", "remove")] == ["ok", "ok", "ok"]
    assert "6.16.1-edera; this machine has" in found["its"]["detail"]
    assert api.workloads == {}


def test_trial_on_the_kernel_of_this_machine_is_a_warning(doctor, trial):
    trial(f"kakuri-trial {os.uname().release}")
    code, results, found = doctor("--run")
    assert (code, results["its"]) == (0, "warn")
    assert "shares the kernel" in found["its"]["advice"]


def test_trial_that_fails_reports_the_reason_and_is_removed(doctor, trial, api):
    trial(state="failed", exit_code=None, reason="ImagePullFailed", message="not found")
    code, results, found = doctor("--run")
    assert (code, results["start"], results["its"], results["remove"]) == (1, "fail", "skip", "ok")
    assert "ImagePullFailed: not found" in found["start"]["detail"]
    assert api.workloads == {}


def test_trial_with_other_output_fails(doctor, trial):
    trial("something else")
    assert doctor("--run")[0] == 1


def test_trial_on_a_simulated_node_skips_its_output(doctor, trial, api):
    api.nodes[0]["simulated"] = True
    trial("")
    _, results, _ = doctor("--run")
    assert (results["start"], results["its"]) == ("ok", "skip")


def test_trial_that_is_refused_fails(doctor, api):
    api.overrides[("POST", "/workloads")] = problem(503, code="capacity", detail="the node is full")
    _, results, found = doctor("--run")
    assert (results["start"], results["remove"]) == ("fail", "skip")
    assert found["start"]["detail"] == "the node is full"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make the checks of this machine read below a directory of the test."""
    for name in ("config", "run", "var"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(local, "CONFIG", tmp_path / "config")
    monkeypatch.setattr(local, "SOCKETS", {"agent socket": tmp_path / "run/agent.sock"})
    monkeypatch.setattr(local, "RUNTIME_SOCKETS", (tmp_path / "run/containerd.sock",))
    monkeypatch.setattr(local, "DISKS", (tmp_path / "var", tmp_path / "missing"))
    monkeypatch.setattr(local, "CONTAINERD", tmp_path / "config.toml")
    return tmp_path


def results_of(name):
    return [one.result for one in local.local_checks() if one.name.startswith(name)]


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("agent", 'runtime = "cri"\nlisten = "127.0.0.1:9000"\n', OK),
        ("agent", 'listen = "127.0.0.1:9000"\n', WARN),
        ("agent", "runtme = 'cri'\n", FAIL),
        ("agent", "runtime = \n", FAIL),
        ("control-plane", 'agent = "unix:/run/agent.sock"\n', OK),
        ("sidecar", 'handler = ["edera-zone=edera"]\n', OK),
    ],
)
def test_file_of_a_daemon_is_checked_with_its_own_options(machine, name, text, result):
    (machine / f"config/{name}.toml").write_text(text)
    assert results_of("file") == [result]


def test_file_of_a_daemon_that_is_not_installed_is_skipped(machine, monkeypatch):
    (machine / "config/agent.toml").write_text("runtime = 'cri'\n")
    monkeypatch.setitem(__import__("sys").modules, "kakuri_agent._cli", None)
    assert results_of("file") == [SKIP]


@pytest.mark.parametrize(("mode", "result"), [(0o660, OK), (0o666, FAIL)])
def test_socket_that_every_user_may_use_is_a_fault(machine, mode, result):
    path = machine / "run/agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        assert results_of("agent socket") == [result]


def test_file_in_place_of_a_socket_is_a_fault(machine):
    (machine / "run/agent.sock").write_text("")
    assert results_of("agent socket") == [FAIL]


def test_only_disks_that_are_there_are_checked(machine, monkeypatch):
    assert results_of("disk") == [OK]
    monkeypatch.setattr(local, "LOW_DISK_BYTES", 1 << 62)
    assert results_of("disk") == [WARN]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('disabled_plugins = ["io.containerd.internal.v1.restart"]\n', OK),
        ("version = 2\n", WARN),
        (None, WARN),
        ("= 3", SKIP),
    ],
)
def test_restart_monitor_of_containerd_is_checked_where_it_runs(machine, text, result):
    assert results_of("containerd's") == []
    (machine / "run/containerd.sock").write_text("")
    if text is not None:
        (machine / "config.toml").write_text(text)
    assert results_of("containerd's") == [result]


def test_container_runtime_that_is_there_is_reported(machine):
    path = machine / "run/containerd.sock"
    path.write_text("")
    path.chmod(stat.S_IRWXU)
    assert results_of("container runtime") == [OK]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("http://127.0.0.1:8080", True), ("http://localhost:1", True), ("http://[::1]:1", True),
        ("unix:/run/x.sock", True), ("https://kakuri.example", False),
    ],
)  # fmt: skip
def test_host_on_this_machine_is_recognized(host, expected):
    assert local.is_this_machine(host) == expected


def test_receipt_of_the_trial_is_shown(doctor, trial):
    trial()
    _, _, found = doctor("--run")
    assert RECEIPT["zone"][:8] in found["remove"]["detail"]

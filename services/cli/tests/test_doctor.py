import io
import json
import os
import re
import socket
import stat
import threading
from types import SimpleNamespace

import pytest
from kakuri import _local_checks as local
from kakuri import main
from kakuri._check import FAIL, OK, SKIP, WARN
from kakuri._checks import _clock, _control_plane
from kakuri._client import API
from kakuri._exits import CommandError, Exit, Unreachable
from kakuri._trial import _output_checks
from kakuri._trial import trial as trial_of
from kakuri_http import problem

from .conftest import NOW
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


@pytest.mark.parametrize("reason", ["StoreFailed", "RegistrationFailed"])
def test_doctor_fails_if_the_store_of_the_node_accepts_no_workloads(doctor, api, reason):
    api.nodes[0] |= {"reason": reason, "message": "the disk is full\x1b"}
    code, results, found = doctor()
    assert (code, results["store"], results["runtime"]) == (1, "fail", "ok")
    assert found["store"]["detail"] == "the disk is full\\x1b"


def test_doctor_without_an_agent_fails_with_its_reason(doctor, api):
    refused = problem(503, code="agent_unreachable", detail="no agent at /run/x")
    api.overrides |= {("GET", "/nodes"): refused, ("GET", "/readyz"): refused}
    _, results, found = doctor()
    assert (results["agent"], results["runtime"]) == ("fail", "skip")
    assert found["agent"]["detail"] == "no agent at /run/x"
    assert "--allow-user for a port" in found["agent"]["advice"]


@pytest.mark.parametrize("code", ["agent_unreachable", "agent_timeout"])
def test_agent_that_has_stopped_answering_fails_its_check(doctor, api, code):
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
        ({"date": "Thu, 26 Nov 2026 14:01:15 GMT"}, OK, "agree to within a second or two"),
        ({"date": "Thu, 26 Nov 2026 14:00:00 GMT"}, WARN, "differs by 77 s"),
        ({}, SKIP, "the response has no Date"),
    ],
)
def test_clock_of_the_server_is_compared(environment, headers, result, detail):
    found = _clock(SimpleNamespace(headers=headers))
    assert found.result == result
    assert detail in found.detail


def test_doctor_names_the_option_for_a_socket_that_is_not_this_users(environment):
    cause = OSError()
    cause.__cause__ = PermissionError(13, "Permission denied")
    error = Unreachable("permission denied", code="unreachable")
    error.__cause__ = cause

    def get(path):
        raise error

    (found,) = _control_plane(SimpleNamespace(name="unix:/a.sock", get=get))
    assert "--listen-group" in found.advice


@pytest.mark.parametrize(
    ("status", "code", "option"),
    [(421, "misdirected_request", "--allowed-host"), (403, "forbidden_user", "--allow-user")],
)
def test_doctor_names_the_option_for_a_client_that_is_refused(doctor, api, status, code, option):
    api.overrides[("GET", "/healthz")] = problem(status, code=code, detail="no")
    _, results, found = doctor()
    assert results["control"] == "fail"
    assert option in found["control"]["advice"]


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
    assert re.fullmatch(r"busybox:1.37 ran and ended after [0-9.]+ s", found["start"]["detail"])
    assert api.workloads == {}


def test_trial_on_the_kernel_of_this_machine_is_a_warning(doctor, trial):
    trial(f"kakuri-trial {os.uname().release}")
    code, results, found = doctor("--run")
    assert (code, results["its"]) == (0, "warn")
    assert "shares the host's kernel" in found["its"]["advice"]


def test_trial_that_fails_reports_the_reason_and_is_removed(doctor, trial, api):
    trial(state="failed", exit_code=None, reason="ImagePullFailed", message="not found")
    code, results, found = doctor("--run")
    assert (code, results["start"], results["its"], results["remove"]) == (1, "fail", "skip", "ok")
    assert found["start"]["detail"] == "failed (ImagePullFailed): not found"
    assert api.workloads == {}


def test_trial_with_other_output_exits_with_1(doctor, trial):
    trial("something else")
    assert doctor("--run")[0] == 1


def test_trial_on_a_simulated_node_skips_its_output(doctor, trial, api):
    api.nodes[0]["simulated"] = True
    trial("")
    _, results, _ = doctor("--run")
    assert (results["start"], results["its"]) == ("ok", "skip")


def test_trial_on_a_simulated_node_does_not_wait_for_an_end(doctor, api):
    api.nodes[0]["simulated"] = True
    api.on_post = lambda api, document: api.change(document["id"], state="running")
    _, results, found = doctor("--run")
    assert (results["start"], results["its"], results["remove"]) == ("ok", "skip", "ok")
    assert "is running after" in found["start"]["detail"]


def test_trial_whose_submission_is_rejected_fails_its_start(doctor, api):
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
    monkeypatch.setattr(local, "SIDECAR", tmp_path / "run/sidecar.sock")
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


@pytest.mark.parametrize(
    ("status", "content", "result", "detail"),
    [
        (200, b'{"status":"ok"}', OK, "the runtime can run zones"),
        (200, b'{"conditions":[{"type":"A","status":true},{"type":"B","status":false,"reason":"c"}]}',
         WARN, "B: c"),
        (503, b'{"message":"no handler \\u001b[1m"}', FAIL, "no handler \\x1b[1m"),
        (503, b"[]", FAIL, "HTTP 503"),
        (200, b"<html>", FAIL, "expected a value"),
        (0, b"", FAIL, "closed the connection"),
    ],
)  # fmt: skip
def test_health_of_the_sidecar_is_checked(machine, status, content, result, detail):
    with socket.create_server(str(machine / "run/sidecar.sock"), family=socket.AF_UNIX) as listener:
        answers = threading.Thread(target=answer_once, args=(listener, status, content))
        answers.start()
        (found,) = [one for one in local.local_checks() if one.name == "sidecar health"]
        answers.join()
    assert found.result == result
    assert detail in found.detail


def answer_once(listener, status, content):
    """Answer one request with a response, or close the connection for the status 0."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        if status:
            head = f"HTTP/1.1 {status} \r\nContent-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content)


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


def test_existing_container_runtime_is_reported(machine):
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


@pytest.mark.parametrize(
    ("changes", "code", "last"),
    [
        ({}, 0, "all 7 checks passed"),
        ({"store": "memory"}, 0, "all 7 checks passed, 1 warning"),
        ({"store": "memory", "message": "m"}, 0, "all 7 checks passed, 2 warnings"),
        ({"handlers": None}, 1, "1 of 7 checks failed or were skipped"),
        ({"handlers": None, "store": "memory"}, 1,
         "1 of 7 checks failed or were skipped, 1 warning"),
    ],
)  # fmt: skip
def test_summary_counts_faults_and_warnings(kakuri, api, changes, code, last):
    api.nodes[0] |= changes
    result = kakuri("doctor", "--no-local")
    assert (result.code, result.out.splitlines()[-1]) == (code, last)


def test_names_of_failed_and_skipped_checks_are_printed_alone(kakuri, api):
    api.nodes[0] |= {"simulated": True, "store": "memory"}
    assert kakuri("doctor", "--no-local", "-q").out == "runtime\n"
    api.nodes[0] |= {"simulated": False, "handlers": None}
    assert kakuri("doctor", "--no-local", "-q").out == "handlers\n"


@pytest.mark.parametrize(
    ("options", "host", "is_checked"),
    [([], None, True), (["--local"], None, True), (["--no-local"], None, False),
     ([], "http://kakuri.invalid:1", False), (["--local"], "http://kakuri.invalid:1", True)],
)  # fmt: skip
def test_this_machine_is_checked_if_the_host_is_on_it(
    kakuri, environment, options, host, is_checked
):
    environment.setattr(
        "kakuri._local_checks.local_checks", lambda: iter([local.Check(OK, "here", "")])
    )
    if host is not None:
        environment.setenv("KAKURI_HOST", host)
        environment.setattr("kakuri._checks._control_plane", lambda _: iter(()))
    assert ("ok    here" in kakuri("doctor", *options).out) == is_checked


@pytest.mark.parametrize(
    ("seconds", "result"), [(-5.1, WARN), (-5, OK), (0, OK), (5, OK), (5.1, WARN)]
)
def test_clocks_may_differ_by_five_seconds(environment, seconds, result):
    response = SimpleNamespace(headers={"date": "Thu, 26 Nov 2026 14:01:17 GMT"})
    environment.setattr("time.time", lambda: NOW + seconds)
    found = _clock(response)
    assert found.result == result
    assert ("differs by 5.1 s" in found.detail) == (result == WARN)


@pytest.mark.parametrize(
    ("node", "name", "result", "detail"),
    [
        ({"memory_mb_used": 14745}, "capacity", "ok", "free: memory 1.6 GiB of 16 GiB, cpu 6.4 of 8"),
        ({"memory_mb_used": 14746}, "capacity", "warn", "free: memory 1.6 GiB of 16 GiB, cpu 6.4 of 8"),
        ({"cpu_millicores_used": 7200}, "capacity", "ok",
         "free: memory 11.2 GiB of 16 GiB, cpu 0.8 of 8"),
        ({"cpu_millicores_used": 7201}, "capacity", "warn",
         "free: memory 11.2 GiB of 16 GiB, cpu 0.799 of 8"),
        ({"cpu_millicores": None}, "capacity", "ok", "free: memory 11.2 GiB of 16 GiB"),
        ({"memory_mb": None}, "capacity", "ok", "free: cpu 6.4 of 8"),
        ({"memory_mb_used": None, "cpu_millicores_used": None}, "capacity", "ok",
         "free: memory 16 GiB of 16 GiB, cpu 8 of 8"),
        ({"handlers": {"k": ""}}, "isolation", "warn",
         "k → the default handler shares the node's kernel"),
        ({"handlers": {"k": "crun"}}, "isolation", "warn", "k → crun shares the node's kernel"),
        ({"handlers": {"k": "kata"}}, "isolation", "ok", "k → kata"),
        ({"handlers": {}}, "handlers", "skip", "the node does not report its handlers"),
        ({"runtime_available": False}, "runtime", "fail", "it does not answer"),
        ({"runtime_available": None}, "runtime", "ok", "answers"),
        ({"event_index": 0, "store": None, "workloads": None}, "agent", "ok",
         "0.1.0, 0 workloads, event index 0"),
        ({}, "agent", "ok", "0.1.0, 2 workloads, event index 3, store sqlite"),
        ({"store": "memory", "event_index": None}, "agent", "warn",
         "0.1.0, 2 workloads, store memory"),
        ({"version": None}, "agent", "fail", "the control plane has no description of it"),
        ({"version": None, "message": "m\x1b"}, "agent", "fail", "m\\x1b"),
        ({"state": "unavailable", "runtime": None}, "runtime", "skip", "needs the agent"),
        ({"state": "unavailable"}, "runtime", "ok", "answers"),
        ({"state": "ready", "runtime": None}, "runtime", "ok", "answers"),
    ],
)  # fmt: skip
def test_node_is_judged_by_what_it_reports(doctor, api, node, name, result, detail):
    api.is_later_release = True
    api.nodes[0] |= node
    _, results, found = doctor()
    assert (results[name], found[name]["detail"]) == (result, detail)


def test_check_as_text_has_its_result_its_name_and_advice(kakuri, api):
    api.nodes[0]["store"] = "memory"
    assert (
        "warn  agent node1                           0.1.0, 2 workloads, event index 3, store memory\n"
        "      → workloads do not survive a restart of the agent: use --store sqlite\n"
    ) in kakuri("doctor", "--no-local").out


# The trial


def test_trial_waits_three_minutes_for_a_small_workload(doctor, api, environment):
    given = []

    def await_state(_api, workload_id, response, is_reached, seconds):
        given.append((workload_id, seconds))
        assert not is_reached({"id": workload_id})
        assert is_reached({"state": "failed"})
        raise CommandError("late\nvery", Exit.TIMEOUT)

    environment.setattr("kakuri._trial.await_state", await_state)
    posted = []
    api.on_post = lambda api, document: posted.append(document)
    code, results, found = doctor("--run", "--image", "box:1")
    ((workload_id, seconds),) = given
    assert (code, seconds, found["start"]["detail"]) == (1, 180.0, "late")
    assert (results["its"], results["remove"]) == ("skip", "ok")
    assert workload_id.startswith("doctor-trial-")
    assert posted == [{
        "id": workload_id, "image": "box:1", "runtime_class": "edera-zone", "memory_mb": 64,
        "cpu_millicores": 100, "command": ["sh", "-c"], "args": ["echo kakuri-trial $(uname -r)"],
    }]  # fmt: skip
    assert api.workloads == {}


def test_trial_that_is_not_removed_fails_its_removal(doctor, trial, environment):
    def delete(_api, _id, *, grace):
        assert grace == 0
        raise CommandError("no\nmore", Exit.CONFLICT)

    trial()
    environment.setattr("kakuri._trial.delete", delete)
    code, _, found = doctor("--run")
    assert code == 1
    assert (found["remove"]["result"], found["remove"]["detail"]) == ("fail", "no")
    assert found["remove"]["advice"].startswith("kakuri ")


def test_trial_whose_log_cannot_be_read_fails_its_output(doctor, trial, api, environment):
    def get(_api, path, *_rest, **_options):
        if path.endswith("/log"):
            raise CommandError("no log", Exit.UNREACHABLE)
        return real(_api, path, *_rest, **_options)

    trial()
    real = API.get
    environment.setattr(API, "get", get)
    result = json.loads(run_doctor(environment))
    found = {one["name"]: (one["result"], one["detail"]) for one in result["checks"]}
    assert found["its output"] == ("fail", "no log")
    assert found["its kernel"] == ("skip", "needs its output")


def run_doctor(environment):
    """Return what doctor prints as JSON."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    environment.setattr("sys.stdout", out)
    with pytest.raises(SystemExit):
        main(["doctor", "--no-local", "--run", "--json"])
    out.flush()
    return out.buffer.getvalue().decode()


def test_trial_of_an_unknown_node_is_skipped(environment):
    found = list(trial_of(None, None, None, "x"))
    assert [(one.result, one.name) for one in found] == [
        (SKIP, "start a workload"), (SKIP, "its output"), (SKIP, "its kernel"), (SKIP, "remove it"),
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://kakuri.example"])
@pytest.mark.parametrize("is_same", [True, False])
def test_kernel_of_the_trial_is_compared_with_that_of_this_machine(host, is_same):
    ours = os.uname().release
    text = f"kakuri-trial {ours if is_same else '6.16'}\n".encode()
    api = SimpleNamespace(
        get=lambda path: SimpleNamespace(body=text),
        target=SimpleNamespace(context=SimpleNamespace(host=host)),
    )
    output, kernel = _output_checks(api, "a")
    assert (output.result, output.detail) == (OK, "arrived")
    is_here = "127" in host
    assert kernel.result == (WARN if is_here and is_same else OK)
    assert ("not known here" in kernel.detail) == (not is_here)


# This machine


def test_machine_is_checked_in_one_order(machine):
    path = machine / "run/containerd.sock"
    path.touch()
    (machine / "config/agent.toml").write_text("runtime = 'cri'\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(machine / "run/agent.sock"))
        (machine / "run/agent.sock").chmod(0o660)
        names = [one.name.split(" /")[0] for one in local.local_checks()]
    assert names == [
        "file", "agent socket", "container runtime", "disk", "cgroups",
        "containerd's restart monitor",
    ]  # fmt: skip


def test_files_that_may_not_be_read_are_skipped(machine, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(local.Path, "read_text", refuse)
    assert results_of("file") == [SKIP] * 3
    monkeypatch.setattr(local.Path, "stat", refuse)
    monkeypatch.setattr(local.Path, "exists", refuse)
    found = [
        (one.name.split(" /")[0], one.result) for one in local._socket("agent socket", machine)
    ]
    assert found == [("agent socket", SKIP)]
    assert list(local._runtime_sockets()) == []


def test_key_that_a_daemon_refuses_is_a_fault(machine):
    path = machine / "config/agent.toml"
    path.write_text("runtime = 'sidecar'\nmemory-mb = 1\ncpu-millicores = 1\n")
    (found,) = [one for one in local.local_checks() if one.name.startswith("file")]
    assert (found.result, found.detail) == (OK, "3 keys")
    path.write_text("runtime = 'sidecar'\nmemory_mb = 1\n")
    (found,) = [one for one in local.local_checks() if one.name.startswith("file")]
    assert (found.result, found.detail) == (FAIL, "unknown keys: memory_mb")
    path.write_text("a = 1\nruntime = 'cri'\nb = 1\n")
    (found,) = [one for one in local.local_checks() if one.name.startswith("file")]
    assert (found.result, found.detail) == (FAIL, "unknown keys: a, b")


@pytest.mark.parametrize("mode", [0o661, 0o662, 0o664])
def test_every_right_of_others_on_a_socket_is_a_fault(machine, mode):
    path = machine / "run/agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        (found,) = local._socket("agent socket", path)
    assert (found.result, found.detail) == (FAIL, f"mode {mode:04o}: every user may use it")


def test_disk_is_low_below_512_mib(machine, monkeypatch):
    for free, result in ((512 * 1024 * 1024, OK), (512 * 1024 * 1024 - 1, WARN)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(local.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert local._disk(machine).result == result

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(local.shutil, "disk_usage", fail)
    assert local._disk(machine)[:3] == (SKIP, f"disk {machine}", "input/output error")


@pytest.mark.parametrize(("is_there", "result"), [(True, OK), (False, WARN)])
def test_cgroups_of_the_second_version_are_expected(monkeypatch, is_there, result):
    monkeypatch.setattr(local.Path, "exists", lambda path: is_there)
    assert local._cgroups().result == result


def test_runtime_that_this_user_may_not_use_is_skipped(machine, monkeypatch):
    (machine / "run/containerd.sock").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert results_of("container runtime") == [SKIP]
    (found,) = local._runtime_sockets()
    assert found.detail == "this user may not use it"

import os
import sqlite3
import stat
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from kakuri_agent._cli import Settings, agent_service, first_version, main
from kakuri_agent._state import default_state_dir
from kakuri_cri.testing import FakeCri
from kakuri_daemon import DaemonError, LogStream
from kakuri_http import Response, Router, serve
from kakuri_registry import StoreFailed
from kakuri_rpc import AgentClient, AgentError, ErrorCode, State
from kakuri_tcp import Endpoint, LocalAccess
from kakuri_workload import Workload
from kakuri_zones import Settings as ZoneSettings


@pytest.fixture(autouse=True)
def logs_of_tests(monkeypatch):
    """Prevent commands from configuring logs, because loggers would keep that after the test."""
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **options: LogStream(2))


def settings(tmp_path, **more):
    zones = ZoneSettings(cri=Endpoint.unix(str(tmp_path / "cri.sock")), log_dir=tmp_path / "logs")
    given = {"runtime": "simulated", "state_dir": tmp_path / "state", "zones": zones} | more
    return Settings(Endpoint.parse("127.0.0.1:0"), **given)


WORKLOAD = Workload("wl-1", "nginx", "edera-zone", 512, 500)


async def test_service_runs_a_workload_over_its_socket(tmp_path):
    async with agent_service(settings(tmp_path)) as endpoint:
        client = AgentClient(endpoint)
        assert (await client.start_workload(WORKLOAD)).state is State.PENDING
        node = await client.describe_node()
        assert (node.simulated, node.workloads) == (True, 1)
        assert "nothing really runs" in node.message
        await client.close()


async def test_listen_group_can_connect_to_the_socket(tmp_path):
    at = Endpoint.parse(f"unix:{tmp_path}/agent.sock")
    access = LocalAccess(mode=0o660, group=os.getegid())
    async with agent_service(replace(settings(tmp_path), listen=at, local_access=access)):
        status = Path(at.path).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getegid())
    async with agent_service(replace(settings(tmp_path), listen=at)):
        assert stat.S_IMODE(Path(at.path).stat().st_mode) == 0o600


async def test_lower_document_limit_refuses_new_workloads_and_keeps_stored_ones(tmp_path):
    large = replace(WORKLOAD, args=("x" * 1000,) * 100)
    async with agent_service(settings(tmp_path)) as endpoint:
        client = AgentClient(endpoint)
        await client.start_workload(large)
        await client.close()
    lower = replace(settings(tmp_path), max_document_bytes=65_536)
    async with agent_service(lower) as endpoint:
        client = AgentClient(endpoint)
        assert (await client.get_status("wl-1")).id == "wl-1"
        for again in (large, replace(large, id="wl-2")):
            with pytest.raises(AgentError, match=r"at most 65536 bytes .* got 10") as error:
                await client.start_workload(again)
            assert error.value.code is ErrorCode.TOO_LARGE
        await client.remove_workload("wl-1")
        await client.close()


@pytest.mark.parametrize(("store", "known"), [("auto", 1), ("sqlite", 1), ("memory", 0)])
async def test_workloads_in_a_durable_store_survive_a_restart_of_the_service(
    tmp_path, store, known
):
    async with agent_service(settings(tmp_path, store=store)) as endpoint:
        client = AgentClient(endpoint)
        await client.start_workload(WORKLOAD)
        await client.close()
    async with agent_service(settings(tmp_path, store=store)) as endpoint:
        client = AgentClient(endpoint)
        assert (await client.describe_node()).workloads == known
        await client.close()


async def test_second_service_with_the_same_state_directory_is_an_error(tmp_path):
    async with agent_service(settings(tmp_path)):
        with pytest.raises(DaemonError, match="simulated"):
            async with agent_service(settings(tmp_path)):
                raise AssertionError


async def test_state_directory_that_cannot_be_listed_is_an_error(tmp_path):
    # Stands for a directory below one of another user; root gets an error for this one, too.
    directory = tmp_path / ("x" * 300)
    with pytest.raises(DaemonError, match=r"can't keep workloads in .*xxx"):
        async with agent_service(settings(tmp_path, state_dir=directory)):
            pass


async def test_changes_that_the_store_refuses_at_the_end_are_an_error(tmp_path, monkeypatch):
    service = agent_service(settings(tmp_path))
    client = AgentClient(await service.__aenter__())
    await client.start_workload(WORKLOAD)
    while (await client.get_status("wl-1")).state is not State.RUNNING:
        pass

    def fail(store, changes):
        raise StoreFailed("no disk")

    monkeypatch.setattr("kakuri_registry.SQLiteStore.write", fail)
    with pytest.raises(AgentError, match="no disk"):
        await client.stop_workload("wl-1")
    await client.close()
    with pytest.raises(DaemonError, match="changes of 1 workloads were not saved: no disk"):
        await service.__aexit__(None, None, None)


async def test_ended_workload_is_removed_after_its_retention(tmp_path):
    script = tmp_path / "script.toml"
    script.write_text("[[outcome]]\nrun_time = 0\n")
    async with agent_service(settings(tmp_path, simulated_script=script)) as endpoint:
        client = AgentClient(endpoint)
        await client.start_workload(WORKLOAD)
        while (await client.get_status("wl-1")).state is not State.SUCCEEDED:
            pass
        await client.close()
    async with agent_service(settings(tmp_path, retention_hours=0)) as endpoint:
        client = AgentClient(endpoint)
        while (await client.describe_node()).workloads:
            pass
        await client.close()


async def chosen(settings):
    """Return the name of the runtime of an agent with these settings."""
    async with agent_service(settings) as endpoint:
        client = AgentClient(endpoint)
        node = await client.describe_node()
        await client.close()
        return node.runtime


@asynccontextmanager
async def sidecar_at(endpoint):
    router = Router()
    router.add("GET", "/healthz", lambda request: Response(503))
    async with await serve(endpoint, router):
        yield


async def test_auto_chooses_the_runtime_that_answers_or_else_the_last_one(tmp_path):
    async with FakeCri() as cri:
        zones = ZoneSettings(cri=cri.endpoint, log_dir=tmp_path / "logs")
        sidecar = Endpoint.parse(f"unix:{tmp_path}/sidecar.sock")
        options = settings(tmp_path, runtime="auto", sidecar=sidecar, zones=zones)
        assert await chosen(options) == "cri"
        await cri.crash()
        assert await chosen(options) == "cri"
        await cri.restart()
        async with sidecar_at(sidecar):
            assert await chosen(options) == "sidecar"
        await cri.crash()
        assert await chosen(options) == "sidecar"
        await cri.restart()
        assert await chosen(options) == "cri"
    assert await chosen(replace(options, runtime="sidecar")) == "sidecar"
    assert await chosen(options) == "sidecar"


@pytest.mark.parametrize("noted", [None, b"simulated\n", b"\xff", b""])
async def test_auto_without_a_recorded_runtime_is_the_sidecar_if_there_is_a_store(tmp_path, noted):
    nowhere = Endpoint.parse(f"unix:{tmp_path}/sidecar.sock")
    options = settings(tmp_path, runtime="auto", sidecar=nowhere)
    assert await chosen(replace(options, runtime="sidecar")) == "sidecar"
    note = options.state_dir / "runtime"
    note.unlink()
    if noted is not None:
        note.write_bytes(noted)
    assert await chosen(options) == "sidecar"
    assert note.read_bytes() == b"sidecar\n"


async def test_runtime_that_cannot_be_recorded_is_logged_as_a_warning(tmp_path):
    options = settings(tmp_path, runtime="sidecar")
    (options.state_dir / "runtime").mkdir(parents=True)
    options.state_dir.chmod(0o700)
    with structlog.testing.capture_logs() as logs:
        assert await chosen(options) == "sidecar"
    assert "could not record the runtime" in [each["event"] for each in logs]


async def test_choice_of_auto_is_logged_with_the_reason(tmp_path):
    nowhere = Endpoint.parse(f"unix:{tmp_path}/sidecar.sock")
    with structlog.testing.capture_logs() as logs:
        assert await chosen(settings(tmp_path, runtime="auto", sidecar=nowhere)) == "simulated"
    (line,) = (each for each in logs if each["event"] == "runtime chosen")
    assert line["runtime"] == "simulated"
    assert line["reason"] == "neither a sidecar nor a container runtime answers"


async def test_auto_is_simulated_if_nothing_answers_and_no_zone_was_run(tmp_path):
    nowhere = Endpoint.parse(f"unix:{tmp_path}/sidecar.sock")
    options = settings(tmp_path, runtime="auto", sidecar=nowhere)
    async with agent_service(options) as endpoint:
        client = AgentClient(endpoint)
        assert (await client.describe_node()).runtime == "simulated"
        await client.close()


async def test_auto_stays_with_the_sidecar_after_it_answered_once(tmp_path):
    there = Endpoint.parse(f"unix:{tmp_path}/sidecar.sock")
    options = settings(tmp_path, runtime="auto", sidecar=there)
    async with sidecar_at(there), agent_service(options) as endpoint:
        client = AgentClient(endpoint)
        node = await client.describe_node()
        assert (node.runtime, node.simulated) == ("sidecar", False)
        assert node.memory_mb > 0
        await client.close()
    async with agent_service(options) as endpoint:
        client = AgentClient(endpoint)
        node = await client.describe_node()
        assert (node.runtime, node.runtime_available) == ("sidecar", False)
        await client.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_STATE_HOME": "/states"}, "/states/kakuri"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/kakuri"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/kakuri"),
    ],
)
def test_default_state_directory_of_a_user_is_the_xdg_state_directory(
    monkeypatch, environment, expected
):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(default_state_dir()) == expected


def test_default_state_directory_of_a_user_without_a_home_is_an_error(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(DaemonError, match="user 1000 has no home directory: set HOME or --state"):
        default_state_dir()


def test_default_state_directory_of_root_is_in_var_lib(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(default_state_dir()) == "/var/lib/kakuri"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("[[outcome]]\nrun_time = -1\nx = 1\n", "; $.outcome[0].x"),
        ("[[outcome]\n", "line 1"),
        ("\udcff", "utf-8"),
    ],
)
def test_invalid_script_is_one_line_and_status_2(monkeypatch, tmp_path, capsys, text, words):
    script = tmp_path / "script.toml"
    if text is not None:
        script.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit) as ended:
        main(["--listen", "127.0.0.1:0", "--store", "memory", "--runtime", "simulated",
              "--simulated-script", str(script)])  # fmt: skip
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def check(capsys, directory):
    """Run the command with --check-store; return its exit status and what it wrote."""
    with pytest.raises(SystemExit) as ended:
        main(["--check-store", "--state-dir", str(directory)])
    return ended.value.code, capsys.readouterr()


async def test_check_store_exits_with_0_for_an_intact_and_1_for_a_damaged_store(tmp_path, capsys):
    async with agent_service(settings(tmp_path)) as endpoint:
        client = AgentClient(endpoint)
        await client.start_workload(WORKLOAD)
        await client.close()
    path = tmp_path / "state/simulated.sqlite"
    capsys.readouterr()
    assert check(capsys, path.parent) == (0, (f"{path}: intact, 1 workload\n", ""))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE workloads SET state = 'odd'")
    status, written = check(capsys, path.parent)
    assert status == 1
    assert written.out.splitlines()[-1] == f"{path}: damaged, 0 workloads"
    assert "a workload can't be loaded" in written.out
    assert "(wl-1)" in written.out


async def test_check_store_that_fails_is_one_line_and_status_2(tmp_path, capsys):
    async with agent_service(settings(tmp_path)):
        capsys.readouterr()
        status, written = check(capsys, tmp_path / "state")
        assert (status, written.out) == (2, "")
        assert "another process has" in written.err
    status, written = check(capsys, tmp_path / "nothing")
    assert (status, written.err.count("\n")) == (2, 1)
    assert "there is no store in" in written.err


def test_check_store_of_an_unreadable_file_is_one_line_and_status_2(tmp_path, capsys, monkeypatch):
    path = tmp_path / "simulated.sqlite"
    path.touch()
    path.with_name("simulated.sqlite.lock").mkdir()
    status, written = check(capsys, tmp_path)
    lock = f"{path}.lock"
    assert (status, written.err) == (
        2, f"kakuri-agent: can't check the store '{path}': Is a directory ({lock})\n"
    )  # fmt: skip

    def refuse(directory):
        raise PermissionError(13, "Permission denied", str(directory))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    status, written = check(capsys, tmp_path)
    assert (status, written.err) == (
        2, f"kakuri-agent: can't keep workloads in {tmp_path}: Permission denied\n"
    )  # fmt: skip


@pytest.mark.parametrize("now", [-5e9, 0.0, 1.8e9, 1e11])
def test_versions_are_numbers_of_json_whatever_the_clock_says(now):
    assert 0 <= first_version(now) < 2**53

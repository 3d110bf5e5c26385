"""Backup and restore of the agent's store, with the commands of docs/operations.md."""

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .processes import DEADLINE, curl, nc

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def commands(*beginnings: str) -> list[str]:
    """Return the lines of the page's shell examples that begin with a text."""
    blocks = re.findall(r"```sh\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(beginnings)]


def run(command: str, state: Path, backup: Path) -> None:
    """Run a command of the page on the test's directories, with a simulated runtime's store."""
    for path, other in (("/var/lib/kakuri", state), ("/backup", backup)):
        command = command.replace(path, str(other))
    subprocess.run(["sh", "-ec", command.replace("sidecar.sqlite", "simulated.sqlite")], check=True)


def workloads(agent) -> set[str]:
    answer = json.loads(nc(agent.port, '{"type":"ListWorkloads"}\n'))
    return {each["id"] for each in answer["workloads"]}


def submit(agent, *names: str) -> None:
    lines = [
        json.dumps(
            {
                "type": "StartWorkload",
                "workload": {"id": name, "image": "i", "runtime_class": "edera-zone",
                             "memory_mb": 1, "cpu_millicores": 1},
            }
        )
        for name in names
    ]  # fmt: skip
    nc(agent.port, "".join(f"{line}\n" for line in lines))


def store_id(agent) -> str:
    (line,) = nc(agent.port, '{"type":"DescribeNode"}\n').splitlines()
    return json.loads(line)["store_id"]


def test_restore_after_a_crash_brings_back_the_backup_alone(start, tmp_path):
    state, backup = tmp_path / "state", tmp_path / "backup"
    backup.mkdir()
    (save,) = commands("cd /var/lib/kakuri && cp")
    remove, restore = commands("rm /var/lib/kakuri", "cp -a /backup")

    def start_agent():
        return start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(state))

    agent = start_agent()
    submit(agent, "a", "b")
    assert agent.end() == 0
    run(save, state, backup)
    agent = start_agent()
    replaced = store_id(agent)
    submit(agent, "c")
    agent.end(signal.SIGKILL)
    assert (state / "simulated.sqlite-wal").exists()
    run(remove, state, backup)
    run(restore, state, backup)
    agent = start_agent()
    assert workloads(agent) == {"a", "b"}
    restored = store_id(agent)
    assert restored != replaced
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        agent.end(number)
        agent = start_agent()
        assert store_id(agent) == restored


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(
    ("is_snapshot", "names"),
    [
        (False, ["simulated.sqlite"]),
        (False, None),  # all files, also the lock file
        (True, ["simulated.sqlite", "simulated.sqlite-wal"]),
        (True, None),
    ],
)
def test_backup_that_is_copied_over_the_files_of_the_store_gets_a_new_store_id(
    start, tmp_path, number, is_snapshot, names
):
    """The operator forgot to remove the files. A snapshot is a backup of an agent that runs."""
    state, backup = tmp_path / "state", tmp_path / "backup"

    def start_agent():
        return start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(state))

    agent = start_agent()
    replaced = store_id(agent)
    submit(agent, "a")
    if not is_snapshot:
        assert agent.end() == 0
    shutil.copytree(state, backup)
    if is_snapshot:
        assert agent.end() == 0
    agent = start_agent()
    assert store_id(agent) == replaced
    submit(agent, "b")
    agent.end(number)
    (state / "simulated.sqlite-wal").unlink(missing_ok=True)  # with it, the agent does not start
    for name in names or [each.name for each in backup.iterdir()]:
        shutil.copy2(backup / name, state / name)
    agent = start_agent()
    assert workloads(agent) == {"a"}
    assert store_id(agent) != replaced


def test_client_that_continues_after_an_index_of_the_replaced_store_gets_410(start, tmp_path):
    state, backup = tmp_path / "state", tmp_path / "backup"
    backup.mkdir()
    (save,) = commands("cd /var/lib/kakuri && cp")
    remove, restore = commands("rm /var/lib/kakuri", "cp -a /backup")
    listen = ("--listen", f"unix:{tmp_path / 'agent.sock'}")

    def start_agent():
        return start("kakuri-agent", *listen, "--state-dir", str(state))

    agent = start_agent()
    control_plane = start(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address
    )
    url = f"http://{control_plane.address}"
    replaced = json.loads(curl(f"{url}/nodes").body)["nodes"][0]["store_id"]
    agent.end()
    run(save, state, backup)
    agent = start_agent()
    agent.end(signal.SIGKILL)
    run(remove, state, backup)
    run(restore, state, backup)
    agent = start_agent()
    answer = curl(f"{url}/events?after=1&store_id={replaced}", "--retry", "20")
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (410, "compacted")
    assert problem["store_id"] != replaced


def test_backup_of_a_store_with_a_log_takes_the_log(start, tmp_path):
    state, backup = tmp_path / "state", tmp_path / "backup"
    backup.mkdir()
    (save,) = commands("cd /var/lib/kakuri && cp")
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(state))
    submit(agent, "a")
    agent.end(signal.SIGKILL)
    run(save, state, backup)
    shutil.rmtree(state)
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(backup))
    assert workloads(agent) == {"a"}


def test_agent_whose_store_is_deleted_refuses_workloads_until_it_is_started_again(start, tmp_path):
    state = tmp_path / "state"
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(state))
    submit(agent, "a")
    shutil.rmtree(state)

    def reason() -> str | None:
        (line,) = nc(agent.port, '{"type":"DescribeNode"}\n').splitlines()
        return json.loads(line).get("reason")

    deadline = time.monotonic() + DEADLINE
    while reason() != "StoreFailed" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert reason() == "StoreFailed"
    submit(agent, "b")
    assert "b" not in workloads(agent)
    agent.end()
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", str(state))
    submit(agent, "b")
    assert workloads(agent) == {"b"}

"""Backup and restore of the agent's store, step by step as docs/operations.md has them."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

from .processes import nc

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def commands(*beginnings: str) -> list[str]:
    """Return the lines of the page's shell examples that begin so."""
    blocks = re.findall(r"```sh\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(beginnings)]


def run(command: str, state: Path, backup: Path) -> None:
    """Run a command of the page on other directories; the store is that of a simulated runtime."""
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
    submit(agent, "c")
    agent.end(signal.SIGKILL)
    assert (state / "simulated.sqlite-wal").exists()
    run(remove, state, backup)
    run(restore, state, backup)
    assert workloads(start_agent()) == {"a", "b"}


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

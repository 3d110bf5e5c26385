import sys

import pytest
from kakuri_agent import SimulatedRuntime
from kakuri_agent._cli import agent_service, main
from kakuri_daemon import LogStream
from kakuri_registry import Workload
from kakuri_rpc import AgentClient, State
from kakuri_tcp import Endpoint


async def test_the_service_runs_a_workload():
    async with agent_service(Endpoint.parse("127.0.0.1:0"), SimulatedRuntime()) as endpoint:
        client = AgentClient(endpoint)
        workload = Workload("wl-1", "nginx", "edera-zone", 512, 500)
        assert (await client.start_workload(workload)).state is State.PENDING
        node = await client.describe_node()
        assert (node.simulated, node.workloads) == (True, 1)
        assert "nothing really runs" in node.message
        await client.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("[[outcome]]\nrun_time = -1\nx = 1\n", "; $.outcome[0].x"),
        ("[[outcome]\n", "line 1"),
        ("\udcff", "utf-8"),
    ],
)
def test_a_script_that_is_not_one_is_one_line_and_status_2(
    monkeypatch, tmp_path, capsys, text, words
):
    monkeypatch.setattr(
        "kakuri_daemon._command.configure_logs", lambda **options: LogStream(sys.stderr)
    )
    script = tmp_path / "script.toml"
    if text is not None:
        script.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit) as ended:
        main(["--listen", "127.0.0.1:0", "--simulated-script", str(script)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line

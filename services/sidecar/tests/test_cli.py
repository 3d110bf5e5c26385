import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from kakuri_daemon import LogStream
from kakuri_http import Client
from kakuri_sidecar._cli import main
from kakuri_tcp import Endpoint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--listen", "0.0.0.0:0"], "refusing to listen on 0.0.0.0:0"),
        (["--cri", "127.0.0.1:1"], "expected unix:///PATH, got 127.0.0.1:1"),
        (["--log-dir", ""], "expected a path, got ''"),
    ],
)
def test_invalid_option_exits_with_one_line_and_status_2(
    monkeypatch, tmp_path, capsys, options, message
):
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **given: LogStream(2))
    with pytest.raises(SystemExit) as ended:
        main(["--listen", f"unix://{tmp_path}/s.sock", *options])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_log_directory_that_others_may_write_to_is_refused_at_the_start(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **given: LogStream(2))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs").chmod(0o777)
    with pytest.raises(SystemExit) as ended:
        main(["--listen", f"unix://{tmp_path}/s.sock", "--log-dir", str(tmp_path / "logs")])
    assert ended.value.code == 2
    assert "others may write to it" in capsys.readouterr().err


def test_sidecar_that_can_not_start_the_threads_of_grpcio_exits_with_one_line_and_status_2(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **given: LogStream(2))
    stack_size = threading.stack_size(1 << 46)  # more than there is address space
    try:
        with pytest.raises(SystemExit) as ended:
            main(["--listen", f"unix://{tmp_path}/s.sock", "--log-dir", str(tmp_path / "logs")])
    finally:
        threading.stack_size(stack_size)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kakuri-sidecar: can't start new thread: the limit on processes")
    assert not (tmp_path / "logs").exists()


async def test_second_sidecar_with_the_same_log_directory_exits_with_one_line_and_status_2(
    sidecar, tmp_path
):
    logs = tmp_path / "logs"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kakuri_sidecar", "--listen", f"unix://{tmp_path}/other.sock",
        "--cri", f"unix://{sidecar.settings.cri.path}", "--log-dir", str(logs),
        stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode == 2
    (line,) = errors.decode().splitlines()
    assert line.startswith(f"kakuri-sidecar: another process manages the zones with logs in {logs}")
    assert (await sidecar.get("/healthz")).status == 200


async def test_command_serves_until_sigterm(runtime, tmp_path):
    socket = tmp_path / "s.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kakuri_sidecar", "--listen", f"unix://{socket}",
        "--cri", f"unix://{runtime.path}", "--log-dir", str(tmp_path / "logs"),
        "--pull-stall-timeout", "0", "--log-level", "warning",
        stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == f"listening on unix:{socket}\n".encode()
        async with Client(Endpoint.unix(str(socket))) as client:
            body = b'{"id":"z","image":"app:1","memory_mb":64,"cpu_millicores":500}'
            assert (await client.request("POST", "/zones", body=body)).status == 201
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert runtime.container("z").is_running
    assert not socket.exists()


def test_interrupt_during_the_start_prints_nothing(tmp_path):
    (tmp_path / "uvloop.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    # A shell that starts the tests in the background ignores SIGINT in them.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "kakuri_sidecar"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")

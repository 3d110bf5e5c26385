from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import until
from kakuri_zones.logs import LogStore


async def test_log_is_rotated_while_it_is_written(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        await node.start()
        runtime.write("z", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog")
        runtime.write("z", b"after\n")
        assert await node.log(tail=1) == b"after\n"
        runtime.exit("z", 0)
        await node.until_state("succeeded")
        assert await node.log() == b"x" * 200 + b"\nafter\n"


async def test_failed_rotation_is_retried(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        await node.start()
        runtime.faults.set("ReopenContainerLog", "2*error(UNKNOWN: no)")
        runtime.write("z", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog", 3)
        await until(lambda: runtime.calls.of("ReopenContainerLog")[2].code == "OK")


async def test_rotation_that_hangs_does_not_delay_others(runtime, run, monkeypatch):
    monkeypatch.setattr("kakuri_zones._assembly.LogStore", small_logs)
    async with run() as node:
        for zone in ("hangs", "other"):
            await node.start(zone)
        runtime.faults.set("ReopenContainerLog", "delay(60000)")
        runtime.write("hangs", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog")
        runtime.write("other", b"x" * 200 + b"\n")
        await runtime.calls.wait_for("ReopenContainerLog", 2)
        other = runtime.container("other").id
        assert runtime.calls.of("ReopenContainerLog")[1].request.container_id == other


def small_logs(root):
    return LogStore(root, max_file_bytes=100)


async def test_log_of_the_earlier_attempt_is_kept(runtime, node):
    runtime.images.set("app:1", FakeImage(output=b"hello\n", exit_code=1))
    await node.start()
    await node.start(attempt=1)
    await node.until(lambda seen: seen.attempt == 1 and seen.state.is_terminal)
    assert await node.log() == b"hello\nhello\n"

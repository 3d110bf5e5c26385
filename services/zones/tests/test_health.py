import asyncio
from types import SimpleNamespace

import pytest
from kakuri_cri import api
from kakuri_tcp.testing import until
from kakuri_zones import Condition, OptionalCalls, RuntimeInfo
from kakuri_zones._health import check_health


async def test_health_of_a_ready_runtime_is_ok(node):
    health = await node.zones.health()
    assert (health.status, health.message) == ("ok", None)
    assert health.runtime == RuntimeInfo("fake", "1.2.3", "v1")
    assert health.conditions == [
        Condition("RuntimeReady", status=True), Condition("NetworkReady", status=True),
    ]  # fmt: skip
    assert health.handlers == ["", "edera"]
    assert health.optional == OptionalCalls(
        events=None, runtime_config=True, reopen_container_log=True, image_fs_info=True
    )


async def test_health_names_the_optional_calls_that_the_runtime_lacks(runtime, run):
    runtime.unimplemented |= {
        "GetContainerEvents", "RuntimeConfig", "ReopenContainerLog", "ImageFsInfo",
    }  # fmt: skip
    async with run() as node:
        await until(lambda: not runtime.listeners)
        await node.start()
        health = await node.zones.health()
        assert health.status == "ok"
        assert health.optional == OptionalCalls(
            events=False, runtime_config=False, reopen_container_log=False, image_fs_info=False
        )


async def test_health_reports_unanswered_calls_of_the_runtime_as_unknown(runtime, node):
    runtime.faults.set("ImageFsInfo", "error(UNAVAILABLE: busy)")
    assert (await node.zones.health()).optional.image_fs_info is None


@pytest.mark.parametrize("condition", ["RuntimeReady", "NetworkReady"])
async def test_runtime_that_is_not_ready_is_unavailable(runtime, node, condition):
    runtime.node.conditions[condition] = False
    health = await node.zones.health()
    assert health.status == "unavailable"
    assert health.message.startswith(condition)


async def test_runtime_without_a_configured_handler_is_unavailable(runtime, node):
    runtime.node.handlers = ["", "runc"]
    health = await node.zones.health()
    assert health.status == "unavailable"
    assert "expected the runtime to have handler 'edera', got ['', 'runc']" in health.message


async def test_runtime_that_does_not_answer_is_unavailable(runtime, node):
    await runtime.crash()
    health = await node.zones.health()
    assert (health.status, health.runtime) == ("unavailable", None)


async def test_health_has_only_printable_text_of_the_runtime(runtime, node):
    runtime.node.handlers = ["", "edera", "\x1b[2J\x9b\u202e"]
    assert (await node.zones.health()).handlers == ["", "\\x1b[2J\\x9b\\u202e", "edera"]


async def test_thousands_of_handlers_are_reported_in_a_bounded_answer(runtime, node):
    runtime.node.handlers = [f"handler-{number:05}{'x' * 100}" for number in range(5000)]
    health = await node.zones.health()
    assert health.message.startswith("expected the runtime to have handler 'edera', got [")
    assert (len(health.handlers), len(health.message) < 1200) == (100, True)


async def test_required_handler_is_found_among_thousands(runtime, node):
    runtime.node.handlers = [f"a{number}" for number in range(5000)] + ["edera"]
    runtime.node.conditions |= {f"Other{number}": True for number in range(5000)}
    health = await node.zones.health()
    assert (health.status, len(health.conditions)) == ("ok", 100)


class InstantRuntime:
    """A client of a ready runtime whose answers need no turn of the event loop."""

    async def version(self, timeout):
        return api.VersionResponse(runtime_name="fake")

    async def status(self, timeout):
        return api.StatusResponse(status=api.RuntimeStatus())

    async def reopen_container_log(self, container_id, timeout):
        await asyncio.Event().wait()

    async def image_fs_info(self, timeout):
        await asyncio.Event().wait()


@pytest.mark.parametrize("turns", range(6))
async def test_health_check_cancelled_at_any_turn_leaves_no_unawaited_call(turns):
    known = SimpleNamespace(has_events=True, has_runtime_config=True)
    check = asyncio.ensure_future(check_health(InstantRuntime(), known, known, ()))
    for _ in range(turns):
        await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check

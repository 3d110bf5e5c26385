"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from collections.abc import AsyncGenerator
from typing import assert_type

import kakuri_cri
from kakuri_cri import Channel, CriError, ProbeResult, Runtime, Timeouts, api
from kakuri_cri.testing import FakeCri, Fault, parse_faults


async def responses_have_the_class_of_their_method(runtime: Runtime) -> None:
    version = api.RuntimeService.Version
    response = await runtime.call(version, api.VersionRequest(), timeout=1.0)
    assert_type(response, api.VersionResponse)
    assert_type(await runtime.probe(timeout=1.0), ProbeResult)
    async with runtime.events() as events:
        async for event in events:
            assert_type(event, api.ContainerEventResponse)


async def responses_may_be_used_as_objects(runtime: Runtime) -> None:
    print(await runtime.call(api.RuntimeService.Version, api.VersionRequest(), timeout=1.0))


class Recorded:
    """A channel of a user's own."""

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        raise NotImplementedError(path, request, timeout)

    def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError(path, request, timeout)

    async def close(self) -> None:
        raise NotImplementedError


async def a_runtime_takes_an_address_or_a_channel() -> None:
    channel: Channel = Recorded()
    async with Runtime(channel) as runtime:
        assert_type(runtime, Runtime)
    async with Runtime("unix:/run/containerd/containerd.sock", timeouts=Timeouts()):
        pass


def errors_have_a_message(error: CriError) -> None:
    assert_type(error.message, str)


async def the_fake_runtime_has_an_address_and_faults() -> None:
    async with FakeCri() as fake:
        fake.faults.set("RunPodSandbox", "finish-then-error(UNAVAILABLE)")
        assert_type(parse_faults("ok"), list[Fault])
        async with Runtime(fake.endpoint) as runtime:
            assert_type(runtime, Runtime)


def misspelled_names_are_reported() -> None:
    print(kakuri_cri.no_such_name)  # type: ignore[attr-defined]

"""Calls with the types that mypy and pyright have to find in them. It is checked and never run."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, assert_type

from kakuri_cri import Runtime, api
from kakuri_grpc import Channel, Method, NotFound, Server, ServerCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    number: Annotated[str, 1] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    text: Annotated[str, 1] = ""


PAY = Method("/example.Shop/Pay", Order, Receipt)
FOLLOW = Method("/example.Shop/Follow", Order, Receipt, server_streams=True)


async def answers_have_the_class_of_their_method(channel: Channel, runtime: Runtime) -> None:
    assert_type(await channel.call(PAY, Order(), timeout=1.0), Receipt)
    async with await channel.stream(FOLLOW, Order(), timeout=1.0) as call:
        assert_type(await call.receive(), Receipt | None)
        async for receipt in call:
            assert_type(receipt, Receipt)
    version = api.RuntimeService.Version
    answer = await runtime.call(version, api.VersionRequest(), timeout=1.0)
    assert_type(answer, api.VersionResponse)


async def answers_may_be_used_as_objects(channel: Channel, runtime: Runtime) -> list[object]:
    print(await channel.call(PAY, Order(), timeout=1.0))
    kept: object = await channel.call(PAY, Order(), timeout=1.0)
    async with await channel.stream(FOLLOW, Order(), timeout=1.0) as call:
        print(await call.receive())
    version = api.RuntimeService.Version
    print(await runtime.call(version, api.VersionRequest(), timeout=1.0))
    return [kept, await channel.call(PAY, Order(), timeout=1.0)]


async def pay(request: Order, _call: ServerCall) -> Receipt:
    raise NotFound(f"no order {request.number}")


async def follow(request: Order, _call: ServerCall) -> AsyncIterator[Receipt]:
    yield Receipt(text=request.number)


def handlers_are_added(server: Server) -> None:
    server.add(PAY, pay)
    server.add(FOLLOW, follow)

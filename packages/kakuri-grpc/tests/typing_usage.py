"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, assert_type

from kakuri_grpc import (
    Channel,
    ChannelState,
    Limits,
    Metadata,
    Method,
    NotFound,
    Server,
    ServerCall,
    StatusCode,
    StatusError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    number: Annotated[str, 1] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    text: Annotated[str, 1] = ""


PAY = Method("/example.Shop/Pay", Order, Receipt)
FOLLOW = Method("/example.Shop/Follow", Order, Receipt, server_streams=True)


async def responses_have_the_class_of_their_method(channel: Channel) -> None:
    assert_type(await channel.call(PAY, Order(), timeout=1.0), Receipt)
    async with await channel.stream(FOLLOW, Order(), timeout=1.0) as call:
        assert_type(await call.receive(), Receipt | None)
        async for receipt in call:
            assert_type(receipt, Receipt)


async def responses_may_be_used_as_objects(channel: Channel) -> list[object]:
    print(await channel.call(PAY, Order(), timeout=1.0))
    kept: object = await channel.call(PAY, Order(), timeout=1.0)
    async with await channel.stream(FOLLOW, Order(), timeout=1.0) as call:
        print(await call.receive())
    return [kept, await channel.call(PAY, Order(), timeout=1.0)]


async def channels_are_context_managers() -> None:
    async with Channel("unix:/run/shop.sock", limits=Limits()) as channel:
        assert_type(channel, Channel)
        assert_type(channel.state, ChannelState)


async def pay(request: Order, call: ServerCall) -> Receipt:
    assert_type(call.remaining, float | None)
    raise NotFound(f"no order {request.number}")


async def follow(request: Order, _call: ServerCall) -> AsyncIterator[Receipt]:
    yield Receipt(text=request.number)


def handlers_are_added(server: Server) -> None:
    server.add(PAY, pay)
    server.add(FOLLOW, follow)


def errors_have_a_code_and_trailers(error: StatusError) -> None:
    assert_type(error.code, StatusCode)
    assert_type(error.trailers, Metadata)
    assert_type(error.details, bytes)

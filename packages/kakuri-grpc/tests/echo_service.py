"""A service with a method of each kind, as messages, as our server and as grpcio's."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import grpc
import kakuri_protobuf as kp
from kakuri_grpc import Method, Server, StatusCode, status_error


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoRequest:
    text: Annotated[str, 1] = ""
    count: Annotated[kp.UInt32, 2] = 0
    payload: Annotated[bytes, 3] = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoResponse:
    text: Annotated[str, 1] = ""
    payload: Annotated[bytes, 2] = b""


UNARY = Method("/test.Echo/Unary", EchoRequest, EchoResponse)
DOWN = Method("/test.Echo/Down", EchoRequest, EchoResponse, server_streams=True)
UP = Method("/test.Echo/Up", EchoRequest, EchoResponse, client_streams=True)
BOTH = Method(
    "/test.Echo/Both", EchoRequest, EchoResponse, client_streams=True, server_streams=True
)
MISSING = Method("/test.Echo/Missing", EchoRequest, EchoResponse)
NO_SERVICE = Method("/test.Nothing/Unary", EchoRequest, EchoResponse)


async def unary(request, call):
    """Respond as the text of the request asks."""
    if request.text == "fail":
        raise status_error(StatusCode.NOT_FOUND, "nö\nsuch 100 % thing")
    if request.text == "crash":
        raise ZeroDivisionError("a secret")
    if request.text == "sleep":
        await asyncio.Event().wait()
    if request.text == "metadata":
        call.send_metadata((("x-initial", "i"), ("x-data-bin", b"\0\xff")))
        call.trailers = (("x-trailing", "t"),)
        return EchoResponse(
            text=repr([(name, value) for name, value in call.metadata if name.startswith("x-")])
        )
    return EchoResponse(text=request.text, payload=request.payload or bytes(request.count))


async def down(request, call):
    for number in range(request.count):
        yield EchoResponse(text=f"{request.text}{number}", payload=request.payload)


async def up(requests, call):
    texts = [request.text async for request in requests]
    return EchoResponse(text=",".join(texts))


async def both(requests, call):
    async for request in requests:
        yield EchoResponse(text=request.text)


def our_server(**arguments):
    """Return our server with all methods."""
    server = Server(**arguments)
    for method, handler in ((UNARY, unary), (DOWN, down), (UP, up), (BOTH, both)):
        server.add(method, handler)
    return server


class _Call:
    """What the handlers above need of a call, for grpcio's context."""

    def __init__(self, context):
        self.metadata = tuple(context.invocation_metadata())
        self.trailers = ()
        self.initial = ()

    def send_metadata(self, metadata):
        self.initial = metadata


def other_server(path):
    """Return grpcio's server with the same handlers, listening on a Unix socket."""

    async def run_unary(request, context):
        call = _Call(context)
        try:
            response = await unary(request, call)
        except ZeroDivisionError:
            await context.abort(grpc.StatusCode.INTERNAL, "the server failed; its log says why")
        except Exception as error:  # noqa: BLE001 - a StatusError, which grpcio does not know
            await context.abort(grpc.StatusCode.NOT_FOUND, error.message)
        if call.initial:
            await context.send_initial_metadata(call.initial)
        context.set_trailing_metadata(call.trailers)
        return response

    async def run_down(request, context):
        async for response in down(request, None):
            yield response

    async def run_up(requests, context):
        return await up(requests, None)

    async def run_both(requests, context):
        async for response in both(requests, None):
            yield response

    def loads(data):
        return kp.decode(data, type=EchoRequest)

    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(run_unary, loads, kp.encode),
        "Down": grpc.unary_stream_rpc_method_handler(run_down, loads, kp.encode),
        "Up": grpc.stream_unary_rpc_method_handler(run_up, loads, kp.encode),
        "Both": grpc.stream_stream_rpc_method_handler(run_both, loads, kp.encode),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    server.add_insecure_port(f"unix:{path}")
    return server

"""The service of gRPC's interoperability tests: messages, methods, and what it answers.

The numbers of fields and methods are those of the gRPC project's "Interoperability Test Case
Descriptions".
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import kakuri_protobuf as kp
from kakuri_grpc import Method

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    body: Annotated[bytes, 2] = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoStatus:
    code: Annotated[kp.Int32, 1] = 0
    message: Annotated[str, 2] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleRequest:
    response_size: Annotated[kp.Int32, 2] = 0
    payload: Annotated[Payload | None, 3] = None
    response_status: Annotated[EchoStatus | None, 7] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """SimpleResponse and StreamingOutputCallResponse."""

    payload: Annotated[Payload | None, 1] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    payload: Annotated[Payload | None, 1] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputResponse:
    aggregated_payload_size: Annotated[kp.Int32, 1] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseParameters:
    size: Annotated[kp.Int32, 1] = 0
    interval_us: Annotated[kp.Int32, 2] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRequest:
    response_parameters: Annotated[tuple[ResponseParameters, ...], 2] = ()
    payload: Annotated[Payload | None, 3] = None
    response_status: Annotated[EchoStatus | None, 7] = None


def _method(name, request, response, **streams):
    return Method(f"/grpc.testing.TestService/{name}", request, response, **streams)


EMPTY = _method("EmptyCall", Empty, Empty)
UNARY = _method("UnaryCall", SimpleRequest, Response)
OUTPUT = _method("StreamingOutputCall", OutputRequest, Response, server_streams=True)
INPUT = _method("StreamingInputCall", InputRequest, InputResponse, client_streams=True)
DUPLEX = _method(
    "FullDuplexCall", OutputRequest, Response, client_streams=True, server_streams=True
)
METHODS = (EMPTY, UNARY, OUTPUT, INPUT, DUPLEX)
NO_METHOD = _method("UnimplementedCall", Empty, Empty)
NO_SERVICE = Method("/grpc.testing.UnimplementedService/UnimplementedCall", Empty, Empty)


class Failure(Exception):
    """How a handler ends its call with a status."""

    def __init__(self, code, message):
        super().__init__(code, message)
        self.code = code
        self.message = message


def check(request):
    """Fail as the request asks."""
    if request.response_status is not None:
        raise Failure(request.response_status.code, request.response_status.message)


def response(size):
    return Response(payload=Payload(body=bytes(size)))


async def empty(request):
    return Empty()


async def unary(request):
    check(request)
    return response(request.response_size)


async def output(request):
    check(request)
    for parameters in request.response_parameters:
        await asyncio.sleep(parameters.interval_us / 1e6)
        yield response(parameters.size)


async def input_(requests):
    sizes = [len(request.payload.body) async for request in requests]
    return InputResponse(aggregated_payload_size=sum(sizes))


async def duplex(requests):
    async for request in requests:
        async for answer in output(request):
            yield answer


HANDLERS = {EMPTY: empty, UNARY: unary, OUTPUT: output, INPUT: input_, DUPLEX: duplex}

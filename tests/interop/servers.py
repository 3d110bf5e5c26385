"""The service on each server: ours, grpcio's, grpclib's, and Go's as a process."""

import asyncio
import subprocess
from contextlib import asynccontextmanager

import grpc
import kakuri_protobuf as kp
from grpclib import GRPCError, Status
from grpclib import server as grpclib_server
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from kakuri_grpc import Server, StatusCode, status_error

from .service import HANDLERS, INITIAL, TRAILING, Failure


def bound(cls):
    """Return a function that decodes messages of a class."""
    return lambda data: kp.decode(data, type=cls)


@asynccontextmanager
async def ours(path):
    server = Server()

    def adapted(method, handler):
        def echo(call):
            received = dict(call.metadata)
            if INITIAL in received:
                call.send_metadata(((INITIAL, received[INITIAL]),))
            if TRAILING in received:
                call.trailers = ((TRAILING, received[TRAILING]),)

        async def single(request, call):
            echo(call)
            try:
                return await handler(request)
            except Failure as failure:
                raise status_error(StatusCode(failure.code), failure.message) from failure

        async def streaming(request, call):
            echo(call)
            try:
                async for answer in handler(request):
                    yield answer
            except Failure as failure:
                raise status_error(StatusCode(failure.code), failure.message) from failure

        return streaming if method.server_streams else single

    for method, handler in HANDLERS.items():
        server.add(method, adapted(method, handler))
    async with server:
        await server.listen(f"unix:{path}")
        yield


@asynccontextmanager
async def grpcio(path):
    def adapted(method, handler):
        async def prepare(context):
            received = dict(context.invocation_metadata())
            if INITIAL in received:
                await context.send_initial_metadata(((INITIAL, received[INITIAL]),))
            if TRAILING in received:
                context.set_trailing_metadata(((TRAILING, received[TRAILING]),))

        def code_of(failure):
            return next(code for code in grpc.StatusCode if code.value[0] == failure.code)

        async def single(request, context):
            await prepare(context)
            try:
                return await handler(request)
            except Failure as failure:
                await context.abort(code_of(failure), failure.message)

        async def streaming(request, context):
            await prepare(context)
            try:
                async for answer in handler(request):
                    yield answer
            except Failure as failure:
                await context.abort(code_of(failure), failure.message)

        kind = "_".join("stream" if one else "unary"
                        for one in (method.client_streams, method.server_streams))  # fmt: skip
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        run = streaming if method.server_streams else single
        return make(run, bound(method.request), kp.encode)

    methods = {
        method.path.rpartition("/")[2]: adapted(method, handler)
        for method, handler in HANDLERS.items()
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.testing.TestService", methods),)
    )
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    yield
    await server.stop(None)


class Codec(CodecBase):
    """Our messages for grpclib."""

    __content_subtype__ = "proto"

    def encode(self, message, message_type):
        return kp.encode(message)

    def decode(self, data, message_type):
        return kp.decode(data, type=message_type)


def cardinality(method):
    return {
        (False, False): Cardinality.UNARY_UNARY,
        (False, True): Cardinality.UNARY_STREAM,
        (True, False): Cardinality.STREAM_UNARY,
        (True, True): Cardinality.STREAM_STREAM,
    }[method.client_streams, method.server_streams]


class _Service:
    def __mapping__(self):  # the name that grpclib looks for
        return {
            method.path: Handler(
                self._adapted(method, handler), cardinality(method), method.request, method.response
            )
            for method, handler in HANDLERS.items()
        }

    def _adapted(self, method, handler):
        async def run(stream):
            received = dict(stream.metadata or {})
            if INITIAL in received:
                await stream.send_initial_metadata(metadata={INITIAL: received[INITIAL]})
            try:
                argument = stream if method.client_streams else await stream.recv_message()
                if method.server_streams:
                    async for answer in handler(argument):
                        await stream.send_message(answer)
                else:
                    await stream.send_message(await handler(argument))
            except Failure as failure:
                raise GRPCError(Status(failure.code), failure.message) from failure
            if TRAILING in received:
                await stream.send_trailing_metadata(metadata={TRAILING: received[TRAILING]})

        return run


@asynccontextmanager
async def grpclib(path):
    server = grpclib_server.Server([_Service()], codec=Codec())
    await server.start(path=str(path))
    yield
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def go(path, program):
    process = await asyncio.create_subprocess_exec(program, path, stdout=subprocess.PIPE)
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.wait()

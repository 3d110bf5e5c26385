"""One interface over each client: ours, grpcio's and grpclib's."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import grpc
import kakuri_grpc
import kakuri_protobuf as kp
from grpclib.client import Channel as GrpclibChannel
from grpclib.exceptions import GRPCError

from .servers import Codec, bound, cardinality

CANCELLED, DEADLINE_EXCEEDED = 1, 4


class CallFailed(Exception):
    """A call ended with a status."""

    def __init__(self, code, message=""):
        super().__init__(code, message)
        self.code = code
        self.message = message


class Ours:
    def __init__(self, path):
        self.channel = kakuri_grpc.Channel(f"unix:{path}")

    async def close(self):
        await self.channel.close()

    async def unary(self, method, request, *, timeout=10):
        with translated():
            return await self.channel.call(method, request, timeout=timeout)

    @asynccontextmanager
    async def stream(self, method, *, timeout=10, metadata=()):
        with translated():
            async with await self.channel.stream(
                method, timeout=timeout, metadata=metadata
            ) as call:
                yield _OurCall(call)


class _OurCall:
    def __init__(self, call):
        self.call = call
        self.send = call.send
        self.end = call.end

    @property
    def metadata(self):
        return self.call.metadata

    @property
    def trailers(self):
        return self.call.trailers

    async def receive(self):
        with translated():
            return await self.call.receive()

    async def cancel(self):
        self.call.cancel()


@contextmanager
def translated():
    """Turn errors of each library into CallFailed."""
    try:
        yield
    except kakuri_grpc.StatusError as error:
        raise CallFailed(error.code, error.message) from error
    except TimeoutError as error:  # also ours
        raise CallFailed(DEADLINE_EXCEEDED) from error
    except grpc.aio.AioRpcError as error:
        raise CallFailed(error.code().value[0], error.details()) from error
    except GRPCError as error:
        raise CallFailed(error.status.value, error.message or "") from error


class Grpcio:
    def __init__(self, path):
        self.channel = grpc.aio.insecure_channel(f"unix:{path}")

    async def close(self):
        await self.channel.close()

    async def unary(self, method, request, *, timeout=10):
        call = self.channel.unary_unary(method.path, kp.encode, bound(method.response))
        with translated():
            return await call(request, timeout=timeout)

    @asynccontextmanager
    async def stream(self, method, *, timeout=10, metadata=()):
        make = self.channel.stream_stream(method.path, kp.encode, bound(method.response))
        with translated():
            call = make(timeout=timeout, metadata=metadata)
            try:
                yield _GrpcioCall(call)
            finally:
                call.cancel()


class _GrpcioCall:
    def __init__(self, call):
        self.call = call

    async def send(self, request, *, end=False):
        await self.call.write(request)
        if end:
            await self.call.done_writing()

    async def end(self):
        await self.call.done_writing()

    async def receive(self):
        try:
            answer = await self.call.read()
        except asyncio.CancelledError:
            raise CallFailed(CANCELLED) from None
        if answer is not grpc.aio.EOF:
            return answer
        code = await self.call.code()
        if code is not grpc.StatusCode.OK:
            raise CallFailed(code.value[0], await self.call.details())
        self.trailers = tuple(await self.call.trailing_metadata())
        self.metadata = tuple(await self.call.initial_metadata())
        return None

    async def cancel(self):
        self.call.cancel()


class Grpclib:
    def __init__(self, path):
        self.channel = GrpclibChannel(path=str(path), codec=Codec())

    async def close(self):
        self.channel.close()

    async def unary(self, method, request, *, timeout=10):
        with translated():
            async with self._request(method, timeout, ()) as stream:
                await stream.send_message(request, end=True)
                return await stream.recv_message()

    def _request(self, method, timeout, metadata):
        return self.channel.request(
            method.path, cardinality(method), method.request, method.response,
            timeout=timeout, metadata=dict(metadata),
        )  # fmt: skip

    @asynccontextmanager
    async def stream(self, method, *, timeout=10, metadata=()):
        with translated():
            async with self._request(method, timeout, metadata) as stream:
                yield _GrpclibCall(stream)


class _GrpclibCall:
    def __init__(self, stream):
        self.stream = stream
        self.is_begun = False
        self.is_cancelled = False

    async def send(self, request, *, end=False):
        self.is_begun = True
        await self.stream.send_message(request, end=end)

    async def end(self):
        if self.is_begun:
            await self.stream.end()
        else:
            await self.stream.send_request(end=True)

    async def receive(self):
        if self.is_cancelled:
            raise CallFailed(CANCELLED)
        answer = await self.stream.recv_message()
        if answer is None:
            await self.stream.recv_trailing_metadata()
            self.metadata = tuple(self.stream.initial_metadata.items())
            self.trailers = tuple(self.stream.trailing_metadata.items())
        return answer

    async def cancel(self):
        self.is_cancelled = True
        await self.stream.cancel()

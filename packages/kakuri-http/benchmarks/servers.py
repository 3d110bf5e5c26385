"""One server for bench_http.py: `python servers.py NAME PORT`; prints `ready` when it listens."""

# ruff: noqa: PLC0415 - each server imports nothing but its own package

import asyncio
import re
import sys

BODY = b'{"id":"test-1","state":"running"}'
PATH = "/workloads/:id"


def text_of(identity):
    return f'{{"id":"{identity}","state":"running"}}'.encode()


async def kakuri(port):
    from kakuri_http import Limits, Response, Router, serve

    router = Router()
    router.add(
        "GET",
        PATH,
        lambda request: Response(
            200, text_of(request.params["id"]), content_type="application/json"
        ),
    )
    limits = Limits(connections_per_peer=16_384)
    await serve(f"127.0.0.1:{port}", router, limits=limits)
    await forever()


async def bare(port):
    head = re.compile(rb"GET /workloads/([^ ]+) HTTP/1\.1\r\n(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")

    class Bare(asyncio.Protocol):
        def connection_made(self, transport):
            self.write = transport.write

        def data_received(self, data):
            body = text_of(head.match(data)[1].decode())
            self.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )

    await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await forever()


async def aiohttp(port):
    from aiohttp import web

    async def answer(request):
        return web.Response(body=text_of(request.match_info["id"]), content_type="application/json")

    app = web.Application()
    app.router.add_get("/workloads/{id}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await forever()


async def asgi_app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = text_of(scope["path"].rpartition("/")[2])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def fastapi_app():
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/workloads/{identity}")
    async def answer(identity: str):
        return {"id": identity, "state": "running"}

    return app


async def uvicorn(port, app=None):
    import uvicorn as package

    config = package.Config(
        app or asgi_app,
        port=port,
        http="httptools",
        log_level="error",
        access_log=False,
        loop="none",
    )
    server = package.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await serving


async def fastapi(port):
    await uvicorn(port, fastapi_app())


def granian(port):
    from granian import Granian
    from granian.constants import Interfaces

    print("ready", flush=True)
    Granian(
        "servers:asgi_app", address="127.0.0.1", port=port, interface=Interfaces.ASGI,
        log_enabled=False, loop="asyncio",
    ).serve()  # fmt: skip


async def forever():
    print("ready", flush=True)
    await asyncio.Event().wait()


def main():
    name, port = sys.argv[1], int(sys.argv[2])
    name, _, loop = name.partition("+")
    if name == "granian":
        granian(port)
        return
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(globals()[name](port))


if __name__ == "__main__":
    main()

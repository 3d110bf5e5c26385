"""`get`, `post` and the others, and `params=`, of both clients."""

import asyncio

import pytest
from kakuri_http import Client, Response, Router, Timeouts, serve
from kakuri_http.blocking import BlockingClient

METHODS = ["get", "head", "post", "put", "patch", "delete"]


def describing_router():
    router = Router()

    def describe(request):
        shown = f"{request.method} {request.target} {request.headers.get('x')} ".encode()
        return Response(200, shown + request.body, headers={"X-Method": request.method})

    for method in METHODS:
        router.add(method.upper(), "/:id", describe)
    router.add("GET", "/", lambda request: Response(307, headers={"Location": "/moved"}))
    return router


async def described(kind, name, *arguments, **options):
    """Call a method of a client and return its response."""
    async with await serve("127.0.0.1:0", describing_router()) as server:
        if kind is Client:
            async with Client(server.endpoint) as client:
                return await getattr(client, name)(*arguments, **options)

        def blocking():
            with BlockingClient(server.endpoint) as client:
                return getattr(client, name)(*arguments, **options)

        return await asyncio.to_thread(blocking)


@pytest.mark.parametrize("kind", [Client, BlockingClient])
@pytest.mark.parametrize("name", METHODS)
async def test_client_method_sends_its_name_with_headers_and_params(kind, name):
    response = await described(
        kind, name, "/a?b", headers={"X": "y"}, params={"ö": 1}, timeouts=Timeouts(total=30)
    )
    assert response.headers["x-method"] == name.upper()
    expected = "" if name == "head" else f"{name.upper()} /a?b&%C3%B6=1 y "
    assert response.text() == expected


@pytest.mark.parametrize("kind", [Client, BlockingClient])
@pytest.mark.parametrize("name", ["post", "put", "patch"])
async def test_client_method_with_a_body_sends_it(kind, name):
    response = await described(kind, name, "/a", [b"on", b"e"])
    assert response.text() == f"{name.upper()} /a None one"


@pytest.mark.parametrize("kind", [Client, BlockingClient])
async def test_client_method_follows_redirects_if_requested(kind):
    assert (await described(kind, "get", "/")).status == 307
    assert (await described(kind, "get", "/", redirects=1)).text() == "GET /moved None "


@pytest.mark.parametrize("kind", [Client, BlockingClient])
@pytest.mark.parametrize(
    ("name", "options"),
    [("get", {"params": "a=b"}), ("post", {"body": "text"}), ("get", {"timeouts": 5})],
)
async def test_client_method_argument_of_wrong_type_raises_type_error(kind, name, options):
    with pytest.raises(TypeError, match="expected"):
        await described(kind, name, "/a", **options)


async def test_stream_sends_params_in_the_query():
    async with (
        await serve("127.0.0.1:0", describing_router()) as server,
        Client(server.endpoint) as client,
        client.stream("GET", "/a", params={"b": "c d"}) as response,
    ):
        assert await response.read() == b"GET /a?b=c%20d None "

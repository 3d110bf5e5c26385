"""What handlers return besides responses and coroutines, and what becomes of their exceptions."""

import asyncio
import gc
import logging
import weakref

import pytest
from kakuri_http import Response, Router, problem

from .wire import wired

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Later:
    """An awaitable with the methods of a future, which calls back at once."""

    def __init__(self):
        self.callback = None
        self.context = None
        self.response = None
        self.error = None
        self.is_cancelled = asyncio.Event()
        self.is_called = asyncio.Event()

    def __await__(self):
        raise AssertionError("the server adds a callback")

    def add_done_callback(self, callback, *, context=None):
        self.callback, self.context = callback, context
        self.is_called.set()

    def done(self):
        return False

    def cancelled(self):
        return self.is_cancelled.is_set()

    def cancel(self):
        self.is_cancelled.set()
        asyncio.get_running_loop().call_soon(self.callback, self)

    def exception(self):
        return self.error

    def result(self):
        return self.response

    def finish(self, response=None, error=None):
        self.response, self.error = response, error
        self.context.run(self.callback, self)


@pytest.fixture
def later():
    return Later()


@pytest.fixture
def router(later):
    router = Router()
    router.add("GET", "/", lambda request: later)
    return router


async def test_foreign_future_is_responded_to_when_it_calls_back(router, later):
    async with wired(router) as wire:
        wire.send(GET)
        await later.is_called.wait()
        later.finish(Response(200, b"later"))
        assert (await wire.read_response())[2] == b"later"


async def test_exception_of_a_foreign_future_is_a_500(router, later, caplog):
    caplog.set_level(logging.ERROR, "kakuri_http")
    async with wired(router) as wire:
        wire.send(GET)
        await later.is_called.wait()
        later.finish(error=KeyError("secret"))
        assert (await wire.read_response())[0] == 500
    assert "secret" in caplog.text


async def test_future_whose_result_is_not_a_response_is_a_500(router, later, caplog):
    async with wired(router) as wire:
        wire.send(GET)
        await later.is_called.wait()
        later.finish("text")
        assert (await wire.read_response())[0] == 500
    assert "expected a Response from the handler of GET /, got str" in caplog.text


async def test_foreign_future_is_cancelled_when_its_client_disconnects(router, later):
    async with wired(router) as wire:
        wire.send(GET)
        await later.is_called.wait()
    await later.is_cancelled.wait()


class Translating(Router):
    """Responds to one kind of exception."""

    def respond_to(self, error):
        if isinstance(error, LookupError):
            return problem(404, detail=str(error), code="not_found")
        if isinstance(error, ZeroDivisionError):
            raise ValueError("the router is at fault")
        return None


def failing(error, *, is_async):
    router = Translating()

    def fail(request):
        raise error

    async def fail_later(request):
        raise error

    router.add("GET", "/", fail_later if is_async else fail)
    return router


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("error", "status"), [(LookupError("no"), 404), (TypeError(), 500), (ZeroDivisionError(), 500)]
)
async def test_router_responds_to_the_exceptions_of_its_handlers(error, status, is_async, caplog):
    async with wired(failing(error, is_async=is_async)) as wire:
        wire.send(GET)
        assert (await wire.read_response())[0] == status
    assert ("failed" in caplog.text) is (status == 500)
    assert ("the router is at fault" in caplog.text) is isinstance(error, ZeroDivisionError)


def raise_again(error):
    raise error


def raise_context(error):
    raise error.__context__


def raise_another(error):
    try:
        raise KeyError("lookup")
    except KeyError:
        raise RuntimeError("another") from error


def raise_new(error):
    raise RuntimeError("another")


def raise_from(error):
    raise RuntimeError("another") from error


def raise_in_handler(error):
    try:
        raise KeyError("lookup")
    except KeyError:
        raise RuntimeError("another")  # noqa: B904 - the context is what is tested


def raise_with_cycle(error):
    first, second = RuntimeError("another"), KeyError("lookup")
    first.__cause__, second.__cause__ = second, first
    raise first


@pytest.fixture
def quiet(monkeypatch):
    """Log nothing: records that tests capture refer to exceptions."""
    monkeypatch.setattr(logging.getLogger("kakuri_http"), "disabled", True)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "respond",
    [raise_again, raise_context, raise_another, raise_from, raise_in_handler, lambda _: None],
)
async def test_request_that_failed_is_freed_without_the_garbage_collector(respond, is_async, quiet):
    class Refused(Exception):
        pass

    requests = weakref.WeakSet()
    errors = weakref.WeakSet()

    def fail(request):
        requests.add(request)
        first, second = Refused("first"), Refused("second")
        errors.update((first, second))
        try:
            raise first
        except Refused:
            del first
            try:
                raise second
            finally:
                del second

    async def fail_later(request):
        fail(request)

    router = Router()
    router.respond_to = respond
    router.add("GET", "/", fail_later if is_async else fail)
    gc.disable()
    try:
        async with wired(router) as wire:
            for _ in range(2):  # the connection keeps its latest exchange alive
                wire.send(GET)
                assert (await wire.read_response())[0] == 500
            assert len(requests) <= 1
            assert len(errors) <= 2
        await asyncio.sleep(0)
        assert len(requests) == len(errors) == 0
    finally:
        gc.enable()


async def test_router_that_fails_is_logged_after_the_exception_that_it_responds_to(caplog):
    def fail(request):
        raise LookupError("first")

    router = Router()
    router.respond_to = raise_another
    router.add("GET", "/", fail)
    async with wired(router) as wire:
        wire.send(GET)
        assert (await wire.read_response())[0] == 500
    first, second = caplog.records
    assert first.getMessage().endswith("<Request GET /> failed")
    assert second.getMessage() == "the router failed to respond to LookupError('first')"
    assert "RuntimeError: another" in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "respond", [raise_new, raise_from, raise_another, raise_in_handler, raise_with_cycle]
)
async def test_router_that_fails_is_logged_without_a_second_traceback_of_the_first_exception(
    respond, is_async, caplog
):
    router = failing(LookupError("first"), is_async=is_async)
    router.respond_to = respond
    async with wired(router) as wire:
        wire.send(GET)
        assert (await wire.read_response())[0] == 500
    assert caplog.text.count("LookupError: first") == 1
    assert caplog.text.count("RuntimeError: another") == 1


async def test_router_that_fails_is_logged_with_the_cause_of_its_own_exception(caplog):
    def respond(error):
        {}["lookup"]

    def respond_by_lookup(error):
        try:
            respond(error)
        except KeyError:
            raise RuntimeError("another")  # noqa: B904 - the context is what is tested

    router = failing(LookupError("first"), is_async=False)
    router.respond_to = respond_by_lookup
    async with wired(router) as wire:
        wire.send(GET)
        assert (await wire.read_response())[0] == 500
    assert "KeyError: 'lookup'" in caplog.text


async def test_router_responds_to_the_exceptions_of_its_checks():
    router = Translating()

    def check(request):
        raise LookupError("no such tenant")

    router.check(check)
    async with wired(router) as wire:
        wire.send(GET)
        status, _, body = await wire.read_response()
    assert (status, b"no such tenant" in body) == (404, True)

"""Calls: callbacks at once, converted and repeated replies, recovery from refusals."""

import asyncio
import contextvars
import gc
import itertools
import weakref
from contextlib import suppress

import pytest
from kakuri_json import encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentUnreachable,
    Call,
    ClientClosed,
    ErrorCode,
    ErrorReply,
    RPCError,
    State,
    Status,
    UnexpectedReply,
    _call_metrics,
    serve,
)
from kakuri_tcp import Endpoint, listen_lines

ANY_PORT = Endpoint.parse("127.0.0.1:0")
RUNNING = Status("a", State.RUNNING)
NOT_FOUND = ErrorReply(ErrorCode.NOT_FOUND, "no workload")


@pytest.fixture
async def ask():
    """Serve an agent, and return a function that calls `get_status`; its replies can be set."""

    class Ask:
        reply = RUNNING

        def __call__(self):
            return client.get_status("a")

    ask = Ask()
    async with (
        await serve(ANY_PORT, lambda _: ask.reply) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        await client.get_status("a")  # there is a connection from now on
        ask.client = client
        yield ask


async def until_done(call, *, context=None):
    """Return the task and the context variable's value that the callback saw."""
    seen = asyncio.get_running_loop().create_future()
    call.add_done_callback(
        lambda done: seen.set_result((done, asyncio.current_task(), PLACE.get())), context=context
    )
    return await seen


PLACE = contextvars.ContextVar("place", default="outside")


async def test_callback_is_called_without_a_task_in_the_given_context(ask):
    context = contextvars.copy_context()
    context.run(PLACE.set, "inside")
    call = ask()
    assert await until_done(call, context=context) == (call, None, "inside")
    assert (call.done(), call.cancelled(), call.exception()) == (True, False, None)
    assert call.result() == await call == RUNNING


async def test_callback_runs_in_a_given_context_that_is_empty(ask):
    context = contextvars.copy_context()
    context.run(PLACE.set, "inside")
    call = context.run(ask)
    assert (await until_done(call, context=contextvars.Context()))[2] == "outside"


async def test_call_that_is_not_done_has_no_result_and_no_exception_yet(ask):
    call = ask()
    for read in (call.result, call.exception):
        with pytest.raises(asyncio.InvalidStateError, match="the call is not done"):
            read()
    assert await call == call.result() == RUNNING


async def test_callback_and_conversion_run_in_a_copy_of_the_context_of_the_call(ask):
    seen = []

    def convert(status):
        seen.append(PLACE.get())
        PLACE.set("conversion")
        return status

    for place in ("first", "second"):
        context = contextvars.copy_context()
        context.run(PLACE.set, place)
        call = context.run(lambda: ask().converted(convert))
        seen.append((await until_done(call))[2])
        assert context[PLACE] == place
    assert seen == ["first", "first", "second", "second"]


async def test_call_raises_the_error_reply_of_the_agent(ask):
    ask.reply = NOT_FOUND
    call = ask()
    await until_done(call)
    assert isinstance(call.exception(), AgentError)
    with pytest.raises(AgentError, match="no workload"):
        call.result()


async def test_converted_call_returns_the_converted_reply(ask):
    assert await ask().converted(lambda status: status.state.value) == "Running"


async def test_exception_in_the_conversion_is_raised_by_the_call(ask):
    def fail(status):
        raise KeyError(status.id)

    with pytest.raises(KeyError):
        await ask().converted(fail)


@pytest.mark.parametrize(
    ("conversion", "results"), [(Call.cached, [1, 2, 2, 2, 2]), (Call.converted, [1, 2, 3, 4, 5])]
)
async def test_cached_conversion_of_an_identical_reply_is_not_repeated(ask, conversion, results):
    converted = []

    def convert(status):
        converted.append(status)
        return len(converted)

    assert [await conversion(ask(), convert) for _ in range(5)] == results
    assert len(converted) == max(results)
    ask.reply = Status("a", State.FAILED)
    assert await conversion(ask(), convert) == max(results) + 1


async def test_conversion_by_a_method_is_cached_with_its_object(ask):
    class Converter:
        converted = 0

        def convert(self, status):
            self.converted += 1
            return self

    first, second = Converter(), Converter()
    ask.reply = Status("a", State.RUNNING, message="seen by two converters")
    for _ in range(3):
        assert await ask().cached(first.convert) is first
    assert first.converted == 2
    assert await ask().cached(second.convert) is second


async def test_conversion_after_a_cached_one_is_repeated(ask):
    ask.reply = Status("a", State.RUNNING, message="not seen before")
    read, numbers = [], itertools.count()

    def id_of(status):
        read.append(status)
        return status.id

    def convert(text):
        return f"{text}{next(numbers)}"

    results = [await ask().cached(id_of).converted(convert) for _ in range(4)]
    assert results == ["a0", "a1", "a2", "a3"]
    assert len(read) == 2


async def test_repeated_reply_for_another_request_is_unexpected(ask):
    client = ask.client

    def convert(status):
        return status.id

    for _ in range(3):
        assert await client.get_status("a").cached(convert) == "a"
    with pytest.raises(UnexpectedReply, match="expected a reply about 'b', got one about 'a'"):
        await client.get_status("b").cached(convert)


async def test_recovered_call_returns_the_result_of_the_recovery(ask):
    ask.reply = NOT_FOUND

    async def recover(error):
        await asyncio.sleep(0)
        return error.code

    call = ask().recovered(recover)
    assert await call is ErrorCode.NOT_FOUND
    assert ask.client.metrics.in_flight == 0


async def test_recovery_runs_in_the_context_of_the_caller(ask):
    ask.reply = NOT_FOUND

    async def recover(error):
        await asyncio.sleep(0)
        return PLACE.get()

    calls = []
    for place in ("first", "second"):
        context = contextvars.copy_context()
        context.run(PLACE.set, place)
        calls.append(context.run(lambda: ask().recovered(recover)))
    PLACE.set("elsewhere")
    assert [await call for call in calls] == ["first", "second"]


@pytest.mark.parametrize("context", ["caller's", "given"])
async def test_request_that_is_sent_again_runs_in_the_context_of_the_caller(context):
    class Fails(Exception):
        pass

    replies = [encode(RUNNING)]

    def answer_once(_line):
        if replies:
            return replies.pop()
        raise Fails

    observed = []
    async with (
        await listen_lines(ANY_PORT, answer_once) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        await client.get_status("a")  # there is a connection, which is lost by the next request
        client.metrics.on_outcome = lambda error: observed.append((type(error), PLACE.get()))
        caller, given = contextvars.copy_context(), contextvars.copy_context()
        caller.run(PLACE.set, "inside")
        given.run(PLACE.set, "given")
        call = caller.run(client.get_status, "a")
        _, _, seen = await until_done(call, context=given if context == "given" else None)
    assert seen == ("given" if context == "given" else "inside")
    assert observed == [(AgentUnreachable, "inside")]


async def test_exception_in_the_recovery_is_raised_by_the_call(ask):
    ask.reply = NOT_FOUND

    async def recover(error):
        raise LookupError from error

    with pytest.raises(LookupError):
        await ask().recovered(recover)


async def test_recovery_ends_with_a_call_that_is_cancelled(ask):
    ask.reply = NOT_FOUND
    begun = asyncio.Event()
    ended = asyncio.get_running_loop().create_future()

    async def recover(error):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(True)

    call = ask().recovered(recover)
    await begun.wait()
    assert call.cancel()
    assert not call.cancel()
    assert await ended
    assert call.cancelled()
    assert ask.client.metrics.in_flight == 0


async def test_cancelled_task_cancels_the_call_that_it_awaits(ask):
    call = ask()

    async def wait():
        await call

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert call.cancelled()
    assert ask.client.metrics.in_flight == 0
    assert await ask() == RUNNING  # its reply was not taken for that of the first call


async def test_cancelled_call_calls_back_in_a_later_turn(ask):
    call = ask()
    called = []
    call.add_done_callback(called.append)
    call.cancel()
    assert called == []
    await asyncio.sleep(0)
    assert called == [call]


async def test_callback_that_raises_is_reported_and_harms_no_other_call(ask):
    reported = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, what: reported.append(type(what["exception"])))

    def fail(call):
        raise KeyError(call)

    first, second = ask(), ask()
    first.add_done_callback(fail)
    assert await second == RUNNING
    assert reported == [KeyError]


async def test_each_error_and_the_first_success_after_one_are_observed(ask):
    outcomes = []
    ask.client.metrics.on_outcome = outcomes.append
    ask.reply = NOT_FOUND
    for _ in range(2):
        with pytest.raises(AgentError):
            await ask()
    ask.reply = RUNNING
    for _ in range(2):
        await ask()
    ask().cancel()
    await ask.client.close()
    with pytest.raises(ClientClosed):
        await ask()
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [AgentError, AgentError, type(None), asyncio.CancelledError, ClientClosed]


async def test_last_reply_is_the_time_of_the_last_reply_or_error_of_the_agent(ask, monkeypatch):
    for now, reply in ((1000.0, RUNNING), (2000.0, NOT_FOUND)):
        monkeypatch.setattr(_call_metrics.time, "time", lambda now=now: now)
        ask.reply = reply
        with suppress(AgentError):
            await ask()
        assert ask.client.metrics.last_reply == now
    monkeypatch.setattr(_call_metrics.time, "time", lambda: 3000.0)
    ask().cancel()
    assert ask.client.metrics.last_reply == 2000.0


async def refuse(ask):
    ask.reply = NOT_FOUND
    return ask()


async def refuse_recovered(ask):
    async def recover(error):
        raise error

    ask.reply = NOT_FOUND
    return ask().recovered(recover)


async def lose(ask):
    await ask.client.close()
    return ask()


@pytest.mark.parametrize("is_awaited", [True, False])
@pytest.mark.parametrize("fail", [refuse, refuse_recovered, lose])
async def test_call_that_failed_is_freed_without_the_garbage_collector(ask, fail, is_awaited):
    gc.disable()
    try:
        call = await fail(ask)
        freed = weakref.ref(call)
        if is_awaited:
            with suppress(RPCError):
                await call
        else:
            await until_done(call)
            assert call.exception() is not None
        del call
        await asyncio.sleep(0)
        assert freed() is None
    finally:
        gc.enable()


async def test_observer_that_raises_loses_no_reply(ask, caplog):
    def fail(error):
        raise KeyError(error)

    ask.client.metrics.on_outcome = fail
    ask.reply = NOT_FOUND
    with pytest.raises(AgentError):
        await ask()
    ask.reply = RUNNING
    assert await ask() == RUNNING
    assert "the observer of requests failed" in caplog.text


async def test_call_accepts_one_callback(ask):
    call = ask()
    call.add_done_callback(print)
    with pytest.raises(RuntimeError, match="one callback or one awaiter"):
        await call
    call.cancel()
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one callback or one awaiter"):
        call.add_done_callback(print)


async def test_refused_call_that_had_to_connect_recovers_if_tasks_start_eagerly():
    # On Python 3.11, where tasks can't, the factory is the default.
    factory = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)

    async def recover(error):
        return error.code

    async with (
        await serve(ANY_PORT, lambda _: NOT_FOUND) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        call = client.get_status("a").recovered(recover)
        assert not call.done()
        assert await call is ErrorCode.NOT_FOUND

"""Expensive requests are sent to the agent a few at a time, and users take turns."""

import asyncio
import copy
import json
import pickle

import pytest
from kakuri_control_plane import _agent_turns
from kakuri_control_plane._agent_turns import (
    MAX_READS,
    AgentTurns,
    FairSemaphore,
    TooManyReads,
)
from kakuri_control_plane._api import Api
from kakuri_control_plane._problems import PROBLEMS
from kakuri_http import Headers, Request
from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentTimeout,
    ErrorCode,
    ErrorReply,
    History,
    State,
    Status,
    UnexpectedReply,
)
from kakuri_rpc import WorkloadList as Page


class Agent(AgentClient):
    """An agent that answers each request once that is allowed, and records what it was asked."""

    def __init__(self):
        super().__init__("127.0.0.1:1", timeout=1.0)
        self.answers = asyncio.Event()
        self.asked = []

    async def _answer(self, what, reply):
        self.asked.append(what)
        await self.answers.wait()
        return reply

    def get_status(self, workload_id, **options):
        status = Status(workload_id, State.RUNNING, version=1)
        if not options.get("detail"):
            return _Immediate(status)
        return self._answer(("status", workload_id), status)

    def list_workloads(self, **_):
        return self._answer(("list",), Page([]))

    def get_history(self, workload_id, **_):
        return self._answer(("history", workload_id), History(workload_id, []))


class _Immediate:
    def __init__(self, status):
        self._status = status

    def __await__(self):
        return self._status
        yield

    def cached(self, convert):
        self._status = convert(self._status)
        return self


async def turns_of_loop():
    for _ in range(10):
        await asyncio.sleep(0)


async def respond(router, request):
    try:
        return await router.resolve(request).handler(request)
    except Exception as error:
        response = router.respond_to(error)
        if response is None:
            raise
        return response


def get(router, target, uid=None):
    path, _, query = target.partition("?")
    request = Request("GET", target, Headers({"Host": "localhost"}), path, query, "localhost")
    request.uid = uid
    return asyncio.create_task(respond(router, request))


@pytest.mark.parametrize("target", ["/workloads", "/workloads/a?spec", "/workloads/a/history"])
async def test_expensive_requests_are_limited_and_do_not_delay_others(target):
    agent = Agent()
    router = Api(agent).router()
    crowd = [get(router, target) for _ in range(3 * MAX_READS)]
    await turns_of_loop()
    assert len(agent.asked) == MAX_READS
    assert (await get(router, "/workloads/a")).status == 200
    agent.answers.set()
    assert {each.status for each in await asyncio.gather(*crowd)} == {200}
    assert len(agent.asked) == 3 * MAX_READS


async def test_expensive_request_of_another_user_does_not_wait_for_a_crowd():
    agent = Agent()
    router = Api(agent).router()
    crowd = [get(router, "/workloads/a?spec", uid=1) for _ in range(10 * MAX_READS)]
    await turns_of_loop()
    other = get(router, "/workloads/b?spec", uid=2)
    await turns_of_loop()
    agent.answers.set()
    await other
    await asyncio.gather(*crowd)
    assert agent.asked.index(("status", "b")) <= MAX_READS + 1


async def test_expensive_request_without_a_turn_in_time_is_503(monkeypatch):
    agent = Agent()
    router = Api(agent).router()
    crowd = [get(router, "/workloads") for _ in range(MAX_READS)]
    await turns_of_loop()
    monkeypatch.setattr(_agent_turns, "TURN_SECONDS", -agent.timeout)
    response = await get(router, "/workloads")
    assert (response.status, response.headers.get("retry-after")) == (503, "1")
    problem = json.loads(response.body)
    assert problem["code"] == "busy"
    assert (
        problem["detail"]
        == "the request did not get a turn within 0 s: too many expensive requests are waiting"
    )
    agent.answers.set()
    await asyncio.gather(*crowd)


async def test_long_poll_keeps_no_specification_while_it_waits():
    agent = Agent()
    agent.answers.set()
    details = []
    plain = agent.get_status

    def get_status(workload_id, **options):
        details.append(options.get("detail", False))
        return plain(workload_id, **options)

    agent.get_status = get_status
    api = Api(agent)

    async def await_reply(_id, _seconds, ask, _is_met):
        return await ask()

    api._hub.await_reply = await_reply
    response = await get(api.router(), "/workloads/a?wait=1&after=0&spec")
    assert response.status == 200
    assert details == [False, True]


async def take_turn(slots, order, caller):
    """Acquire and release a slot as a caller, whose first letter is its user."""
    await slots.acquire(caller[0])
    order.append(caller)
    slots.release()


async def test_users_acquire_in_turn_and_each_users_callers_in_their_order():
    slots, order = FairSemaphore(1), []
    await slots.acquire("a")
    callers = [asyncio.create_task(take_turn(slots, order, f"a{number}")) for number in range(3)]
    callers += [asyncio.create_task(take_turn(slots, order, f"b{number}")) for number in range(2)]
    callers.append(asyncio.create_task(take_turn(slots, order, "c0")))
    await turns_of_loop()
    slots.release()
    await asyncio.gather(*callers)
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2"]
    await slots.acquire("d")  # free again
    assert slots._waiting == {}


async def test_cancelled_caller_passes_its_turn_on():
    slots = FairSemaphore(1)
    await slots.acquire("a")
    first, second, third = (asyncio.create_task(slots.acquire(user)) for user in "aab")
    await turns_of_loop()
    first.cancel()  # while it waits
    await turns_of_loop()
    slots.release()  # it is the turn of `second`, …
    second.cancel()  # … which is cancelled before it runs
    await asyncio.wait_for(third, 30)
    assert first.cancelled()
    assert second.cancelled()


async def test_cancelled_caller_does_not_use_up_the_turn_of_its_user():
    slots, order = FairSemaphore(1), []
    await slots.acquire("a")
    first, *others = (
        asyncio.create_task(take_turn(slots, order, caller)) for caller in ("a0", "a1", "b0")
    )
    await turns_of_loop()
    first.cancel()
    await turns_of_loop()
    slots.release()
    await asyncio.gather(*others)
    assert order == ["a1", "b0"]
    assert slots._waiting == {}


@pytest.mark.parametrize("refusal", [None, AgentError(ErrorReply(ErrorCode.NOT_FOUND, "none"))])
async def test_timeout_fails_only_its_own_request_while_the_agent_answers_others(refusal):
    turns, replies = AgentTurns(Agent(), 2), [asyncio.Future() for _ in range(4)]
    slow, fast, second, waiting = (
        asyncio.create_task(turns.run("a", lambda reply=reply: reply)) for reply in replies
    )
    await turns_of_loop()
    if refusal is None:
        replies[1].set_result("fast")  # then `second` is sent
    else:
        replies[1].set_exception(refusal)
    await turns_of_loop()
    replies[0].set_exception(AgentTimeout("late"))  # then `waiting` is sent
    await turns_of_loop()
    replies[2].set_result("second")
    replies[3].set_result("waiting")
    with pytest.raises(AgentTimeout):
        await slow
    results = await asyncio.gather(fast, second, waiting, return_exceptions=True)
    assert results == [refusal or "fast", "second", "waiting"]


async def test_timeout_fails_those_that_wait_if_the_agent_answers_none():
    turns, replies = AgentTurns(Agent(), 2), [asyncio.Future() for _ in range(3)]
    late, answered, waiting = (
        asyncio.create_task(turns.run("a", lambda reply=reply: reply)) for reply in replies
    )
    await turns_of_loop()
    replies[0].set_exception(AgentTimeout("late"))  # then `waiting` fails
    await turns_of_loop()
    replies[1].set_result("reply")
    results = await asyncio.gather(late, answered, waiting, return_exceptions=True)
    assert list(map(type, results)) == [AgentTimeout, str, AgentTimeout]


async def test_unexpected_reply_fails_only_its_own_request():
    agent = Agent()
    turns = AgentTurns(agent, 1)
    replies = iter([UnexpectedReply("other id"), AgentTimeout("late")])

    async def fail():
        await asyncio.sleep(0)
        raise next(replies)

    results = await asyncio.gather(
        *(turns.run("a", fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in results] == [UnexpectedReply, AgentTimeout, AgentTimeout]


def test_too_many_reads_can_be_copied():
    error = TooManyReads("no turn")
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(copied) == "no turn"
    assert PROBLEMS[TooManyReads](error).status == 503

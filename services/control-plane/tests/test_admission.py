"""Large documents are read a few at a time, and small ones pass them."""

import asyncio
import copy
import pickle
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from kakuri_control_plane import _submissions
from kakuri_control_plane._admission import (
    LARGE_DOCUMENT,
    MAX_IN_PROGRESS,
    MAX_WAITING,
    TURNS_BETWEEN,
    Admission,
    TooManyLargeDocuments,
)
from kakuri_control_plane._api import Api
from kakuri_http import Headers, Request
from kakuri_json import decode, encode, loads
from kakuri_rpc import AgentClient, State, Status
from kakuri_tcp import Endpoint
from kakuri_workload import Workload

USER = "uid=1"


async def turns_of_all():
    """Run as many turns of the event loop as admitting the documents takes."""
    for _ in range(MAX_IN_PROGRESS * (TURNS_BETWEEN + 2)):
        await asyncio.sleep(0)


@asynccontextmanager
async def crowd(admission, number):
    """Request admission for some documents; yield the admitted ones, and an event to leave."""
    admitted, leave = [], asyncio.Event()

    async def enter(name):
        async with admission.admitted(LARGE_DOCUMENT, USER):
            admitted.append(name)
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        for name in range(number):
            group.create_task(enter(name))
        await turns_of_all()
        yield admitted, leave
        leave.set()


async def test_large_documents_are_admitted_a_few_at_a_time_and_in_order():
    admission = Admission()
    async with crowd(admission, MAX_IN_PROGRESS + 3) as (admitted, leave):
        assert admitted == list(range(MAX_IN_PROGRESS))
        assert repr(admission) == "<Admission 3 waiting>"
        leave.set()
    assert admitted == list(range(MAX_IN_PROGRESS + 3))
    assert repr(admission) == "<Admission 0 waiting>"


async def test_small_documents_never_wait():
    admission = Admission()
    async with (
        crowd(admission, MAX_IN_PROGRESS + 1),
        admission.admitted(LARGE_DOCUMENT - 1, USER),
    ):
        pass


async def test_large_document_raises_too_many_large_documents_when_the_queue_is_full():
    admission = Admission()
    async with crowd(admission, MAX_IN_PROGRESS + MAX_WAITING) as (admitted, _):
        with pytest.raises(
            TooManyLargeDocuments, match="68 documents of at least 16384 bytes are in"
        ):
            async with admission.admitted(LARGE_DOCUMENT, USER):
                raise AssertionError
        assert len(admitted) == MAX_IN_PROGRESS
    async with admission.admitted(LARGE_DOCUMENT, USER):
        pass


async def test_large_document_of_another_user_replaces_one_that_waits_and_has_the_next_turn():
    admission = Admission()
    refused, entered = [], []

    async def enter(user):
        try:
            async with admission.admitted(LARGE_DOCUMENT, user):
                entered.append(user)
        except TooManyLargeDocuments:
            refused.append(user)

    async with crowd(admission, MAX_IN_PROGRESS) as (_, leave), asyncio.TaskGroup() as group:
        for _ in range(MAX_WAITING):
            group.create_task(enter(USER))
        await turns_of_all()
        group.create_task(enter("uid=2"))
        await turns_of_all()
        assert refused == [USER]
        assert repr(admission) == f"<Admission {MAX_WAITING} waiting>"
        leave.set()
    assert refused == [USER]
    assert entered.index("uid=2") == 1  # after one of the first user


async def test_document_cancelled_while_waiting_leaves_the_queue():
    admission = Admission()
    async with crowd(admission, MAX_IN_PROGRESS):
        waits = asyncio.create_task(admission.admitted(LARGE_DOCUMENT, USER).__aenter__())
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        assert repr(admission) == "<Admission 0 waiting>"
    async with crowd(admission, MAX_IN_PROGRESS) as (admitted, _):
        assert len(admitted) == MAX_IN_PROGRESS


class StuckAgent:
    """An agent that answers when the test says so."""

    def __init__(self):
        self.asked = []
        self.answers = asyncio.Event()
        self.metrics = AgentClient(Endpoint.parse("127.0.0.1:1")).metrics

    def start_workload(self, workload, *, dry_run, trace, encoded):
        self.asked.append(workload.id)
        return StuckCall(workload.id, self.answers)


class StuckCall:
    """A call to such an agent."""

    def __init__(self, workload_id, answers):
        self._id = workload_id
        self._answers = answers

    def converted(self, convert):
        self._convert = convert
        return self

    async def recovered(self, _recover):
        await self._answers.wait()
        return self._convert(Status(self._id, State.PENDING))


def request(body):
    posted = Request("POST", "/workloads", Headers())
    posted.body = body
    return posted


def post(name, size=0):
    env = {"X": "x" * size} if size else {}
    return request(encode(Workload(name, "nginx", "edera-zone", 1, 1, env=env)))


def submit_to(agent):
    """Return the handler of POST /workloads, as the server calls it."""
    router = Api(agent).router()
    (route,) = (
        each for each in router.routes if (each.method, each.pattern) == ("POST", "/workloads")
    )

    async def submit(request):
        try:
            return await route.handler(request)
        except Exception as error:  # noqa: BLE001 - the router responds to all
            return router.respond_to(error)

    return submit


async def test_post_of_a_large_document_is_503_with_retry_after_while_too_many_wait():
    agent = StuckAgent()
    submit = submit_to(agent)
    large = [
        asyncio.create_task(submit(post(f"w-{number}", LARGE_DOCUMENT)))
        for number in range(MAX_IN_PROGRESS + MAX_WAITING)
    ]
    await turns_of_all()
    response = await submit(post("one-more", LARGE_DOCUMENT))
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert loads(response.body)["code"] == "busy"
    small = asyncio.create_task(submit(post("small")))
    await asyncio.sleep(0)
    assert agent.asked == [*(f"w-{number}" for number in range(MAX_IN_PROGRESS)), "small"]
    agent.answers.set()
    answers = await asyncio.gather(small, *large)
    assert {answer.status for answer in answers} == {201}


async def test_small_requests_are_answered_between_two_large_documents(monkeypatch):
    """Accepting, reading and answering one take three turns of the event loop."""
    decoded = 0

    def counting(document, **options):
        nonlocal decoded
        decoded += 1
        return decode(document, **options)

    monkeypatch.setattr(_submissions, "decode", counting)
    submit = submit_to(StuckAgent())
    faulty = request(b'{"args":[' + b"1," * (LARGE_DOCUMENT // 2) + b"1]}")
    posts = [asyncio.create_task(submit(faulty)) for _ in range(2 * MAX_IN_PROGRESS)]
    seen = []
    while not all(each.done() for each in posts):
        before = decoded
        await asyncio.sleep(0)
        seen.append(decoded - before)
    assert decoded == len(posts)
    places = [turn for turn, number in enumerate(seen) if number]
    assert max(seen) == 1
    assert {later - earlier for earlier, later in pairwise(places)} == {5}
    assert {each.result().status for each in posts} == {400}


async def test_document_cancelled_between_its_slot_and_its_turn_frees_the_slot():
    admission = Admission()
    for _ in range(MAX_IN_PROGRESS + 1):
        first, second = (
            admission.admitted(LARGE_DOCUMENT, USER),
            admission.admitted(LARGE_DOCUMENT, USER),
        )
        await first.__aenter__()
        task = asyncio.create_task(second.__aenter__())
        await asyncio.sleep(0)  # it has a slot, and waits for the event loop's time
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await first.__aexit__(None, None, None)
        await turns_of_all()
    async with crowd(admission, MAX_IN_PROGRESS) as (admitted, _):
        assert len(admitted) == MAX_IN_PROGRESS


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_too_many_large_documents_survives_pickle_and_copy(way):
    error = TooManyLargeDocuments()
    other = way(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))

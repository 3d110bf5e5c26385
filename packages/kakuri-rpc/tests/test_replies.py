"""A reply counts only for its request, within its limits, and its text is printable."""

from dataclasses import replace

import pytest
from kakuri_json import encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    ErrorCode,
    ErrorReply,
    History,
    Node,
    State,
    Status,
    UnexpectedReply,
    WorkloadList,
)
from kakuri_tcp import Endpoint, listen_lines
from kakuri_workload import MAX_HISTORY, Transition, Workload

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOAD = Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)
FOREIGN = "a\x1b[2J\x9b\u202e\u2066\u2028\ufeff\U000e0041"
SHOWN = "a\\x1b[2J\\x9b\\u202e\\u2066\\u2028\\ufeff\\U000e0041"


@pytest.fixture
async def answered():
    """Return a client whose every request gets the given line as its reply."""
    opened = []

    async def connect(line):
        server = await listen_lines(ANY_PORT, lambda _: line)
        client = AgentClient(server.endpoint)
        opened.extend([client, server])
        return client

    yield connect
    for each in opened:
        await each.close()


ASKING = {
    "start": lambda client: client.start_workload(WORKLOAD),
    "status": lambda client: client.get_status("wl-1"),
    "stop": lambda client: client.stop_workload("wl-1"),
    "remove": lambda client: client.remove_workload("wl-1"),
    "history": lambda client: client.get_history("wl-1"),
    "rerun": lambda client: client.rerun_workload("wl-1"),
    "restart": lambda client: client.restart_workload("wl-1"),
}


@pytest.mark.parametrize("ask", ASKING)
async def test_reply_about_another_workload_is_unexpected(answered, ask):
    other = Status("wl-2", State.RUNNING) if ask != "history" else History("wl-2", [])
    client = await answered(encode(other))
    with pytest.raises(UnexpectedReply, match="'wl-1', got one about 'wl-2'"):
        await ASKING[ask](client)
    client = await answered(encode(ErrorReply(ErrorCode.NOT_FOUND, "no", id="wl-2")))
    with pytest.raises(UnexpectedReply, match="wl-2"):
        await ASKING[ask](client)


@pytest.mark.parametrize(
    "page",
    [
        WorkloadList([Status("c", State.RUNNING), Status("d", State.RUNNING), Status("e", State.RUNNING)]),
        WorkloadList([Status("d", State.RUNNING), Status("c", State.RUNNING)]),
        WorkloadList([Status("c", State.RUNNING), Status("c", State.RUNNING)]),
        WorkloadList([Status("b", State.RUNNING)]),
        WorkloadList([Status("d", State.RUNNING)], next="c"),
        WorkloadList([], next="b"),
        WorkloadList([], next="m"),  # such pages may have no end
    ],
)  # fmt: skip
async def test_page_that_does_not_match_its_request_is_unexpected(answered, page):
    client = await answered(encode(page))
    with pytest.raises(UnexpectedReply):
        await client.list_workloads(state=State.RUNNING, after="b", limit=2)


@pytest.mark.parametrize(
    "page",
    [
        WorkloadList([Status("c", State.RUNNING)], next="c"),
        WorkloadList([Status("c", State.RUNNING), Status("d", State.RUNNING)], next="z"),
    ],
)
async def test_page_with_fewer_workloads_than_the_limit_is_accepted(answered, page):
    client = await answered(encode(page))
    assert await client.list_workloads(state=State.RUNNING, after="b", limit=2) == page


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"Status","id":"A\\r\\nX: y","state":"Running"}',
        b'{"type":"Status","id":"wl-1","state":"Running","exit_code":1000000000000}',
        b'{"type":"Status","id":"wl-1","state":"Running","attempt":-1}',
        b'{"type":"Status","id":"wl-1","state":"Stopped"}',
        b'{"type":"Status","id":"wl-1","state":"Running","started_at":-1e18}',
    ],
)
async def test_status_outside_its_limits_is_unexpected(answered, line):
    client = await answered(line)
    with pytest.raises(UnexpectedReply) as caught:
        await client.get_status("wl-1")
    assert str(caught.value).isprintable()


async def test_history_beyond_its_limit_is_unexpected(answered):
    history = History("wl-1", [Transition(float(n), State.PENDING) for n in range(MAX_HISTORY + 1)])
    client = await answered(encode(history))
    with pytest.raises(UnexpectedReply):
        await client.get_history("wl-1")


async def test_text_of_a_status_is_made_printable_and_truncated(answered):
    told = Status("wl-1", State.FAILED, FOREIGN, FOREIGN + "x" * 2000)
    line = encode(replace(told, address=FOREIGN, image_digest=FOREIGN))
    status = await (await answered(line)).get_status("wl-1")
    assert (status.reason, status.address, status.image_digest) == (SHOWN, SHOWN, SHOWN)
    assert status.message.startswith(SHOWN)
    assert len(status.message) == 1024


async def test_text_of_a_history_a_page_and_a_node_becomes_printable(answered):
    transition = Transition(1.0, State.FAILED, FOREIGN, FOREIGN)
    history = await (await answered(encode(History("wl-1", [transition])))).get_history("wl-1")
    assert (history.transitions[0].reason, history.transitions[0].message) == (SHOWN, SHOWN)
    page = encode(WorkloadList([Status("a", State.FAILED, "Error", FOREIGN)]))
    (status,) = (await (await answered(page)).list_workloads()).workloads
    assert status.message == SHOWN
    node = encode(Node(FOREIGN, FOREIGN, simulated=False, workloads=0, message=FOREIGN))
    described = await (await answered(node)).describe_node()
    assert (described.version, described.runtime, described.message) == (SHOWN, SHOWN, SHOWN)


async def test_text_of_an_error_is_made_printable_and_truncated(answered):
    error = ErrorReply(ErrorCode.RUNTIME, FOREIGN + "\r\nSet-Cookie: a" + "x" * 9000, id="wl-1")
    with pytest.raises(AgentError) as caught:
        await (await answered(encode(error))).get_status("wl-1")
    assert caught.value.message.startswith(SHOWN + "\\r\\nSet-Cookie")
    assert len(caught.value.message) == 8192


async def test_text_of_a_stored_entry_is_made_printable_when_it_is_sent():
    stored = Transition(1.0, State.FAILED.workload_state, reason=FOREIGN, message=FOREIGN)
    (transition,) = History.of("a", (stored,)).transitions
    assert (transition.reason, transition.message) == (SHOWN, SHOWN)

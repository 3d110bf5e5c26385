"""Every input at every state of a line client's connection: a request gets its own reply or an error."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from kakuri_tcp import ConnectFailed, LineClientLimits, RequestLost, RequestTimeout
from kakuri_tcp._line_client_connection import LineClientConnection, ReplyFuture
from kakuri_tcp.testing import MemoryTransport, run_pending

ORDINARY = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(["in time", "in time", "late"])),
    st.tuples(st.just("send"), st.sampled_from(["in time", "in time", "late"])),
    st.tuples(st.just("reply"), st.integers(1, 3)),
    st.tuples(st.just("give up"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["tick", "turn", "turn"]), st.just(None)),
)
ENDINGS = st.sampled_from(["unasked", "torn", "end", "break", "reply to all"])


class Peer:
    """Callers on one side and a server on the other, both driven by the test."""

    def __init__(self):
        self.link = LineClientConnection("peer", LineClientLimits(), lambda link: None)
        self.transport = MemoryTransport(self.link)
        self.requests = {}
        self.asked = []
        self.answered = 0

    def read(self):
        self.asked += self.transport.take().split(b"\n")[:-1]

    def reply(self, number):
        """Answer the oldest requests that were not answered yet, in one read."""
        if self.link.is_closing:
            return
        lines = self.asked[self.answered :][:number]
        self.answered += len(lines)
        self.transport.feed(b"".join(b"re " + line + b"\n" for line in lines))

    async def act(self, action, argument):
        match action:
            case "send" if not self.link.is_closing:
                line = b"%d" % len(self.requests)
                time = asyncio.get_running_loop().time()
                deadline = time + (60 if argument == "in time" else -1)
                self.requests[line] = ReplyFuture()
                self.link.send(line, self.requests[line], deadline, 1.0)
            case "turn":
                await run_pending()
                self.read()
            case "reply":
                self.reply(argument)
            case "give up" if self.requests:
                list(self.requests.values())[argument % len(self.requests)].cancel()
            case "tick" if self.link._is_ticking and not self.link.is_closing:
                self.link._timer.cancel()
                self.link._tick()

    async def end(self, ending):
        await run_pending()
        self.read()
        match ending:
            case "unasked":
                self.reply(len(self.asked))
                self.transport.feed(b"unasked\n")
            case "torn":
                self.transport.feed(b"half")
                self.transport.feed_eof()
            case "end":
                self.transport.feed_eof()
            case "break":
                self.transport.lose(ConnectionResetError())
            case "reply to all":
                self.reply(len(self.asked))
        await run_pending()


@given(st.lists(ORDINARY, max_size=25), ENDINGS)
async def test_request_gets_its_own_reply_or_an_error_in_every_state(actions, ending):
    peer = Peer()
    for action in actions:
        await peer.act(*action)
    await peer.end(ending)
    peer.link.abort()
    await run_pending()
    answered = set(peer.asked[: peer.answered])
    for line, future in peer.requests.items():
        assert future.done()
        if future.cancelled():
            continue
        match future.exception():
            case None:
                assert future.result() == b"re " + line
                assert line in answered
            case RequestLost():
                assert line in peer.asked
                assert line not in answered
            case ConnectFailed():
                assert line not in peer.asked
            case other:
                assert isinstance(other, RequestTimeout)

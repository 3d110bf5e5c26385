"""A channel whose answers a test decides."""

from kakuri_cri import ChannelError
from kakuri_protobuf import decode, encode


class ScriptedChannel:
    """Answers calls with the messages, or errors, that a test has set for their names.

    Attributes:
        answers: a message or an exception by the name of the call; a list for a stream.
        calls: name, encoded request and timeout of each call so far.
        is_closed: whether the client has closed it.
    """

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []
        self.is_closed = False

    def __repr__(self):
        return "<scripted>"

    async def call(self, path, request, *, timeout):
        name = path.rpartition("/")[2]
        self.calls.append((name, request, timeout))
        answer = self.answers.get(name, b"")
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, bytes) else encode(answer)

    async def stream(self, path, request, *, timeout):
        name = path.rpartition("/")[2]
        self.calls.append((name, request, timeout))
        for answer in self.answers.get(name, []):
            if isinstance(answer, BaseException):
                raise answer
            yield encode(answer)

    async def close(self):
        self.is_closed = True

    def request(self, cls):
        """Return the last call's request, which is of this class."""
        return decode(self.calls[-1][1], type=cls)


def error(code, message=""):
    return ChannelError(code, message)

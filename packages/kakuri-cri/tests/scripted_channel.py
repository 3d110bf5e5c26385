"""A channel whose responses a test decides."""

from kakuri_cri import ChannelError
from kakuri_protobuf import decode, encode


class ScriptedChannel:
    """Responds to calls with the messages, or errors, that a test has set for their names.

    Attributes:
        responses: a message or an exception by the name of the call; a list for a stream.
        calls: name, encoded request and timeout of each call so far.
        is_closed: whether the client has closed it.
    """

    def __init__(self, **responses):
        self.responses = responses
        self.calls = []
        self.is_closed = False

    def __repr__(self):
        return "<scripted>"

    async def call(self, path, request, *, timeout):
        name = path.rpartition("/")[2]
        self.calls.append((name, request, timeout))
        response = self.responses.get(name, b"")
        if isinstance(response, BaseException):
            raise response
        return response if isinstance(response, bytes) else encode(response)

    async def stream(self, path, request, *, timeout):
        name = path.rpartition("/")[2]
        self.calls.append((name, request, timeout))
        for response in self.responses.get(name, []):
            if isinstance(response, BaseException):
                raise response
            yield encode(response)

    async def close(self):
        self.is_closed = True

    def request(self, cls):
        """Return the last call's request, which is of this class."""
        return decode(self.calls[-1][1], type=cls)


def error(code, message=""):
    return ChannelError(code, message)

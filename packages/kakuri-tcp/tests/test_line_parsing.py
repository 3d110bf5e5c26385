"""Lines are parsed a few at a time, before the first of them is handled."""

import pytest
from kakuri_tcp import LineError, LineServerLimits, listen_lines

from .test_line_server import LOCAL, exchange


async def test_first_line_has_its_own_parser():
    def strict(line):
        if line != b"hello":
            raise LineError("expected hello")
        return b"welcome"

    def fault(error):
        return str(error).encode()

    server = await listen_lines(
        LOCAL, bytes.upper, parse=bytes.swapcase, parse_first=strict, on_fault=fault
    )
    async with server:
        assert await exchange(server, b"hello\na\nb\n") == b"WELCOME\nA\nB\n"
        assert await exchange(server, b"hel", b"lo\n", b"hello\n") == b"WELCOME\nHELLO\n"
        assert await exchange(server, b"a\nhello\nb\n") == b"expected hello\n"


class Steps:
    """A parser and a handler that record their calls; a line that begins with `!` is refused."""

    def __init__(self, error=LineError):
        self.steps = []
        self.error = error

    def parse(self, line):
        self.steps.append(("parse", line))
        if line.startswith(b"!"):
            raise self.error("refused")
        return [line]

    def handle(self, request):
        (line,) = request
        self.steps.append(("handle", line))
        return line

    async def exchange(self, *sent, **options):
        server = await listen_lines(LOCAL, self.handle, parse=self.parse, **options)
        async with server:
            return await exchange(server, *sent)


async def test_lines_of_one_read_are_parsed_before_the_first_is_handled():
    served = Steps()
    assert await served.exchange(b"a\nb\nc\n") == b"a\nb\nc\n"
    names = [b"a", b"b", b"c"]
    assert served.steps == [("parse", name) for name in names] + [
        ("handle", name) for name in names
    ]


async def test_line_that_the_parser_refuses_is_answered_after_the_lines_before_it():
    served = Steps()
    assert (
        await served.exchange(b"a\n!\nc\n", on_fault=lambda e: str(e).encode()) == b"a\nrefused\n"
    )
    assert ("parse", b"c") not in served.steps


async def test_line_beyond_the_limit_is_rejected_after_the_lines_before_it():
    served = Steps()
    limits = LineServerLimits(line=3)
    sent, fault = b"a\nlong\nc\n", lambda error: type(error).__name__.encode()
    assert await served.exchange(sent, limits=limits, on_fault=fault) == b"a\nLineTooLong\n"


async def test_parser_that_fails_is_logged_and_closes_the_connection_after_earlier_replies(caplog):
    served = Steps(error=ZeroDivisionError)
    fault = lambda error: type(error).__name__.encode()  # noqa: E731
    assert await served.exchange(b"a\n!\nc\n", on_fault=fault) == b"a\nHandlerFailed\n"
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


@pytest.mark.parametrize("before", [b"", b"a\nb\n"])
async def test_large_line_is_parsed_when_it_is_handled(before):
    served = Steps()
    sent = before + b"x" * 4096 + b"\nc\n"
    assert await served.exchange(b"first\n", sent) == b"first\n" + sent
    index = served.steps.index(("parse", b"x" * 4096))
    assert served.steps[index + 1] == ("handle", b"x" * 4096)
    if before:
        assert served.steps[index - 1] == ("handle", b"b")


@pytest.mark.parametrize("error", [LineError, ZeroDivisionError])
async def test_large_line_that_the_parser_refuses_is_answered_after_the_lines_before_it(error):
    served = Steps(error)
    sent = b"a\nb\n!" + b"x" * 4096 + b"\nc\n"
    name = b"LineError" if error is LineError else b"HandlerFailed"
    fault = lambda error: type(error).__name__.encode()  # noqa: E731
    assert await served.exchange(sent, on_fault=fault) == b"a\nb\n" + name + b"\n"


async def test_no_further_line_is_parsed_beyond_4_kib_before_one_is_handled():
    served = Steps()
    lines = [bytes([letter]) * 1500 for letter in b"abcdef"]
    sent = b"\n".join([*lines, b""])
    assert await served.exchange(sent) == sent
    most = size = 0
    for step, line in served.steps:
        size = size + len(line) if step == "parse" else 0
        most = max(most, size)
    assert 1500 < most < 4096 + 1500

"""What a failed call raises, for every status of gRPC and every message with which runtimes report it."""

import copy
import pickle

import pytest
from kakuri_cri import (
    CallRefused,
    CallTimeout,
    CallUnanswered,
    CriError,
    NameReserved,
    NotFound,
    Runtime,
    RuntimeUnavailable,
    StartUnderWay,
    Unimplemented,
    api,
)
from kakuri_grpc import StatusCode

from .scripted_channel import ScriptedChannel, error

CLASSES = {
    "CANCELLED": RuntimeUnavailable,
    "UNAVAILABLE": RuntimeUnavailable,
    "DEADLINE_EXCEEDED": CallTimeout,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": NameReserved,
    "UNIMPLEMENTED": Unimplemented,
}


async def failure(name, code, message=""):
    """Return what a call raises if its channel raises an error."""
    service = api.ImageService if hasattr(api.ImageService, name) else api.RuntimeService
    method = getattr(service, name)
    channel = ScriptedChannel(**{name: error(code, message)})
    with pytest.raises(CriError) as caught:
        await Runtime(channel).call(method, method.request(), timeout=1)
    return caught.value


@pytest.mark.parametrize("code", [code.name for code in StatusCode if code is not StatusCode.OK])
async def test_status_raises_its_class_in_every_call(code):
    for service in (api.RuntimeService, api.ImageService):
        for name, method in vars(service).items():
            if name.startswith("_") or method.server_streams:
                continue
            raised = await failure(name, code, "why")
            assert type(raised) is CLASSES.get(code, CallRefused)
            assert (raised.call, raised.code, raised.message) == (name, code, "why")
            assert str(raised) == f"{name}: why"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UNKNOWN", "server is not initialized yet"),
        ("UNIMPLEMENTED", "unknown service runtime.v1.RuntimeService"),
    ],
)
async def test_runtime_that_is_starting_is_unavailable(code, message):
    assert type(await failure("Version", code, message)) is RuntimeUnavailable


async def test_error_that_quotes_a_starting_runtime_raises_call_refused():
    raised = await failure("PullImage", "UNKNOWN", "pull: server is not initialized yet")
    assert type(raised) is CallRefused


RESERVED = [
    'failed to reserve name "z": name "z" is reserved for "x"',
    "the container name is already in use",
    'pod sandbox with name "z" already exists',
]


@pytest.mark.parametrize("message", RESERVED)
@pytest.mark.parametrize("name", ["RunPodSandbox", "CreateContainer"])
async def test_create_with_a_reserved_name_raises_name_reserved(name, message):
    assert type(await failure(name, "UNKNOWN", message)) is NameReserved


@pytest.mark.parametrize("message", RESERVED)
async def test_pull_error_that_mentions_a_reserved_name_raises_call_refused(message):
    assert type(await failure("PullImage", "UNKNOWN", message)) is CallRefused


async def test_start_that_is_under_way_raises_start_under_way():
    message = "container is already in starting state"
    assert type(await failure("StartContainer", "UNKNOWN", message)) is StartUnderWay
    assert type(await failure("StopContainer", "UNKNOWN", message)) is CallRefused


async def test_error_without_message_names_its_status():
    assert (await failure("Version", "PERMISSION_DENIED")).message == "permission denied"


async def test_long_message_is_truncated():
    assert (await failure("Version", "UNKNOWN", "x" * 5000)).message == "x" * 4095 + "…"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("x" * 4096, "x" * 4096),
        ("x" * 4097, "x" * 4095 + "…"),
        ("\x1b" + "x" * 4092, "\\x1b" + "x" * 4092),
        ("\x1b" + "x" * 4093, "\\x1b" + "x" * 4091 + "…"),
        ("x" * 4096 + "\x1b", "x" * 4095 + "…"),
    ],
)
async def test_message_has_at_most_4096_characters_as_it_is_shown(message, shown):
    assert (await failure("Version", "UNKNOWN", message)).message == shown


@pytest.mark.parametrize("message", ["it is reserved", "name", "no such name"])
async def test_create_that_fails_with_an_unknown_message_raises_call_refused(message):
    assert type(await failure("RunPodSandbox", "UNKNOWN", message)) is CallRefused


async def test_message_is_printable():
    raised = await failure("PullImage", "UNKNOWN", "a\x1b[2J\x9b\u202e\u2028\ufeff z")
    assert raised.message == "a\\x1b[2J\\x9b\\u202e\\u2028\\ufeff z"


async def test_message_does_not_name_the_socket():
    raised = await failure("Version", "UNAVAILABLE", "connect to unix:/run/x.sock: refused")
    assert raised.message == "connect to the runtime's socket: refused"


async def test_response_that_is_not_a_message_raises_call_unanswered():
    runtime = Runtime(ScriptedChannel(Version=b"\x0a\xff"))
    with pytest.raises(CallUnanswered, match="not a valid VersionResponse") as caught:
        await runtime.version()
    assert type(caught.value) is CallUnanswered
    assert caught.value.code == "INTERNAL"


def test_errors_survive_copy_and_pickle():
    raised = NotFound("StopContainer", "no such container", "NOT_FOUND")
    for same in (copy.copy(raised), pickle.loads(pickle.dumps(raised))):
        assert type(same) is NotFound
        assert vars(same) == vars(raised)
        assert str(same) == str(raised)

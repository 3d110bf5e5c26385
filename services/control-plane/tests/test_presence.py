"""The log has one line for the loss of the agent and one for its return."""

from kakuri_control_plane._presence import Presence
from kakuri_rpc import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    ErrorCode,
    ErrorReply,
)
from structlog.testing import capture_logs


def test_loss_and_return_of_the_agent_are_logged_once_each():
    presence = Presence("unix:/run/agent.sock")
    with capture_logs() as lines:
        presence.observe(None)
        for _ in range(3):
            presence.observe(AgentUnreachable("connection refused"))
            presence.observe(AgentTimeout("no answer within 5 s"))
        for _ in range(3):
            presence.observe(None)
        presence.observe(AgentTimeout("no answer within 5 s"))
    told = [(line["log_level"], line["event"], line.get("error")) for line in lines]
    assert told == [
        ("warning", "agent lost", "connection refused"),
        ("info", "agent answers again", None),
        ("warning", "agent lost", "no answer within 5 s"),
    ]
    assert {line["agent"] for line in lines} == {"unix:/run/agent.sock"}


def test_refusal_by_the_agent_counts_as_an_answer():
    presence = Presence("agent")
    with capture_logs() as lines:
        presence.observe(AgentUnreachable("connection refused"))
        presence.observe(AgentError(ErrorReply(ErrorCode.NOT_FOUND, "no workload")))
    assert [line["event"] for line in lines] == ["agent lost", "agent answers again"]


def test_request_that_was_not_sent_changes_nothing_about_the_agent():
    presence = Presence("agent")
    with capture_logs() as lines:
        presence.observe(ClientClosed("the client was closed"))
        presence.observe(AgentUnreachable("connection refused"))
        presence.observe(ClientClosed("the client was closed"))
    assert [line["event"] for line in lines] == ["agent lost"]

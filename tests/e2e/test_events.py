"""curl follows events while the agent is killed and the control plane is restarted."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.openapi.checker import check_response

from .processes import DEADLINE, curl


class Events:
    """A curl that follows events."""

    def __init__(self, url: str, *options: str) -> None:
        self.process = subprocess.Popen(
            ["curl", "--silent", "--no-buffer", "--max-time", str(2 * DEADLINE), *options, url],
            stdout=subprocess.PIPE,
            text=True,
        )

    def __iter__(self) -> Iterator[dict[str, object]]:
        for line in self.process.stdout:
            check_response("GET", "/events", 200, {"Content-Type": "application/x-ndjson"}, line)
            event = json.loads(line)
            assert "type" in event, line  # a problem document has none
            if event["type"] != "heartbeat":
                yield event

    def until(self, kind: str, workload_id: str | None = None) -> list[dict[str, object]]:
        """Return the events up to one of a type, which may have to be about a workload."""
        found = []
        for event in self:
            found.append(event)
            if event["type"] == kind and workload_id in (None, event.get("id")):
                return found
        raise AssertionError(f"the stream ended after {found}")


@contextmanager
def events(url: str, *options: str) -> Iterator[Events]:
    followed = Events(url, *options)
    try:
        yield followed
    finally:
        followed.process.kill()
        followed.process.stdout.close()
        followed.process.wait(DEADLINE)


def submit(url: str, workload_id: str) -> None:
    document = {"id": workload_id, "image": "nginx", "runtime_class": "edera-zone"}
    answer = curl(
        f"{url}/workloads", "--data", json.dumps(document | {"memory_mb": 1, "cpu_millicores": 1})
    )
    assert answer.status == 201, answer


def remove(url: str, workload_id: str) -> None:
    assert curl(f"{url}/workloads/{workload_id}", "--request", "DELETE").status == 202


def test_stream_begins_with_the_states_and_has_every_event_of_a_workload(url):
    submit(url, "before")
    with events(f"{url}/events") as stream:
        (state, synced) = stream.until("synced")
        assert (state["type"], state["id"]) == ("state", "before")
        assert synced["index"] >= state["index"]
        submit(url, "life")
        remove(url, "life")
        found = [each for each in stream.until("removed", "life") if each["id"] == "life"]
    indexes = [each["index"] for each in found]
    assert indexes == sorted(set(indexes))
    assert [each["type"] for each in found if each["type"] != "workload"] == ["desired", "removed"]
    assert found[0]["state"] == "pending"


def test_both_encodings_have_the_same_events(url):
    with events(f"{url}/events") as stream:
        (synced,) = stream.until("synced")
        submit(url, "a")
        remove(url, "a")
        expected = stream.until("removed", "a")
    after = f"{url}/events?after={synced['index']}"
    with events(after) as stream:
        assert stream.until("removed", "a") == expected
    command = ["curl", "-sN", "-H", "Accept: text/event-stream", after]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sent:
        lines = (line for line in sent.stdout if line.startswith("data: "))
        found = [json.loads(next(lines).removeprefix("data: ")) for _ in expected]
        sent.kill()
    assert found == expected


def test_dropped_index_is_410_with_the_range(url):
    answer = curl(f"{url}/events?after=0")  # an earlier run of an agent without a store
    document = json.loads(answer.body)
    assert (answer.status, document["code"]) == (410, "compacted")
    assert 0 < document["oldest"] <= document["newest"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stream_continues_without_a_gap_or_repetition_when_the_agent_is_back(
    start, tmp_path, number
):
    options = ("--state-dir", str(tmp_path / "state"))
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", *options)
    control_plane = start(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address
    )
    url = f"http://{control_plane.address}"
    with events(f"{url}/events") as stream:
        (synced,) = stream.until("synced")
        submit(url, "first")
        found = stream.until("workload", "first")
        agent.end(number)
        start("kakuri-agent", "--listen", agent.address, *options)
        submit(url, "second")
        found += stream.until("workload", "second")
    indexes = [event["index"] for event in found]
    assert indexes == sorted(set(indexes))
    assert [event["type"] for event in found].count("node") == 1
    # A client that begins where the stream began gets the same events, and so does another process.
    other = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
    with events(f"http://{other.address}/events?after={synced['index']}") as stream:
        again = stream.until("workload", "second")
    assert again[: len(found)] == found


def test_streams_of_all_workers_have_the_same_events(start, agent):
    control_plane = start(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address,
        "--workers", "2",
    )  # fmt: skip
    url = f"http://{control_plane.address}"
    with events(f"{url}/events") as stream:
        (synced,) = stream.until("synced")
    after = f"{url}/events?after={synced['index']}&workload=a&type=workload,removed"
    with events(after) as one, events(after) as two, events(after) as three, events(after) as four:
        submit(url, "a")
        remove(url, "a")
        seen = [stream.until("removed", "a") for stream in (one, two, three, four)]
    assert all(each == seen[0] for each in seen)


def test_long_poll_is_answered_by_the_change(url):
    submit(url, "a")
    version = json.loads(curl(f"{url}/workloads/a?spec").body)["version"]
    poll = subprocess.Popen(
        ["curl", "-s", f"{url}/workloads/a?wait=30&after={version + 100}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        remove(url, "a")
        document = json.loads(poll.communicate(timeout=DEADLINE)[0])
    finally:
        poll.kill()
        poll.wait(DEADLINE)
    assert document.get("code") == "not_found"


def test_control_plane_that_stops_ends_a_stream_completely(control_plane, url):
    with events(f"{url}/events") as stream:
        stream.until("synced")
        assert control_plane.end() == 0
        assert list(stream) == []
        assert stream.process.wait(DEADLINE) == 0

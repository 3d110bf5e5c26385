import json

import pytest
from kakuri._invocation import Invocation
from kakuri._status import screen
from kakuri_http import problem

from .conftest import without_color
from .fake_api import START

STEPS = [
    {"at": "2026-11-26T14:01:02.110000Z", "state": "pending"},
    {"at": "2026-11-26T14:01:02.150000Z", "state": "pending", "reason": "Pulling"},
    {"at": "2026-11-26T14:01:05.400000Z", "state": "failed", "reason": "ImagePullFailed"},
]
FAILED = """\
api  failed  ImagePullFailed  11s ago on node1
  docker.io/acme/api:9: not found
  image     acme/api:9
  limits    256 MiB, 0.5 cores
  class     edera-zone → handler edera
  restart   on_failure, at most 100 times in a row, 2 so far
  version   11
  steps     14:01:02.11 pending · 14:01:02.15 pending Pulling · 14:01:05.40 failed ImagePullFailed
  try       is the name of the image right, and may the node pull it? kakuri history api has the \
registry's responses
"""


@pytest.fixture
def failed(api):
    spec = {"image": "acme/api:9", "restart_policy": "on_failure"}
    api.add("api", "failed", reason="ImagePullFailed", message="docker.io/acme/api:9: not found",
            restarts=2, spec=spec, steps=STEPS)  # fmt: skip


@pytest.mark.parametrize("width", [80, 200])
def test_status_shows_on_one_screen_why_a_pull_failed(kakuri, failed, width):
    assert without_color(kakuri("status", "api", width=width).out) == FAILED


def test_status_in_a_pipe_has_times(kakuri, failed):
    first = kakuri("status", "api").out.splitlines()[0]
    assert first == "api  failed  ImagePullFailed  2026-11-26T14:01:05.400000Z on node1"


def test_status_shows_the_last_lines_with_control_characters_escaped(kakuri, api):
    api.add("web", log=[(f"t{n}", "stdout", 0, f"line {n}\x1b[31m") for n in range(9)])
    out = kakuri("status", "web").out
    assert "  log       the last 5 lines\n    line 4\\x1b[31m\n" in out
    assert "line 3" not in out


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"reason": "OOMKilled", "exit_code": 137}, "it needs more memory than 256 MiB"),
        (
            {"reason": "BackOff", "state": "pending"},
            "its runs keep ending: the message above has the cause, or kakuri logs job",
        ),
        ({"reason": "RuntimeUnavailable", "state": "pending"}, "kakuri doctor"),
    ],
)
def test_status_advises_what_to_try(kakuri, api, fields, advice):
    api.add("job", **{"state": "failed", **fields})
    assert advice in kakuri("status", "job").out.splitlines()[-1]


def test_status_shows_when_it_starts_again(kakuri, api):
    api.add("cron", "pending", reason="BackOff", restarts=7, restart_at="2026-11-26T14:01:40.000000Z",
            spec={"restart_policy": "always"})  # fmt: skip
    assert (
        "always, at most 100 times in a row, 7 so far, next in 23s" in kakuri("status", "cron").out
    )


def test_status_shows_evidence_of_isolation(kakuri, api):
    api.add("web", isolation={"handler": "edera", "kernel": "6.16", "checked_at": START})
    assert "  isolation handler edera, kernel 6.16, checked_at 2026" in kakuri("status", "web").out


def test_status_of_a_removed_workload_shows_what_is_kept(kakuri, api):
    api.add("job", "failed", reason="Error", exit_code=3)
    kakuri("rm", "job")
    result = kakuri("status", "job")
    assert result.code == 0
    assert result.err == "job was removed 7s ago; this is what is kept of it\n"
    assert "exit code 3" in result.out
    assert "removed: zone 5f0c1122…, container 9a3e1122…, log gone" in result.out


def test_status_as_json_is_the_document_of_the_api(kakuri, api):
    api.add("web")
    assert json.loads(kakuri("status", "--json", "web").out) == api.workloads["web"]


def test_status_of_an_unknown_id_is_not_found(kakuri):
    result = kakuri("status", "nothing")
    assert (result.code, result.err) == (3, "error: no workload 'nothing'\n")


def test_status_quotes_the_command(kakuri, api):
    api.add("job", spec={"command": ["sh", "-c"], "args": ["echo hi; exit 3"]})
    assert "  command   sh -c 'echo hi; exit 3'\n" in kakuri("status", "job").out


def test_history_of_a_workload_is_a_table(kakuri, failed):
    assert kakuri("history", "api").out == (
        "AT                            STATE     REASON\n"
        "2026-11-26T14:01:02.110000Z   pending\n"
        "2026-11-26T14:01:02.150000Z   pending   Pulling\n"
        "2026-11-26T14:01:05.400000Z   failed    ImagePullFailed\n"
    )


def test_history_of_a_removed_workload_is_kept(kakuri, api):
    api.add("job", "failed")
    kakuri("rm", "job")
    assert kakuri("history", "-o", "jsonl", "job").out == (
        '{"at":"2026-11-26T14:01:00.000000Z","state":"failed"}\n'
    )


def test_status_reports_a_log_that_cannot_be_read(kakuri, api):
    api.add("web")
    api.overrides[("GET", "/workloads/web/log")] = problem(503, code="busy", detail="no")
    assert "  log       can't be read now\n" in kakuri("status", "web").out


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"state": "failed", "exit_code": 0}, "web  failed  exit code 0  {at}"),
        ({"state": "running", "exit_code": 3}, "web  running  {at}"),
        ({"state": "running", "desired": "removed"}, "web  running  (is being removed)  {at}"),
        ({"state": "pending", "reason": "P\x1b"}, "web  pending  P\\x1b  {at}"),
    ],
)
def test_headline_shows_the_known_fields(kakuri, api, fields, line):
    api.add("web", **fields)
    at = f"{START} on node1"
    assert kakuri("status", "web").out.splitlines()[0] == line.format(at=at)


def screen_of(document, node=None, steps=(), lines=()):
    invocation = Invocation({"NO_COLOR": "1"})
    return screen(invocation, document, node or {}, list(steps), lines)


SPEC = {"image": "x", "memory_mb": 64, "cpu_millicores": 1000}
FIVE = [{"at": f"2026-11-26T14:01:0{n}Z", "state": "pending"} for n in range(7)]


@pytest.mark.parametrize(
    ("document", "options", "lines"),
    [
        ({}, {}, []),
        ({"changed_at": START}, {}, []),
        ({"message": "m\x1b"}, {}, ["  m\\x1b"]),
        ({"spec": SPEC}, {},
         ["  image     x", "  limits    64 MiB, 1 core", "  restart   never"]),
        ({"spec": SPEC | {"runtime_class": "k", "user": "1:1", "labels": {"a": "b", "c": "d"},
          "command": ["a b"], "args": ["c"], "restart_policy": "always", "max_restarts": 1},
          "image_digest": "sha256:0"}, {"node": {"handlers": {"k": "edera"}}},
         ["  image     x → sha256:0", "  command   'a b' c", "  limits    64 MiB, 1 core",
          "  class     k → handler edera", "  user      1:1", "  labels    a=b, c=d",
          "  restart   always, at most 1 time in a row"]),
        ({"spec": SPEC | {"runtime_class": "k"}}, {"node": {"handlers": {"other": "edera"}}},
         ["  image     x", "  limits    64 MiB, 1 core", "  class     k", "  restart   never"]),
        ({"started_at": "s"}, {}, ["  ran       s"]),
        ({"started_at": "s", "ended_at": "e"}, {}, ["  ran       s to e"]),
        ({"ended_at": "e"}, {}, []),
        ({"address": "10.0.0.1", "version": 0}, {},
         ["  address   10.0.0.1", "  version   0"]),
        ({"removed_at": "r", "reason": "Error"}, {}, ["  removed   r  removed"]),
        ({"desired": "removed", "reason": "Error", "message": "its zone …"}, {}, ["  its zone …"]),
        ({"reason": "Error"}, {}, ["  try       kakuri logs a; kakuri start a runs it again"]),
        ({"reason": "OOMKilled"}, {},
         ["  try       it needs more memory than 0 MiB: run it with a higher -m"]),
        ({}, {"lines": None}, ["  log       can't be read now"]),
        ({}, {"lines": ["one\x1b"]}, ["  log       the last 1 lines", "    one\\x1b"]),
        ({}, {"steps": FIVE},
         ["  steps     " + " · ".join(f"14:01:0{n}.00 pending" for n in range(2, 7))]),
        ({}, {"steps": [FIVE[0] | {"reason": "BackOff", "count": 7}]},
         ["  steps     14:01:00.00 pending BackOff 7×"]),
    ],
)  # fmt: skip
def test_screen_has_a_row_for_each_known_field(environment, document, options, lines):
    shown = screen_of({"id": "a", "state": "failed", **document}, **options)
    assert shown[0].startswith("a  failed")
    assert shown[1:] == lines


@pytest.mark.parametrize("desired", ["stopped", "removed"])
def test_screen_of_a_workload_that_cannot_be_stopped_has_advice(environment, desired):
    document = {"id": "a", "state": "running", "reason": "StopFailed", "message": "m"}
    shown = screen_of({**document, "desired": desired})
    assert shown[0].startswith(f"a  running  StopFailed  (is being {desired})")
    assert shown[1] == "  m"
    assert shown[2].endswith("the agent keeps trying")


@pytest.mark.parametrize(
    ("document", "steps", "end"),
    [
        ({"removed_at": "r", "changed_at": "c"}, FIVE[:1], "  r"),
        ({"changed_at": "c"}, FIVE[:2], "  2026-11-26T14:01:01Z"),
        ({"changed_at": "c"}, [], "  c"),
        ({}, [], ""),
    ],
)
def test_headline_has_the_time_of_the_last_step(environment, document, steps, end):
    assert (
        screen_of({"id": "a", "state": "failed", **document}, steps=steps)[0] == f"a  failed{end}"
    )


def test_wait_for_the_next_start_is_never_negative(kakuri, api):
    api.add("a", "pending", restarts=1, restart_at="2026-11-26T14:01:00.000000Z",
            spec={"restart_policy": "on_failure", "max_restarts": 5})  # fmt: skip
    assert "on_failure, at most 5 times in a row, 1 so far, next in 0s" in kakuri("status", "a").out


def test_history_shows_how_often_a_step_was_repeated(kakuri, api):
    steps = [
        {"at": START, "state": "failed", "reason": "E\x1b", "exit_code": 0, "restarts": 2,
         "count": 3, "message": "m\x1b"},
        {"at": START, "state": "pending"},
    ]  # fmt: skip
    api.add("a", steps=steps)
    assert kakuri("history", "a").out.splitlines()[1:] == [
        f"{START}   failed    E\\x1b    0      2          3×      m\\x1b",
        f"{START}   pending",
    ]
    first = without_color(kakuri("history", "a", width=120).out).splitlines()[1]
    assert first.startswith("14:01:00.00   failed")

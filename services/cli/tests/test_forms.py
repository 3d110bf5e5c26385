"""Every verb in every form of output, read by another parser than ours."""

import io
import json
import sys
import threading

import pytest
from kakuri_tcp.blocking import Server

ENDED = {"state": "succeeded", "exit_code": 0}
FILE = '[workload.web]\nimage = "nginx:1.27"\n'
VERBS = {
    "ps": ["-a"], "status": ["web"], "history": ["web"], "wait": ["job"], "stop": ["job"],
    "start": ["job"], "restart": ["web"], "rm": ["-f", "web"], "apply": [], "diff": [],
    "plan": [], "verify": [], "nodes": [], "node": ["node1"], "doctor": ["--no-local"],
    "version": [], "completion": ["bash"], "context": ["ls"], "events": [],
    "run": ["-d", "--name", "new", "nginx"], "logs": ["web"],
}  # fmt: skip
NAMES = {
    "ps": "job\nweb\n", "status": "web\n", "history": "web\n", "wait": "job\n", "stop": "job\n",
    "start": "job\n", "restart": "web\n", "rm": "web\n", "apply": "web\n", "diff": "",
    "plan": "", "verify": "web\n", "nodes": "node1\n", "node": "node1\n", "doctor": "",
    "version": "0.1.0\n", "context": "", "events": "web\n", "run": "new\n",
}  # fmt: skip


@pytest.fixture
def some(api, tmp_path):
    api.add("web", log=[("2026-11-26T14:01:00Z", "stdout", 0, "hello")])
    api.add("job", **ENDED)
    api.nodes[0]["event_index"] = 1
    api.events.append({"index": 1, "at": "2026-11-26T14:01:00Z", "type": "workload", "id": "web",
                       "state": "running"})  # fmt: skip
    (tmp_path / "kakuri.toml").write_text(FILE)


@pytest.mark.parametrize("verb", VERBS)
def test_json_of_each_verb_is_read_by_another_parser(kakuri, some, verb):
    result = kakuri(verb, "-o", "json", *VERBS[verb])
    assert result.code == 0
    assert json.loads(result.out) is not None


@pytest.mark.parametrize("verb", VERBS)
def test_json_lines_of_each_verb_are_read_by_another_parser(kakuri, some, verb):
    result = kakuri(verb, "-o", "jsonl", *VERBS[verb])
    assert result.code == 0
    for line in result.out.splitlines():
        json.loads(line)


@pytest.mark.parametrize("verb", NAMES)
def test_names_of_each_verb_are_one_a_line(kakuri, some, verb):
    result = kakuri(verb, "-q", *VERBS[verb])
    assert (result.code, result.out) == (0, NAMES[verb])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("width", [80, 200])
def test_table_of_each_verb_on_a_terminal_has_no_control_character_but_colour(
    kakuri, some, verb, width
):
    result = kakuri(verb, *VERBS[verb], width=width)
    assert result.code == 0
    shown = result.out.replace("\x1b[", "").replace("\n", "").replace("\t", "").replace("\r", "")
    assert verb in ("completion", "version") or shown.isprintable()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("yes", 0), ("n", 1), ("", 1)])
def test_question_on_a_terminal_is_answered(kakuri, some, api, environment, answer, code):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    environment.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    result = kakuri("rm", "web", width=100)
    assert result.code == code
    assert f"Stop and remove web on {api.url}? [y/N] " in result.out
    assert ("web" in api.workloads) == (code == 1)


def test_context_names_are_completed(environment, kakuri):
    from kakuri._context import _complete_names  # noqa: PLC0415
    from kakuri._invocation import Invocation  # noqa: PLC0415

    kakuri("context", "add", "lab", "http://a:1")
    kakuri("context", "add", "late", "http://a:2")

    class Context:
        def find_object(self, _type):
            return Invocation({"HOME": __import__("os").environ["HOME"]})

    assert _complete_names(Context(), None, "la") == ["lab", "late"]
    assert _complete_names(Context(), None, "lat") == ["late"]


def test_followed_logs_report_an_error_of_one_and_continue(kakuri, some, api):
    api.once_followed(lambda: api.change("web", **ENDED))
    result = kakuri("logs", "-f", "web", "nothing")
    assert result.code == 3
    assert "web     │ hello\n" in result.out
    assert "error: nothing: no workload 'nothing'" in result.err


def test_too_many_followed_logs_are_a_usage_error(kakuri):
    result = kakuri("logs", "-f", *(f"w{number}" for number in range(40)))
    assert result.code == 2
    assert "expected at most 32 logs to follow, got 40" in result.err


def test_server_that_ends_without_a_response_leaves_the_outcome_unknown(kakuri, environment):
    with Server("127.0.0.1:0") as server:

        def accept_and_close():
            server.accept().close()

        threading.Thread(target=accept_and_close).start()
        environment.setenv("KAKURI_HOST", f"http://{server.endpoint}")
        result = kakuri("stop", "web")
    assert result.code == 6
    assert "it is not known whether the request was carried out" in result.err


@pytest.mark.parametrize("arguments", [("logs", "-n", "x", "a"), ("events", "-n", "x")])
def test_word_in_place_of_an_integer_is_reported_as_not_valid(kakuri, arguments):
    result = kakuri(*arguments)
    assert result.code == 2
    assert "'x' is not a valid integer.\n" in result.err


@pytest.mark.parametrize("option", ["-o", "--output", "--host", "--context", "--color"])
def test_shared_option_without_its_value_is_a_usage_error(kakuri, some, api, option):
    for arguments in (["rm", "-f", "web", option], [option, "-q", "ps"]):
        assert kakuri(*arguments).code == 2
    assert (api.received, list(api.workloads)) == ([], ["web", "job"])

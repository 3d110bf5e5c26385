import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from kakuri._invocation import Invocation
from kakuri._logs import _Printer

T = "2026-11-26T14:01:0{}.000000000Z"
LINES = [
    (T.format(1), "stdout", 0, "one"),
    (T.format(2), "stderr", 0, "two"),
    (T.format(2), "stdout", 1, "three"),
]


@pytest.fixture
def web(api):
    api.add("web", log=LINES)


def test_logs_of_one_workload_are_its_bytes(kakuri, web):
    result = kakuri("logs", "web")
    assert (result.code, result.out, result.err) == (0, "one\ntwo\nthree\n", "")


@pytest.mark.parametrize(
    ("options", "out"),
    [
        (["-n", "1"], "three\n"),
        (["--stream", "stderr"], "two\n"),
        (["--attempt", "1"], "three\n"),
        (["--since", "2026-11-26T14:01:02Z"], "two\nthree\n"),
        (["--since", "15s"], "two\nthree\n"),
        (["-t", "-n", "1"], f"{T.format(2)} three\n"),
    ],
)
def test_logs_select_lines(kakuri, web, options, out):
    assert kakuri("logs", *options, "web").out == out


def test_logs_of_several_have_names_and_marks_in_the_order_of_time(kakuri, web, api):
    api.add("api", log=[(T.format(2), "stdout", 0, "hello"), (T.format(9), "stderr", 0, "bye")])
    assert kakuri("logs", "web", "api").out == (
        "web │ one\nweb ┆ two\nweb │ three\napi │ hello\napi ┆ bye\n"
    )


def test_logs_of_several_with_times_and_without_names(kakuri, web, api):
    api.add("api", log=[(T.format(9), "stderr", 0, "bye")])
    assert kakuri("logs", "-t", "--no-prefix", "web", "api").out.splitlines() == [
        f"{T.format(1)} one", f"{T.format(2)} two", f"{T.format(2)} three", f"{T.format(9)} bye",
    ]  # fmt: skip


def test_logs_report_another_attempt_on_standard_error(kakuri, web, api):
    api.add("api")
    assert "web: attempt 1\n" in kakuri("logs", "web", "api").err


def test_logs_escape_control_characters_of_several(kakuri, api):
    api.add("a", log=[(T.format(1), "stdout", 0, "\x1b[2Jboo")])
    api.add("b")
    assert kakuri("logs", "a", "b").out == "a │ \\x1b[2Jboo\n"


def test_logs_as_json_are_the_records_of_the_api(kakuri, web):
    lines = kakuri("logs", "--json", "web").out.splitlines()
    assert json.loads(lines[0]) == {"at": T.format(1), "stream": "stdout", "attempt": 0,
                                    "line": "one"}  # fmt: skip
    assert json.loads(lines[2]) == {"type": "attempt", "attempt": 1}


def test_logs_of_a_removed_workload_are_kept(kakuri, api):
    api.add("job", "failed", log=LINES)
    kakuri("rm", "job")
    result = kakuri("logs", "job")
    assert (result.code, result.out) == (0, "one\ntwo\nthree\n")
    assert result.err.startswith("job was removed")


def test_logs_of_an_unknown_id_are_not_found(kakuri):
    assert kakuri("logs", "nothing").code == 3


def test_logs_of_several_continue_after_one_that_is_unknown(kakuri, web):
    result = kakuri("logs", "web", "nothing")
    assert result.code == 3
    assert result.out == "web     │ one\nweb     ┆ two\nweb     │ three\n"
    assert "error: nothing: no workload 'nothing'\n" in result.err


def test_followed_log_ends_with_how_the_workload_ended(kakuri, api):
    api.add("job", log=LINES[:1])

    def go_on():
        api.write("job", LINES[1])
        api.change("job", state="failed", reason="Error", exit_code=3, restarts=2)

    api.once_followed(go_on)
    result = kakuri("logs", "-f", "job")
    assert (result.code, result.out) == (0, "one\ntwo\n")
    assert result.err == "job ended: exit code 3 (Error), 2 restarts\n"


def test_followed_logs_of_several_end_when_all_have_ended(kakuri, api):
    api.add("a", "succeeded", exit_code=0, log=LINES[:1])
    api.add("b", "failed", reason="Error", exit_code=1)
    result = kakuri("logs", "-f", "a", "b")
    assert result.out == "a │ one\n"
    assert sorted(result.err.splitlines()) == [
        "a ended: exit code 0", "b ended: exit code 1 (Error)",
    ]  # fmt: skip


def test_wrong_since_is_a_usage_error(kakuri, web):
    result = kakuri("logs", "--since", "yesterday", "web")
    assert result.code == 2
    assert "--since: expected a time like 2026-01-31T12:00:00Z or 10m" in result.err


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ([], {"timestamps": "true"}),
        (["-n", "0"], {"tail": "0", "timestamps": "true"}),
        (["--attempt", "0"], {"attempt": "0", "timestamps": "true"}),
        (["--removed"], {"removed": "true", "timestamps": "true"}),
        (["--since", "10m"], {"since": "0d600s", "timestamps": "true"}),
        (["--since", "36500d"], {"since": "36500d0s", "timestamps": "true"}),
        (["--since", "250ms"], {"since": "0d1s", "timestamps": "true"}),
    ],
)
def test_options_of_logs_are_parameters_of_the_query(kakuri, web, api, options, query):
    api.tombstones = api.workloads
    kakuri("logs", "-t", *options, "web")
    assert dict(api.received[0].query) == query


@pytest.mark.parametrize("options", [["-n", "-1"], ["-n", "1000001"], ["--attempt", "-1"]])
def test_numbers_of_logs_are_limited(kakuri, web, api, options):
    assert (kakuri("logs", *options, "web").code, api.requests) == (2, [])


@pytest.mark.parametrize("options", [["-n", "1000000"], ["--attempt", "0"]])
def test_numbers_of_logs_may_be_at_their_limits(kakuri, web, options):
    assert kakuri("logs", *options, "web").code == 0


def test_32_logs_are_followed_at_a_time(kakuri, environment, api):
    from kakuri import _logs  # noqa: PLC0415

    followed = []
    environment.setattr(_logs, "_follow_all", lambda *args: followed.extend(args[2]) or [])
    assert kakuri("logs", "-f", *(f"w{number}" for number in range(32))).code == 0
    assert len(followed) == 32
    assert kakuri("logs", "-f", *(f"w{number}" for number in range(33))).code == 2
    assert kakuri("logs", *(f"w{number}" for number in range(33))).code == 3


def test_logs_of_several_as_json_have_the_id_in_each_record(kakuri, web, api):
    api.add("api", log=[(T.format(9), "stderr", 0, "bye")])
    records = [json.loads(line) for line in kakuri("logs", "--json", "web", "api").out.splitlines()]
    assert [record["id"] for record in records] == ["web"] * 4 + ["api"]
    assert records[-1] == {"id": "api", "at": T.format(9), "stream": "stderr", "attempt": 0,
                           "line": "bye"}  # fmt: skip


@pytest.mark.parametrize("options", [[], ["-f"]])
def test_unknown_log_as_json_is_a_problem_document(kakuri, options):
    result = kakuri("logs", "--json", *options, "nothing")
    assert (result.code, result.out) == (3, "")
    assert json.loads(result.err)["code"] == "not_found"


def test_log_that_is_followed_until_its_workload_is_removed_reports_that(kakuri, api):
    class Forgetful(dict):
        def __setitem__(self, key, value):
            pass

    api.add("job", log=LINES[:1])
    api.tombstones = Forgetful()
    api.once_followed(lambda: api.remove("job"))
    result = kakuri("logs", "-f", "job")
    assert result.err == "job was removed\n"


def test_followed_log_with_times_has_them(kakuri, api):
    api.add("job", "failed", exit_code=3, log=LINES[:1])
    assert kakuri("logs", "-f", "-t", "job").out == f"{T.format(1)} one\n"
    assert kakuri("logs", "-f", "job").out == "one\n"


def test_removed_log_is_asked_for_once(kakuri, api):
    api.add("job", "failed", log=LINES)
    kakuri("rm", "job")
    result = kakuri("logs", "--removed", "-t", "job")
    assert (result.out.splitlines()[0], result.err) == (f"{T.format(1)} one", "")
    assert kakuri("logs", "--removed", "other").code == 3


@pytest.mark.parametrize(
    ("record", "out", "err"),
    [
        ({"type": "gap"}, "", "long: a part of the log was removed\n"),
        ({"type": "attempt", "attempt": 2}, "", "long: attempt 2\n"),
        ({"type": "another"}, "", ""),
        ({"line": "x"}, "long │ x\n", ""),
        ({"line": "x", "stream": "stderr", "type": "gap"}, "long ┆ x\n", ""),
    ],
)
def test_record_of_each_kind_is_printed(capsys, record, out, err):
    printer = _Printer(Invocation({}), ["long", "a"], has_names=True, has_times=False)
    printer.print("long", json.dumps(record).encode())
    assert capsys.readouterr() == (out, err)


def test_names_are_padded_to_the_longest(capsys):
    printer = _Printer(Invocation({}), ["long", "a"], has_names=True, has_times=True)
    printer.print("a", b'{"line":"x","at":"t"}')
    assert capsys.readouterr().out == "t a    │ x\n"


def test_thousand_records_wait_to_be_printed(environment):
    from kakuri import _logs  # noqa: PLC0415

    made = []
    environment.setattr(_logs.queue, "Queue", lambda size: made.append(size) or [])
    assert list(_logs._follow_all(None, SimpleNamespace(clone=list), [], [])) == []
    assert made == [1000]


def test_unexpected_error_of_a_followed_log_is_raised(environment):
    from kakuri import _log_stream, _logs  # noqa: PLC0415

    def fail(*_):
        raise ValueError("bug")
        yield

    environment.setattr(_log_stream, "follow_records", fail)
    api = SimpleNamespace(clone=lambda: nullcontext())
    with pytest.raises(ValueError, match="bug"):
        list(_logs._follow_all(None, api, ["a"], []))

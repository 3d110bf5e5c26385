import json
import threading

import pytest

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


def test_logs_of_several_go_on_after_one_that_is_unknown(kakuri, web):
    result = kakuri("logs", "web", "nothing")
    assert result.code == 3
    assert result.out == "web     │ one\nweb     ┆ two\nweb     │ three\n"
    assert "error: nothing: no workload 'nothing'\n" in result.err


def test_followed_log_ends_with_how_the_workload_ended(kakuri, api):
    api.add("job", log=LINES[:1])

    def go_on():
        api.write("job", LINES[1])
        api.change("job", state="failed", reason="Error", exit_code=3, restarts=2)

    threading.Timer(0.05, go_on).start()
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

import json
import os
import re
import signal
from types import SimpleNamespace

import pytest
from kakuri._exits import CommandError, Exit, Unreachable
from kakuri._invocation import Invocation
from kakuri._run import generated_name, submit
from kakuri_http import problem

from .conftest import without_color

T = "2026-11-26T14:01:0{}.000000000Z"
RUN = {"started_at": "2026-11-26T14:01:05.000000Z", "address": "10.88.7.2"}
ENDED = RUN | {"ended_at": "2026-11-26T14:01:05.020000Z"}
DIGEST = "sha256:" + 64 * "a"
ARGUMENTS = ("run", "--name", "job", "-m", "64M", "busybox:1.37")


def without_times(text):
    return re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", text)


@pytest.fixture
def ending(api):
    """Make what is submitted write two lines, and end with this exit code."""

    def end_with(exit_code, **fields):
        def on_post(api, document):
            name = document["id"]
            api.write(name, (T.format(1), "stdout", 0, "hi"), (T.format(2), "stderr", 0, "oh"))
            state = "failed" if exit_code else "succeeded"
            reason = "Error" if exit_code else None
            api.change(name, state=state, exit_code=exit_code, reason=reason, **ENDED | fields)

        api.on_post = on_post

    return end_with


@pytest.mark.parametrize("exit_code", [0, 1, 3, 125, 137, 255])
def test_run_exits_with_the_exit_code_of_the_workload(kakuri, ending, exit_code):
    ending(exit_code)
    result = kakuri(*ARGUMENTS)
    assert (result.code, result.out) == (exit_code, "hi\n")


def test_run_continues_if_the_control_plane_is_lost_right_after_the_submission(kakuri, ending, api):
    ending(3)
    lost = problem(503, code="agent_unreachable", detail="the agent does not answer")
    api.once |= {("GET", "/workloads/job"): lost, ("GET", "/workloads/job/log"): lost}
    result = kakuri(*ARGUMENTS)
    assert (result.code, result.out) == (3, "hi\n")
    assert result.err.count("trying again: the agent does not answer") == 2
    assert "oh\n" in result.err


def test_run_that_can_no_longer_follow_its_workload_names_it(kakuri, api):
    refused = problem(403, code="forbidden_user", detail="not this user; see --allow-user")
    api.once["GET", "/workloads/job"] = refused
    result = kakuri(*ARGUMENTS)
    assert result.code == 125
    assert without_times(result.err) == (
        "job  left as it is; to follow it: kakuri logs -f job; to remove it: kakuri rm job\n"
        "error: not this user; see --allow-user\n"
    )


def test_run_reports_progress_on_standard_error(kakuri, ending):
    ending(3)
    assert without_times(kakuri(*ARGUMENTS).err) in (
        "oh\njob  ended: exit code 3 (Error) after 0.02 s\n",
        "job  pending\noh\njob  ended: exit code 3 (Error) after 0.02 s\n",
    )


def test_run_shows_each_step_once(kakuri, api):
    steps = iter(
        [{"reason": "Pulling"}, {"reason": "CreatingSandbox"},
         {"state": "running", "reason": None, **RUN},
         {"state": "succeeded", "exit_code": 0, **ENDED}]
    )  # fmt: skip

    def next_step(api, *_):
        if (step := next(steps, None)) is not None:
            api.change("job", **step)

    class Stepping(list):
        """Take the next step whenever the command asks for a change."""

        def append(self, request):
            super().append(request)
            if "wait=" in request[1]:
                next_step(api)

    api.requests = Stepping()
    assert without_times(kakuri(*ARGUMENTS).err).splitlines() == [
        "job  pending",
        "job  pulling busybox:1.37",
        "job  pending  CreatingSandbox",
        "job  running at 10.88.7.2",
        "job  ended: exit code 0 after 0.02 s",
    ]


def test_run_on_a_terminal_shows_how_much_of_the_image_was_received(kakuri, api):
    pulling = {"reason": "Pulling", "message": "pulling docker.io/library/busybox:1.37 for 3 s"}
    steps = iter(
        [pulling, pulling | {"message": "received some", "pulled_bytes": 2_100_000},
         {"state": "succeeded", "reason": None, "message": None, "exit_code": 0, **ENDED}]
    )  # fmt: skip
    waits = []

    class Stepping(list):
        def append(self, request):
            super().append(request)
            if match := re.search(r"wait=(\d+)", request[1]):
                waits.append(match[1])
                if (step := next(steps, None)) is not None:
                    api.change("job", **step)

    api.requests = Stepping()
    out = without_color(kakuri(*ARGUMENTS, width=80).out)
    assert "job  pulling busybox:1.37   about 2.1 MB" in out
    assert waits == ["30", "1", "1"]


def test_run_on_a_terminal_rewrites_one_line(kakuri, ending):
    ending(0)
    out = kakuri(*ARGUMENTS, width=80).out
    assert without_color(out.splitlines()[-1]) == "job  ended: exit code 0 after 0.02 s"
    assert "\r\x1b[K" in out or "pending" not in out


def test_run_with_rm_removes_and_prints_the_receipt(kakuri, ending, api):
    ending(0)
    last = kakuri("run", "--rm", "--name", "job", "busybox").err.splitlines()[-1]
    assert last.endswith(
        "job  ended: exit code 0 after 0.02 s; removed: zone 5f0c1122…, container 9a3e1122…, "
        "log gone (no longer in the runtime's list)"
    )
    assert api.workloads == {}


@pytest.mark.parametrize("reason", ["ImagePullFailed", "StartError"])
def test_run_of_a_command_that_never_ran_is_125(kakuri, api, reason):
    api.on_post = lambda api, document: api.change(
        document["id"], state="failed", reason=reason, message="not found"
    )
    result = kakuri(*ARGUMENTS)
    assert result.code == 125
    assert without_times(result.err).endswith(f"job  ended: failed ({reason}): not found\n")


def test_detached_run_prints_the_id_alone(kakuri, api):
    result = kakuri("run", "-d", "--name", "web", "nginx:1.27")
    assert (result.code, result.out, result.err) == (0, "web\n", "")


def test_detached_run_as_json_is_the_document_of_the_api(kakuri, api):
    document = json.loads(kakuri("run", "-d", "--json", "--name", "web", "nginx:1.27").out)
    assert document == api.workloads["web"]["spec"]


def test_detached_run_of_the_same_again_is_success(kakuri):
    kakuri("run", "-d", "--name", "web", "nginx:1.27")
    result = kakuri("run", "-d", "--name", "web", "nginx:1.27")
    assert (result.code, result.out) == (0, "web\n")
    assert result.err == "web already exists, with the same specification\n"


def test_detached_run_of_another_specification_is_a_conflict(kakuri, api):
    kakuri("run", "-d", "--name", "web", "nginx:1.27")
    result = kakuri("run", "-d", "--name", "web", "nginx:1.28")
    assert (result.code, result.err) == (4, "error: workload 'web' exists\n  $.image: differs\n")


def test_foreground_run_of_an_existing_workload_is_125(kakuri, api):
    kakuri("run", "-d", "--name", "job", "busybox:1.37")
    result = kakuri("run", "--name", "job", "busybox:1.37")
    assert result.code == 125
    assert "workload 'job' already exists: kakuri logs -f job follows it" in result.err


def test_every_option_of_run_is_a_field_of_the_workload(kakuri, api, environment, tmp_path):
    environment.setenv("INHERITED", "here")
    (tmp_path / "env").write_text("# comment\n\nA=file\nB=b=c\n")
    kakuri(
        "run", "-d", "--name", "web", "-m", "256M", "-c", "0.5", "--class", "edera-zone",
        "-e", "A=1", "-e", "INHERITED", "--env-file", "env", "-l", "team=a", "-u", "1000:1000",
        "-w", "/srv", "--restart", "on-failure:3", "--pull", "always", "--entrypoint", "sh",
        "nginx", "-c", "exit 3",
    )  # fmt: skip
    assert api.workloads["web"]["spec"] == {
        "id": "web", "image": "nginx", "runtime_class": "edera-zone", "memory_mb": 256,
        "cpu_millicores": 500, "command": ["sh"], "args": ["-c", "exit 3"],
        "env": {"A": "1", "B": "b=c", "INHERITED": "here"}, "working_dir": "/srv",
        "user": "1000:1000", "labels": {"team": "a"}, "restart_policy": "on_failure",
        "max_restarts": 3, "pull": "always",
    }  # fmt: skip


WRONG_OPTIONS = [
    (["-m", "256"], "expected a size like 256MiB or 2GiB, got '256'"),
    (["-c", "half"], "expected cores like 0.5 or 500m"),
    (["-l", "team"], "expected KEY=VALUE, got 'team'"),
    (["-e", "NOT_THERE"], "-e NOT_THERE: this environment has no such variable"),
    (
        ["--restart", "often"],
        "'--restart': expected never, on_failure[:TIMES] or always[:TIMES], got 'often'\n",
    ),
    (
        ["--restart", "unless-stopped"],
        "'unless-stopped'; always is what Docker calls unless-stopped",
    ),
    (["--bogus"], "No such option"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_wrong_option_of_run_exits_with_125(kakuri, options, message):
    result = kakuri("run", *options, "nginx")
    assert result.code == 125
    assert message in result.err


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_wrong_option_of_detached_run_exits_with_2(kakuri, options, message):
    for detached in (["-d", *options], [*options, "--detach"]):
        result = kakuri("run", *detached, "nginx")
        assert result.code == 2
        assert message in result.err


@pytest.mark.parametrize(
    ("given", "args"),
    [
        (["nginx", "--", "sh", "-c", "exit 3"], ["sh", "-c", "exit 3"]),
        (["nginx", "sh", "-c", "exit 3"], ["sh", "-c", "exit 3"]),
        (["--", "nginx", "sh", "--", "x"], ["sh", "--", "x"]),
        (["nginx", "--", "--", "x"], ["--", "x"]),
        (["nginx", "-m", "64M"], ["-m", "64M"]),
    ],
)
def test_arguments_after_the_image_are_the_command(kakuri, api, given, args):
    assert kakuri("run", "-d", "--name", "web", *given).code == 0
    assert api.workloads["web"]["spec"]["args"] == args


def test_detached_run_with_a_wrong_option_is_a_usage_error(kakuri):
    assert kakuri("run", "-d", "--rm", "nginx").code == 2


@pytest.mark.parametrize("change", ["create", "none"])
def test_dry_run_starts_nothing(kakuri, api, change):
    if change == "none":
        kakuri("run", "-d", "--name", "web", "nginx")
    before = dict(api.workloads)
    result = kakuri("run", "--dry-run", "--name", "web", "nginx")
    assert result.code == 0
    assert ("would be created" in result.out) == (change == "create")
    assert api.workloads == before


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ({"state": "present", "digest": DIGEST}, f"; its image is on the node ({DIGEST})"),
        ({"state": "present"}, "; its image is on the node"),
        ({"state": "pull"}, "; its image would be pulled"),
        (
            {"state": "missing"},
            "; its image is not on the node, and its pull policy is never: its start would fail",
        ),
        ({"state": "simulated"}, "; nothing would really run: the runtime is simulated"),
        ({"state": "another"}, ""),
        (None, ""),
    ],
)
def test_dry_run_and_plan_show_whether_the_image_is_on_the_node(kakuri, api, tmp_path, image, text):
    api.image = image
    api.is_later_release = image == {"state": "another"}
    assert kakuri("run", "--dry-run", "--name", "web", "nginx").out == (
        f"web  would be created{text}\n"
    )
    (tmp_path / "kakuri.toml").write_text("[workload.web]\nimage = 'nginx'\n")
    assert kakuri("plan").out.splitlines()[1:2] == ([f"    {text[2:]}"] if text else [])
    (change,) = json.loads(kakuri("plan", "--json").out)
    assert change.get("image") == image


@pytest.mark.parametrize(
    ("image", "stem"),
    [
        ("busybox:1.37", "busybox"), ("registry:5000/team/My_App@sha256:" + 64 * "a", "my-app"),
        ("a" * 100, "a" * 40), ("___", "workload"),
    ],
)  # fmt: skip
def test_generated_name_is_a_label_from_the_name_of_the_image(image, stem):
    name = generated_name(image)
    assert re.fullmatch(rf"{stem}-[a-z2-9]{{4}}", name)


@pytest.fixture
def interrupting(api):
    """Send signals to this process: the first once it follows the workload, then at each stop."""

    def interrupt(times, *, ends_at, number=signal.SIGINT):
        graces = []

        def on_post(api, document):
            api.change(document["id"], state="running", **RUN)
            api.once_followed(interrupt_once)

        def interrupt_once():
            os.kill(os.getpid(), number)

        def on_stop(api, workload_id, grace):
            graces.append(grace)
            if len(graces) == ends_at:
                api.change(workload_id, state="failed", reason="Stopped", exit_code=143, **ENDED)
            elif len(graces) < times:
                interrupt_once()

        api.on_post, api.on_stop = on_post, on_stop
        return graces

    return interrupt


def test_first_interrupt_stops_the_workload_and_waits(kakuri, interrupting):
    graces = interrupting(1, ends_at=1)
    result = kakuri("run", "--grace", "7", "--name", "job", "busybox")
    assert (result.code, graces) == (143, [7])
    assert "job  stopping, with 7 s to end by itself; Ctrl-C again kills it" in result.err


@pytest.mark.parametrize("options", [["-d"], ["--rm"]])
def test_interrupt_of_the_submission_names_the_workload_that_may_run(kakuri, environment, options):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    environment.setattr("kakuri._client.API.request", interrupt)
    result = kakuri("run", *options, "--name", "job", "busybox")
    assert result.code == 130
    assert "job may have been submitted: kakuri rm -f job removes it" in result.err


def test_interrupt_right_after_the_submission_stops_the_workload(kakuri, api, environment):
    graces = []

    def on_stop(api, workload_id, grace):
        graces.append(grace)
        api.change(workload_id, state="failed", reason="Stopped", exit_code=143, **ENDED)

    def interrupt(_api):
        raise KeyboardInterrupt

    api.on_post = lambda api, document: api.change(document["id"], state="running", **RUN)
    api.on_stop = on_stop
    environment.setattr("kakuri._foreground.first_node", interrupt)
    result = kakuri(*ARGUMENTS)
    assert (result.code, graces) == (143, [10])
    assert "job  stopping, with 10 s to end by itself" in result.err


def test_second_interrupt_kills_the_workload(kakuri, interrupting):
    graces = interrupting(2, ends_at=2)
    result = kakuri(*ARGUMENTS)
    assert (result.code, graces) == (143, [10, 0])
    assert "job  killing it; Ctrl-C again leaves it as it is" in result.err


def test_third_interrupt_leaves_the_workload_as_it_is(kakuri, interrupting, api):
    interrupting(3, ends_at=None)
    result = kakuri(*ARGUMENTS)
    assert result.code == 130
    assert (
        "job  left as it is; to follow it: kakuri logs -f job; to remove it: kakuri rm job"
        in result.err
    )
    assert api.workloads["job"]["state"] == "running"


def test_termination_stops_the_workload_like_an_interrupt(kakuri, interrupting):
    graces = interrupting(1, ends_at=1, number=signal.SIGTERM)
    result = kakuri(*ARGUMENTS)
    assert (result.code, graces) == (143, [10])
    assert "stopping (SIGTERM)" in result.err


def test_run_after_its_timeout_stops_the_workload_and_exits_with_124(kakuri, api):
    api.on_post = lambda api, document: api.change(document["id"], state="running", **RUN)
    api.on_stop = lambda api, workload_id, grace: api.change(
        workload_id, state="failed", reason="Stopped", exit_code=143, **ENDED
    )
    result = kakuri("run", "--timeout", "100ms", "--name", "job", "busybox")
    assert result.code == 124
    assert "job  has not ended after 0.10 s: stopping it" in result.err


def test_run_on_a_simulated_node_warns_once(kakuri, ending, api):
    ending(0)
    api.nodes[0]["simulated"] = True
    assert kakuri(*ARGUMENTS).err.count("nothing really runs") == 1


class Answers:
    """A client that answers with one result after the other."""

    def __init__(self, *results):
        self._results = list(results)
        self.requests = []

    def request(self, method, path, **options):
        self.requests.append((method, path, options))
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


LOST = Unreachable("lost", code="no_answer")


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_submission_with_an_unknown_outcome_is_repeated(environment, capsys, lost):
    response = SimpleNamespace(status=200, document={"id": "a"})
    answers = Answers(*[LOST] * lost, response)
    assert submit(Invocation({}), answers, {"id": "a"}) is response
    assert response.status == (201 if lost else 200)  # the lost response had created it
    assert capsys.readouterr().err == "lost; trying again\n" * lost
    content = {"body": b'{"id":"a"}', "headers": {"Content-Type": "application/json"}}
    assert answers.requests == [("POST", "/workloads", content)] * (lost + 1)


def test_submission_with_an_unknown_outcome_is_given_up_after_three_attempts(environment, capsys):
    answers = Answers(*[LOST] * 3)
    with pytest.raises(Unreachable, match="lost"):
        submit(Invocation({}), answers, {"id": "a"})
    assert len(answers.requests) == 3
    assert capsys.readouterr().err == "lost; trying again\n" * 2


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("refused", code="unreachable"),
        CommandError("no", Exit.CONFLICT, code="conflict"),
    ],
)
def test_submission_that_was_not_carried_out_is_not_repeated(environment, error):
    answers = Answers(error)
    with pytest.raises(type(error)):
        submit(Invocation({}), answers, {"id": "a"})
    assert len(answers.requests) == 1


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", None),
        ("# A=1\n  \n", None),
        ("A=1\n B = 2 \nC=\nexport D=x=y\n", {"A": "1", "B": " 2", "C": "", "D": "x=y"}),
    ],
)
def test_env_file_has_a_variable_on_each_line(kakuri, api, tmp_path, text, variables):
    (tmp_path / "env").write_text(text)
    assert kakuri("run", "-d", "--name", "web", "--env-file", "env", "nginx").code == 0
    assert api.workloads["web"]["spec"].get("env") == variables


def test_env_file_that_is_not_utf_8_is_an_error(kakuri, tmp_path):
    (tmp_path / "env").write_bytes(b"A=\xff\n")
    result = kakuri("run", "-d", "--env-file", "env", "nginx")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: env can't be read: 'utf-8' codec can't decode byte 0xff")


@pytest.mark.parametrize(("text", "line"), [("A", "A"), ("\n# x\n=1", "=1"), ("A=1\n\nB", "B")])
def test_line_of_an_env_file_that_is_not_a_variable_is_an_error(kakuri, tmp_path, text, line):
    (tmp_path / "env").write_text(text)
    result = kakuri("run", "-d", "--name", "web", "--env-file", "env", "nginx")
    number = text.count("\n") + 1
    assert result.code == 2
    assert f"env, line {number}: expected NAME=VALUE, got {line!r}" in result.err


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("never", {"restart_policy": "never"}), ("no", {"restart_policy": "never"}),
        ("always", {"restart_policy": "always"}), ("on-failure", {"restart_policy": "on_failure"}),
        ("on_failure:0", {"restart_policy": "on_failure", "max_restarts": 0}),
        ("always:12", {"restart_policy": "always", "max_restarts": 12}),
    ],
)  # fmt: skip
def test_restart_policy_is_read_in_every_spelling(kakuri, api, given, fields):
    kakuri("run", "-d", "--name", "web", "--restart", given, "nginx")
    spec = api.workloads["web"]["spec"]
    assert {key: spec[key] for key in spec if "restart" in key} == fields


@pytest.mark.parametrize(
    "given",
    [
        "",
        ":5",
        "often",
        "on_failure:x",
        "always:-1",
        "always:",
        "never:1.5",
        "never:3",
        "no:3",
        "always:²",
        "always:" + "9" * 5000,
    ],
)
def test_invalid_restart_policy_is_a_usage_error(kakuri, api, given):
    result = kakuri("run", "-d", "--restart", given, "nginx")
    assert (result.code, api.workloads) == (2, {})
    assert f"got {given!r}" in result.err


@pytest.mark.parametrize(
    ("option", "field"), [("--name", "id"), ("--class", "runtime_class"), ("--user", "user")]
)
def test_empty_option_of_run_is_sent_and_not_left_out(kakuri, api, option, field):
    kakuri("run", "-d", option, "", "nginx")
    assert json.loads(api.received[0].body)[field] == ""


@pytest.mark.parametrize("options", [["--rm"], ["--timeout", "5s"], ["--timeout", "0"]])
def test_detached_run_takes_no_option_for_the_end(kakuri, api, options):
    result = kakuri("run", "-d", *options, "nginx")
    assert (result.code, api.requests) == (2, [])
    assert "-d returns at once" in result.err


def test_dry_run_is_printed_in_each_format(kakuri, api):
    document = json.loads(kakuri("run", "--dry-run", "--json", "--name", "web", "nginx").out)
    assert (document["dry_run"], document["change"]) == (True, "create")
    assert kakuri("run", "--dry-run", "-q", "--name", "web", "nginx").out == "web\n"
    assert kakuri("run", "--dry-run", "--name", "web", "nginx").out == "web  would be created\n"
    kakuri("run", "-d", "--name", "web", "nginx")
    assert kakuri("run", "--dry-run", "--name", "web", "nginx").out == (
        "web  already exists, nothing would change\n"
    )


def test_detached_run_on_a_simulated_node_warns_once(kakuri, api):
    api.nodes[0]["simulated"] = True
    assert kakuri("run", "-d", "--name", "a", "nginx").err.count("nothing really runs") == 1


def test_run_stops_after_ten_seconds_by_default_and_keeps_the_workload(kakuri, environment, api):
    given = {}

    class Follower:
        def __init__(self, _invocation, _api, document, **options):
            given.update(options, id=document["id"])

        def follow(self):
            return 0

    environment.setattr("kakuri._foreground.Foreground", Follower)
    assert kakuri("run", "--name", "job", "busybox").code == 0
    assert given == {"grace": 10.0, "timeout": None, "remove_at_end": False, "id": "job"}
    kakuri("run", "--rm", "--grace", "1m", "--timeout", "2h", "--name", "b", "busybox")
    assert given == {"grace": 60.0, "timeout": 7200.0, "remove_at_end": True, "id": "b"}


@pytest.mark.parametrize("is_detached", [True, False])
def test_refusal_is_125_unless_detached(kakuri, api, is_detached):
    api.overrides[("POST", "/workloads")] = problem(422, code="never_fits", detail="too large")
    result = kakuri("run", *["-d"] * is_detached, "--json", "nginx")
    assert result.code == (5 if is_detached else 125)
    assert json.loads(result.err)["code"] == "never_fits"

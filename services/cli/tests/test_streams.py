"""Standard streams that are closed or full, in a process of its own."""

import itertools
import subprocess
import sys
import threading

import pytest
from kakuri import main

VERBS = ("--help", "ps -o json", "status other", "logs web", "nonsense", "--version")
STREAMS = {"open": "", "closed": "-", "full": "/dev/full"}


@pytest.fixture
def in_shell(api, tmp_path):
    """Run a line of a shell; return what it printed."""
    api.add("web", "running", log=[("2026-11-26T14:01:00Z", "stdout", 0, "hello")])
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KAKURI_HOST": api.url}

    def run(line):
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False,
                              env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL,
                              timeout=100)  # fmt: skip

    return run


def redirected(stdin, stdout, stderr):
    text = "<&- " if stdin == "closed" else ""
    for number, how in ((1, stdout), (2, stderr)):
        text += {"open": "", "closed": f"{number}>&- ", "full": f"{number}>/dev/full "}[how]
    return text


@pytest.mark.parametrize(
    ("stdin", "stdout", "stderr"),
    [each for each in itertools.product(["open", "closed"], STREAMS, STREAMS)
     if each != ("open", "open", "open")],
)  # fmt: skip
def test_exit_code_of_closed_and_full_streams_is_that_of_the_verb(
    in_shell, tmp_path, stdin, stdout, stderr
):
    redirections = redirected(stdin, stdout, stderr)
    command = f"{sys.executable} -m kakuri"
    done = in_shell(
        "; ".join(f"{command} {verb} {redirections}; echo $? >> codes" for verb in VERBS)
    )
    found = (tmp_path / "codes").read_text().split()
    data = 2 if stdout == "full" else 0
    assert found == [str(each) for each in (data, data, 3, data, 2, data)]
    assert "Traceback" not in done.stderr


def test_output_that_is_full_is_named_as_the_cause(in_shell):
    done = in_shell(f"{sys.executable} -m kakuri ps -o json >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: the output can't be written: No space left on device\n"


def test_closed_pipe_with_pythonunbuffered_exits_with_141(in_shell, api):
    for number in range(1000):
        api.add(f"w{number}")
    command = f"PYTHONUNBUFFERED=1 {sys.executable} -m kakuri ps -o json"
    assert in_shell(f"{{ {command}; echo $? >&2; }} | head -c 1").stderr == "141\n"


@pytest.mark.parametrize("redirection", [">&-", ">output", ">/dev/null"])
def test_following_verb_without_a_reader_runs_to_its_end(in_shell, api, redirection):
    def end():
        api.is_asked.wait(60)
        api.change("job", state="succeeded", exit_code=0)

    api.add("job", "running")
    threading.Thread(target=end, daemon=True).start()
    done = in_shell(f"{sys.executable} -m kakuri logs -f job {redirection}")
    assert (done.returncode, done.stderr) == (0, "job ended: exit code 0\n")


def raise_from(environment, error):
    def fail(_args):
        raise error

    environment.setattr("kakuri._main._run", fail)


def test_error_of_a_file_names_the_file(kakuri, environment):
    environment.setattr("kakuri._streams.discard_output", lambda _: None)
    raise_from(environment, PermissionError(13, "Permission denied", "/etc/x"))
    result = kakuri("ps")
    assert (result.code, result.err) == (2, "error: /etc/x: Permission denied\n")


def test_error_of_neither_output_nor_file_is_not_hidden(kakuri, environment):
    raise_from(environment, OSError(9, "Bad file descriptor"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["ps"])


def test_interrupt_outside_of_a_verb_exits_with_130(kakuri, environment):
    raise_from(environment, KeyboardInterrupt())
    assert kakuri("ps").code == 130


def test_run_with_both_streams_on_a_pipe_stops_its_workload_when_the_reader_closes_it(
    in_shell, api
):
    stopped = []
    times = itertools.count()

    def write(api, document):
        api.change("job", state="running", started_at="2026-11-26T14:01:05.000000Z")
        write_on()

    def write_on():
        if not stopped:
            at = f"2026-11-26T14:01:06.{next(times):06d}Z"
            api.write("job", (at, "stdout", 0, "line"))
            threading.Timer(0.02, write_on).start()

    def stop(api, workload_id, grace):
        stopped.append(workload_id)
        api.change(workload_id, state="failed", exit_code=143)

    api.on_post, api.on_stop = write, stop
    command = f"{sys.executable} -m kakuri run --name job busybox 2>&1"
    done = in_shell(f"{{ {command}; echo $? >code; }} | head -n 1; cat code")
    assert (stopped, done.stdout.splitlines()[1:]) == (["job"], ["141"])

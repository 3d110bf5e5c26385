import errno
import os
import sys
from dataclasses import replace

import click
import pytest
from kakuri_daemon import (
    DaemonCommand,
    DaemonError,
    NumberRange,
    WorkerCount,
    allow_user,
    endpoint,
    listen_group,
)
from kakuri_tcp import Endpoint, LocalAccess
from structlog.testing import capture_logs


class Quiet:
    """Stands for the log's stream, and for none of it."""

    def close(self, timeout):
        assert timeout > 0


@pytest.fixture
def daemon(monkeypatch, capsys):
    """Return a function that calls a command and returns its exit status, errors and options."""
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **options: Quiet())
    called = []

    @click.command(cls=DaemonCommand, name="test-daemon", default_listen="127.0.0.1:7000")
    @click.option("--peer", type=endpoint)
    @click.option("--seconds", type=NumberRange(min=0), default=1.0)
    @click.option("--size", type=click.IntRange(1))
    @click.option("--name", "names", multiple=True)
    def command(**options):
        called.append(options)
        if options["names"] == ("raise",):
            raise DaemonError("it can't\nretry")
        if options["names"] == ("exit",):
            click.get_current_context().exit(3)
        if options["names"] == ("interrupt",):
            raise KeyboardInterrupt
        if options["names"] == ("memory",):
            raise MemoryError
        if options["names"] == ("fail",):
            raise RuntimeError("fail")

    def call(*arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        called.clear()
        with pytest.raises(SystemExit) as ended:
            command.main(list(arguments))
        return ended.value.code, capsys.readouterr().err, called[0] if called else None

    return call


SOCKET = ["--listen", "unix:/run/x.sock"]


@pytest.fixture
def access_of(monkeypatch):
    """Return a function that calls a command and returns who may connect, or the exit status."""
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **options: Quiet())
    called = []

    @click.command(cls=DaemonCommand, name="test-daemon", default_listen="127.0.0.1:7000")
    @listen_group
    @allow_user
    def command(listen, local_access):
        called.append(local_access)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            command.main(list(arguments))
        return called.pop() if called else ended.value.code

    return call


@pytest.mark.parametrize(
    ("arguments", "access"),
    [
        ([], LocalAccess(uids=())),
        (SOCKET, LocalAccess(uids=())),
        ([*SOCKET, "--listen-group", "x"], LocalAccess(mode=0o660, group="x", uids=())),
        ([*SOCKET, "--listen-group", "0042"], LocalAccess(mode=0o660, group=42, uids=())),
        (["--allow-user", "root", "--allow-user", "0042"], LocalAccess(uids=(0, 42))),
        (["--allow-unauthenticated"], LocalAccess()),
    ],
)
def test_access_options_select_the_users_who_may_connect(access_of, arguments, access):
    found = access_of(*arguments)
    assert replace(found, hint="") == access
    assert found.hint == "start test-daemon with --allow-user to admit this user"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*SOCKET, "--listen-group", "9" * 5000], "expected the name or number of a group"),
        ([*SOCKET, "--listen-group", "4294967295"], "expected the name or number of a group"),
        (["--listen-group", "x"], "expected --listen unix:PATH for --listen-group"),
        ([*SOCKET, "--allow-user", "root"], "expected --listen HOST:PORT for --allow-user"),
        (["--allow-unauthenticated", "--allow-user", "42"], "--allow-unauthenticated serves every"),
        (["--allow-user", "no such user"], "expected the name or number of a user"),
        (["--allow-user", "a\0b"], "expected the name or number of a user"),
        (["--allow-user", "-1"], "expected the name or number of a user"),
        (["--allow-user", "4294967295"], "expected the name or number of a user"),
        (["--allow-user", "9" * 5000], "expected the name or number of a user"),
    ],
)
def test_invalid_or_contradictory_access_option_is_one_line_and_status_2(
    access_of, capsys, arguments, message
):
    assert access_of(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--size=x", "'x' is not a valid integer"),
        ("--seconds=x", "'x' is not a valid number"),
        ("--seconds=nan", "expected a number, got 'nan'"),
    ],
)
def test_option_that_is_not_a_number_gets_an_error_without_a_range(daemon, option, message):
    status, error, options = daemon(option)
    assert (status, options) == (2, None)
    assert f": {message}" in error


def test_default_is_used_without_option_variable_and_file(daemon):
    status, error, options = daemon()
    assert (status, error) == (0, "")
    assert options == {
        "listen": Endpoint.parse("127.0.0.1:7000"),
        "peer": None,
        "seconds": 1.0,
        "size": None,
        "names": (),
    }


def test_option_beats_own_variable_beats_shared_variable_beats_file(daemon, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('seconds = 2\npeer = "127.0.0.1:1"\nname = ["a", "b"]\nlog-format = "json"\n')
    use = ["--config", str(config)]
    options = daemon(*use)[2]
    assert (options["seconds"], str(options["peer"]), options["names"]) == (
        2.0,
        "127.0.0.1:1",
        ("a", "b"),
    )
    assert daemon(*use, KAKURI_SECONDS="3")[2]["seconds"] == 3.0
    assert daemon(*use, TEST_DAEMON_SECONDS="4")[2]["seconds"] == 4.0
    assert daemon(*use, "--seconds", "5")[2]["seconds"] == 5.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "x"], "--listen"),
        (["--seconds", "-1"], "--seconds"),
        (["--nope"], "--nope"),
        (["--log-format", "xml"], "xml"),
        (["--config", "/does/not/exist"], "can't read /does/not/exist: No such file or directory"),
        (["--listen", "0.0.0.0:1"], "refusing to listen on 0.0.0.0:1"),
        (["--name", "raise"], "it can't; retry"),
    ],
)
def test_invalid_option_is_one_line_and_status_2(daemon, arguments, words):
    status, error, _ = daemon(*arguments)
    assert status == 2
    (line,) = error.splitlines()
    assert line.startswith("test-daemon: ")
    assert words in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen =", "is not valid TOML"),
        ("\x00", "is not valid TOML"),
        ("lisen = 1", "unknown option 'lisen'; did you mean 'listen'?"),
        (
            "zzz = 1",
            "unknown option 'zzz'; expected any of allow-unauthenticated, listen, log-format",
        ),
        ("PEER_ = 1", "unknown option 'PEER_'; did you mean 'peer'?"),
        ("log_level = 'info'", "unknown option 'log_level'; did you mean 'log-level'?"),
        ("listen = 1", "expected a string for 'listen', got 1"),
        ("[listen]\na = 1", "'listen'"),
        ('listen = "nonsense"', "Invalid value for 'listen' in {config}: "),
        ('listen = "0.0.0.0:1"', "Invalid value for 'listen' in {config}: refusing to listen on 0"),
        ("seconds = -1", "Invalid value for 'seconds' in {config}: -1"),
        ('log-level = "loud"', "Invalid value for 'log-level' in {config}: 'loud' is not one of"),
        ('seconds = "soon"', "expected a number for 'seconds', got 'soon'"),
        ("seconds = true", "expected a number for 'seconds', got true"),
        (
            "allow-unauthenticated = 2",
            "expected true or false for 'allow-unauthenticated', got 2",
        ),
        ("name = [1]", "expected an array of strings for 'name', got [1]"),
        (r'name = ["a", "b\u0000"]', r"expected text without NUL for 'name', got ['a', 'b\x00']"),
        (r'log-level = "\u0000"', r"expected text without NUL for 'log-level', got '\x00'"),
        ('name = "a"', "expected an array of strings for 'name', got 'a': write ['a']"),
        ("peer = 1979-05-27", "expected a string for 'peer'"),
        ('config = "again"', "unknown option 'config'"),
    ],
)
def test_invalid_file_is_one_line_and_status_2(daemon, tmp_path, text, words):
    config = tmp_path / "config.toml"
    config.write_text(text)
    status, error, _ = daemon("--config", str(config))
    assert status == 2
    (line,) = error.splitlines()
    assert words.replace("{config}", str(config)) in line
    assert str(config) in line


def test_invalid_value_of_a_variable_is_an_error_that_names_the_variable(daemon):
    _, error, _ = daemon(TEST_DAEMON_SECONDS="-1")
    assert "Invalid value for TEST_DAEMON_SECONDS: -1" in error
    _, error, _ = daemon(TEST_DAEMON_SECONDS="", KAKURI_SECONDS="-1")  # empty: as if it were unset
    assert "Invalid value for KAKURI_SECONDS: -1" in error
    _, error, _ = daemon("--seconds", "-1")
    assert "Invalid value for '--seconds'" in error


def test_invalid_value_on_the_command_line_does_not_name_the_file(daemon, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("seconds = 1\n")
    _, error, _ = daemon("--config", str(config), "--seconds", "-1")
    assert "Invalid value for '--seconds'" in error
    assert str(config) not in error


@pytest.mark.parametrize("level", ["WARNING", "Warning", "warning"])
def test_log_level_is_accepted_in_any_case(daemon, level):
    assert daemon("--log-level", level)[:2] == (0, "")


@pytest.mark.parametrize("form", ["TEXT", "Text"])
def test_log_format_is_accepted_in_any_case(daemon, tmp_path, form):
    config = tmp_path / "config.toml"
    config.write_text(f'log-format = "{form}"\n')
    assert daemon("--log-format", form)[:2] == (0, "")
    assert daemon("--config", str(config))[:2] == (0, "")
    assert daemon(TEST_DAEMON_LOG_FORMAT=form)[:2] == (0, "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TEST_DAEMON_SECOND", None),  # of a program that is not one of Kakuri's
        ("KAKURI_TEST_SECOND", "; did you mean KAKURI_TEST_SECONDS?"),
        ("KAKURI_TEST_ZZZZZZZZZZZZZZ", ""),
        ("KAKURI_LISTN", "; did you mean KAKURI_LISTEN?"),
        ("KAKURI_LOG_DIR", None),  # an option of another daemon
        ("KAKURI_CORPORA", None),
        ("KAKURI_TEST_SECONDS", None),
    ],
)
def test_unknown_variable_is_reported_if_it_resembles_one_of_this_daemon(
    monkeypatch, name, expected
):
    monkeypatch.setenv(name, "1")
    command = DaemonCommand(
        "kakuri-test", default_listen="127.0.0.1:0", params=[click.Option(["--seconds"])]
    )
    assert command.unknown_variables() == (
        [] if expected is None else [f"unknown variable {name}{expected}"]
    )


def test_number_option_without_a_default_requires_a_number_in_the_file(daemon, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("size = 12000\n")
    status, error, options = daemon("--config", str(config))
    assert (status, error, options["size"]) == (0, "", 12000)


def test_address_that_is_not_loopback_requires_allow_unauthenticated(daemon):
    status, _, options = daemon("--listen", "0.0.0.0:0", "--allow-unauthenticated")
    assert (status, str(options["listen"])) == (0, "0.0.0.0:0")
    assert "allow_unauthenticated" not in options


def test_help_shows_the_variables(daemon, capsys):
    with pytest.raises(SystemExit) as ended:
        click.command(cls=DaemonCommand, name="x-daemon", default_listen="127.0.0.1:1")(
            lambda: None
        ).main(["--help"])
    assert ended.value.code == 0
    assert "X_DAEMON_LISTEN" in capsys.readouterr().out


def test_command_that_exits_early_or_is_interrupted_ends_with_that_status(daemon):
    assert daemon("--name", "exit")[:2] == (3, "")
    assert daemon("--name", "interrupt")[0] == 130


def test_command_without_memory_ends_with_one_line_and_status_2(daemon):
    line = "test-daemon: no memory is left (ulimit -v, LimitAS=)\n"
    assert daemon("--name", "memory")[:2] == (2, line)


def test_runtime_error_of_a_command_keeps_its_traceback(daemon):
    with pytest.raises(RuntimeError, match="fail"):
        daemon("--name", "fail")


def test_empty_path_is_one_line_and_status_2(daemon):
    status, error, _ = daemon("--config", "")
    assert status == 2
    assert "--config" in error
    assert "expected a path, got ''" in error


def test_version_option_has_no_variable(monkeypatch, capsys):
    command = click.command(cls=DaemonCommand, name="kakuri-x", default_listen="127.0.0.1:1")(
        click.version_option("1.2.3")(lambda: None)
    )
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "kakuri-x, version 1.2.3\n"
    monkeypatch.setenv("KAKURI_X_VERSION", "1")
    (line,) = command.unknown_variables()
    assert line.startswith("unknown variable KAKURI_X_VERSION")


class Unwritable:
    """A standard output that fails."""

    def __init__(self, error):
        self._error = error

    def write(self, text):
        raise self._error

    def flush(self):
        raise self._error

    def isatty(self):
        return False

    def fileno(self):
        return os.open(os.devnull, os.O_WRONLY)


def test_help_that_cannot_be_written_is_one_line_and_status_2(daemon, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Unwritable(OSError(errno.ENOSPC, "No space left on device")))
    status, error, _ = daemon("--help")
    assert (status, error) == (
        2, "test-daemon: can't write to standard output: No space left on device\n"
    )  # fmt: skip


def test_unknown_variable_is_logged_when_the_daemon_starts(daemon):
    with capture_logs() as logged:
        status, _, options = daemon(KAKURI_LISTN="x", KAKURI_OTHER_LISTEN="x")
    assert (status, options["names"]) == (0, ())
    assert [entry["event"] for entry in logged] == [
        "unknown variable KAKURI_LISTN; did you mean KAKURI_LISTEN?"
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Endpoint.parse("unix:/s"), "unix:/s"),
        ("127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_endpoint_type_accepts_text_and_endpoints(value, expected):
    assert str(endpoint(value)) == expected


@pytest.mark.parametrize(
    "value", [1, "nonsense", "http://a:1", "tls://127.0.0.1:1", Endpoint.parse("tls://a:1")]
)
def test_endpoint_type_rejects_other_values(value):
    with pytest.raises(click.BadParameter) as caught:
        endpoint(value)
    expected, _, _ = caught.value.message.partition(", got ")
    assert "tls://" not in expected


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("workers = 3", 0, ""),
        ('workers = "auto"', 0, ""),
        ("workers = true", 2, "expected a whole number or \"auto\" for 'workers', got true"),
        ("workers = 0", 2, "expected 'auto' or a whole number from 1 to"),
        ('workers = "003"', 0, ""),
        ('workers = "0000000019999"', 2, "expected 'auto' or a whole number from 1 to"),
    ],
)
def test_number_of_workers_in_a_file_is_a_number_or_auto(
    monkeypatch, capsys, tmp_path, text, status, words
):
    monkeypatch.setattr("kakuri_daemon._command.configure_logs", lambda **options: Quiet())
    called = []

    @click.command(cls=DaemonCommand, name="test-daemon", default_listen="127.0.0.1:7000")
    @click.option("--workers", type=WorkerCount())
    def command(listen, workers):
        called.append(workers)

    config = tmp_path / "config.toml"
    config.write_text(text)
    with pytest.raises(SystemExit) as ended:
        command.main(["--config", str(config)])
    assert ended.value.code == status
    assert words in capsys.readouterr().err
    assert len(called) == (status == 0)

import os
import pwd

import pytest
from kakuri._contexts import (
    Context,
    Target,
    checked_host,
    config_path,
    find_target,
    read_contexts,
)
from kakuri._exits import UsageError

FILE = """\
current = "lab"
[context.lab]
host = "https://kakuri.example"
token_file = "~/token"
[context."my box"]
host = "unix:/run/kakuri.sock"
"""


@pytest.fixture
def environ(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return {"KAKURI_CLI_CONFIG": str(path)}


@pytest.mark.parametrize(
    ("host", "context", "variables", "expected", "source"),
    [
        ("http://a:1", "my box", {"KAKURI_HOST": "http://b:2"}, "http://a:1", "--host"),
        (None, "my box", {"KAKURI_HOST": "http://b:2"}, "unix:/run/kakuri.sock", "--context"),
        (None, None, {"KAKURI_HOST": "http://b:2", "KAKURI_CONTEXT": "my box"}, "http://b:2",
         "KAKURI_HOST"),
        (None, None, {"KAKURI_CONTEXT": "my box"}, "unix:/run/kakuri.sock", "KAKURI_CONTEXT"),
        (None, None, {}, "https://kakuri.example", None),
    ],
)  # fmt: skip
def test_first_given_of_options_variables_and_file_selects_the_control_plane(
    environ, host, context, variables, expected, source
):
    target = find_target(host, context, environ | variables)
    assert target.context.host == expected
    assert target.source == (source or environ["KAKURI_CLI_CONFIG"])


def test_without_anything_the_control_plane_is_on_loopback(tmp_path):
    target = find_target(None, None, {"HOME": str(tmp_path)})
    assert (target.context.host, target.source) == ("http://127.0.0.1:8080", "default")


def test_host_option_does_not_read_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("not TOML")
    target = find_target("http://a:1", None, {"KAKURI_CLI_CONFIG": str(path)})
    assert target.context.host == "http://a:1"


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("http://a:1", "http://a:1"), ("http://a:1/", "http://a:1"), ("a:1", "http://a:1"),
        ("[::1]:8080", "http://[::1]:8080"), ("https://a.example", "https://a.example"),
        ("unix:/run/a", "unix:/run/a"), ("unix:///run/a", "unix:/run/a"),
    ],
)  # fmt: skip
def test_host_is_accepted_in_every_spelling(given, host):
    assert checked_host(given, "--host") == host


@pytest.mark.parametrize(
    "given", ["", "ftp://a", "http://", "http://a:1/path", "unix:relative", "http://a b", "a:port"]
)
def test_text_that_is_not_a_host_raises_usage_error_with_its_place(given):
    with pytest.raises(UsageError, match=r"^--host: expected http://HOST:PORT"):
        checked_host(given, "--host")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("current = 3", "current: expected the name of a context, got 3"),
        ("contexts = {}", "contexts: expected current or context, got 'contexts'"),
        ("[context.a]", "context.a: expected a host, got {}"),
        ("[context.a]\nhost = 1", "context.a.host: expected a string, got 1"),
        ("[context.a]\nhost = 'a'\ntoken = 'x'",
         "context.a: expected one of ca, host, server_user, token_file, got 'token'"),
        ("[context]\na = 1", "context.a: expected a table, got 1"),
        ("context = 1", "context: expected tables [context.NAME], got 1"),
        ("[context.a]\nhost = 'a:65536'", "context.a.host: expected a port from 0 to 65535, got 65536"),
    ],
)  # fmt: skip
def test_file_that_is_not_valid_raises_usage_error_with_its_place(tmp_path, text, message):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_contexts({"KAKURI_CLI_CONFIG": str(path)})
    assert caught.value.message == f"{path}: {message}"


def test_current_context_that_does_not_exist_is_an_error_only_where_it_is_used(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("current = 'x'\n[context.a]\nhost = 'a'")
    environ = {"KAKURI_CLI_CONFIG": str(path)}
    with pytest.raises(UsageError) as caught:
        find_target(None, None, environ)
    assert caught.value.message == f"current: there is no context 'x' in {path}; it has a"
    assert list(read_contexts(environ).named) == ["a"]  # so that `context use` can mend it


@pytest.mark.parametrize("given", ["http://127.0.0.1:99999", "127.1:80", "http://a..b"])
def test_address_that_cannot_be_connected_to_raises_usage_error_with_its_place(given):
    with pytest.raises(UsageError, match=r"^KAKURI_HOST: expected "):
        checked_host(given, "KAKURI_HOST")


@pytest.mark.parametrize("key", ["host", "token_file", "ca", "server_user"])
def test_value_with_nul_raises_usage_error(tmp_path, key):
    path = tmp_path / "config.toml"
    host = "" if key == "host" else 'host = "https://x"\n'
    path.write_text(f'[context.a]\n{host}{key} = "/a\\u0000b"\n')
    with pytest.raises(UsageError, match=rf"context.a.{key}: expected text without NUL, got "):
        read_contexts({"KAKURI_CLI_CONFIG": str(path)})


def test_link_to_the_file_stays_when_it_is_written(environ, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(config_path(environ))
    contexts = read_contexts({"KAKURI_CLI_CONFIG": str(link)})
    contexts.named["added"] = Context("http://127.0.0.1:1")
    contexts.write()
    assert link.is_symlink()
    assert "added" in read_contexts(environ).named


def test_user_whose_home_is_not_a_directory_has_no_contexts():
    assert read_contexts({"HOME": "/dev/null"}).named == {}


def test_file_is_read_again_as_it_was_written(environ):
    contexts = read_contexts(environ)
    contexts.named["new"] = Context("http://new:1", ca='/tmp/"odd" ca', server_user="7")
    contexts.current = "new"
    contexts.write()
    assert vars(read_contexts(environ)) == vars(contexts)


def test_context_that_is_not_in_the_file_raises_usage_error_with_those_that_are(environ):
    with pytest.raises(UsageError, match=r"no context 'x' in .*; it has lab, my box"):
        find_target(None, "x", environ)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"KAKURI_CLI_CONFIG": "/a/b", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/a/b"),
        ({"KAKURI_CLI_CONFIG": "", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/kakuri/config.toml"),
        ({"XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/kakuri/config.toml"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/kakuri/config.toml"),
        ({}, f"{pwd.getpwuid(os.getuid()).pw_dir}/.config/kakuri/config.toml"),
    ],
)
def test_path_of_the_file_is_the_first_that_is_set(environ, path):
    assert str(config_path(environ)) == path


def test_path_of_the_file_of_an_unknown_user_is_below_the_root(monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 3)
    assert config_path({}) == "/.config/kakuri/config.toml"


def test_file_that_does_not_exist_has_no_contexts_and_is_created(tmp_path):
    environ = {"KAKURI_CLI_CONFIG": str(tmp_path / "a/b/config.toml")}
    contexts = read_contexts(environ)
    assert (contexts.named, contexts.current) == ({}, None)
    contexts.write()
    contexts.write()
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff", "can't be read: "), (None, "can't be read: "), (b"a =", "is not valid TOML: ")],
)
def test_file_that_cannot_be_read_raises_usage_error_with_its_path(tmp_path, content, message):
    path = tmp_path / "config.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_contexts({"KAKURI_CLI_CONFIG": str(path)})
    assert caught.value.message.startswith(f"{path} {message}")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\x7fb", "a\tb", "é\u2028", "a\nb", "\x80"])
def test_any_text_is_read_again_as_it_was_written(environ, text):
    contexts = read_contexts(environ)
    contexts.named[text] = Context("http://new:1", token_file=text, ca=text)
    contexts.current = text
    contexts.write()
    assert vars(read_contexts(environ)) == vars(contexts)


def test_text_that_is_not_utf_8_raises_usage_error_and_keeps_the_file(environ):
    before = read_contexts(environ)
    contexts = read_contexts(environ)
    contexts.named["new"] = Context("http://new:1", token_file="a\udcff")
    with pytest.raises(UsageError, match="can't be written to the file"):
        contexts.write()
    assert vars(read_contexts(environ)) == vars(before)


@pytest.mark.parametrize(
    ("target", "label"),
    [
        (Target(Context("http://a"), "--host"), "http://a"),
        (Target(Context("http://a"), "x", "lab"), "lab (http://a)"),
    ],
)
def test_label_of_a_control_plane_has_its_name(target, label):
    assert target.label == label


def test_target_of_each_context_has_its_name(environ):
    assert find_target(None, None, environ).name == "lab"
    assert find_target(None, "my box", environ).name == "my box"
    assert find_target("http://a:1", "my box", environ).name is None
    assert find_target(None, None, environ | {"KAKURI_HOST": ""}).name == "lab"
    assert find_target(None, None, environ | {"KAKURI_CONTEXT": ""}).name == "lab"

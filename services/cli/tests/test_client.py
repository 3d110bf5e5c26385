"""Requests to the control plane: their limits, and the errors that responses and failures become."""

import copy
import pickle
import re
import resource
from types import SimpleNamespace

import pytest
from kakuri import _client as client
from kakuri._contexts import Context, Target
from kakuri._exits import (
    ClosedPipe,
    CommandError,
    Exit,
    NotFound,
    Unreachable,
    UsageError,
)
from kakuri._files import Fault, FileFaults
from kakuri._run import NotRun
from kakuri_http import (
    ClientError,
    ConnectFailed,
    ProtocolError,
    Response,
    Timeouts,
    TooManyRedirects,
    UntrustedServer,
)
from kakuri_workload import WORKLOAD_ID

from .test_exit_codes import ARGUMENTS


class Transport:
    """Records how the client is made and what it is asked for; answers with an empty object."""

    made: SimpleNamespace
    error: Exception | None = None

    def __init__(self, endpoint, *, tls, limits, trusted_uids):
        Transport.made = SimpleNamespace(
            endpoint=endpoint, tls=tls, limits=limits, trusted_uids=trusted_uids, requests=[]
        )

    def request(self, method, url, **options):
        self.made.requests.append((method, url, options))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(status=200, body=b"{}", headers={})

    def close(self):
        pass


@pytest.fixture
def transport(monkeypatch):
    monkeypatch.setattr(client, "BlockingClient", Transport)
    monkeypatch.setattr(Transport, "error", None)
    return Transport


def api_of(host, source="--host", **fields):
    return client.API(Target(Context(host, **fields), source))


def test_request_waits_thirty_seconds_and_as_long_as_the_server_was_asked_to(transport):
    api = api_of("http://a:1")
    api.get("/x")
    api.request("POST", "/x", wait=5.0)
    api.get("/x", wait=7.0)
    waits = [options["timeouts"] for _, _, options in transport.made.requests]
    assert waits == [Timeouts(read=each, total=each + 30.0) for each in (30.0, 35.0, 37.0)]


def test_response_may_have_64_mib(transport):
    api_of("http://a:1")
    assert transport.made.limits.body == 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("host", "endpoint", "url"),
    [
        ("http://a:1", None, "http://a:1/x"),
        ("https://a", None, "https://a/x"),
        ("unix:/run/x.sock", "unix:/run/x.sock", "/x"),
    ],
)
def test_socket_is_connected_to_and_a_host_is_part_of_the_url(transport, host, endpoint, url):
    api_of(host).get("/x")
    assert transport.made.endpoint == endpoint
    assert transport.made.requests[0][:2] == ("GET", url)


@pytest.mark.parametrize(
    ("host", "ca", "is_used"),
    [("https://a", "~/ca.pem", True), ("https://a", None, False), ("http://a", "~/ca.pem", False)],
)
def test_authorities_are_those_of_the_context_for_https(
    transport, monkeypatch, tmp_path, host, ca, is_used
):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = []
    monkeypatch.setattr("kakuri_tcp.ClientTLS", lambda **options: made.append(options) or "tls")
    api_of(host, ca=ca)
    assert made == ([{"ca": str(tmp_path / "ca.pem")}] if is_used else [])
    assert transport.made.tls == ("tls" if is_used else None)


@pytest.mark.parametrize(
    ("user", "uids"), [("root", [0]), ("1234", [1234]), ("4294967294", [2**32 - 2])]
)
def test_server_user_of_the_context_is_trusted(transport, user, uids):
    with client.API(Target(Context("unix:/a.sock", server_user=user), "--context")):
        assert transport.made.trusted_uids == uids


@pytest.mark.parametrize("host", ["http://127.0.0.1:8080", "unix:/a.sock"])
@pytest.mark.parametrize(("users", "uids"), [({}, []), ({"kakuri-control-plane": 61234}, [61234])])
def test_user_of_the_systemd_unit_is_trusted_without_server_user(
    transport, monkeypatch, host, users, uids
):
    monkeypatch.setattr("pwd.getpwnam", lambda name: SimpleNamespace(pw_uid=users[name]))
    api_of(host)
    assert transport.made.trusted_uids == uids


@pytest.mark.parametrize(
    ("host", "platform"),
    [("https://127.0.0.1:8443", "linux"), ("http://127.0.0.1:8080", "darwin")],
)
def test_server_on_loopback_is_not_checked_with_https_or_outside_linux(
    transport, monkeypatch, host, platform
):
    monkeypatch.setattr("sys.platform", platform)
    api_of(host)
    assert transport.made.trusted_uids is None


@pytest.mark.parametrize("user", ["", "no such user", "4294967295", "-1", "١"])
def test_server_user_that_does_not_exist_is_a_usage_error(transport, user):
    with pytest.raises(UsageError, match=r"server_user of unix:/a.sock: expected the name or "):
        client.API(Target(Context("unix:/a.sock", server_user=user), "--context"))


def test_server_of_another_user_is_an_error_that_names_the_option(transport):
    transport.error = UntrustedServer("user 7 listens there", uid=7)
    with pytest.raises(Unreachable, match=r"7 listens there; .* context add --server-user"):
        api_of("unix:/a.sock").request("GET", "/")


def test_fields_of_a_request_override_those_of_the_context(transport, tmp_path):
    (tmp_path / "token").write_text(" secret \n")
    api = api_of("https://a", token_file=str(tmp_path / "token"))
    api.request("POST", "/x", params=[("a", "b")], body=b"c", headers={"X": "y"})
    api.clone().request("GET", "/x", headers={"Authorization": "other"})
    ((_, _, first),) = transport.made.requests[:1]
    assert first["headers"] == {"Authorization": "other"}


def test_limit_of_open_files_is_raised_to_its_maximum():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        client.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("path", ["/", "/run/", "/" + "x" * 300])
def test_socket_that_cannot_exist_is_a_usage_error_with_its_source(kakuri, path):
    result = kakuri("ps", "--host", f"unix:{path}")
    assert result.code == 2
    assert re.match("error: --host: expected (the absolute path|a Unix socket path)", result.err)


@pytest.mark.parametrize("text", [b"\xff", None])
def test_token_that_cannot_be_read_is_a_usage_error(tmp_path, text):
    if text is not None:
        (tmp_path / "token").write_bytes(text)
    with pytest.raises(UsageError, match=r"^the token file /.*/token can't be read: "):
        api_of("https://a", token_file=str(tmp_path / "token"))


def test_token_with_thousands_of_characters_is_sent(tmp_path):
    (tmp_path / "token").write_text("x" * 8000)
    api = api_of("https://a", token_file=str(tmp_path / "token"))
    assert api._headers == {"Authorization": "Bearer " + "x" * 8000}


@pytest.mark.parametrize(
    ("token", "got"),
    [("", "0 characters"), ("x" * 8001, "8001 characters"), ("sec\nret", "other characters"),
     ("sec ret", "other characters"), ("sec\x1bret", "other characters"),
     ("sécret", "other characters")],
)  # fmt: skip
def test_invalid_token_is_a_usage_error_that_does_not_show_it(tmp_path, token, got):
    path = tmp_path / "file"
    path.write_text(f"{token}\n")
    with pytest.raises(UsageError) as caught:
        api_of("https://a", token_file=str(path))
    expected = "expected a token of 1 to 8000 printable ASCII characters, without spaces"
    assert caught.value.message == f"{path}: {expected}, got {got}"


@pytest.mark.parametrize("host", ["http://a", "http://10.0.0.1:80", "http://127.0.0.1.a:80"])
def test_token_is_not_sent_unencrypted_to_another_machine(tmp_path, host):
    (tmp_path / "token").write_text("secret")
    with pytest.raises(UsageError, match=rf"^{host}: the token would be sent to another"):
        api_of(host, token_file=str(tmp_path / "token"))


@pytest.mark.parametrize("host", ["https://a", "unix:/a.sock", "http://localhost", "http://[::1]"])
def test_token_is_sent_encrypted_or_on_this_machine(transport, tmp_path, host):
    (tmp_path / "token").write_text("secret")
    api_of(host, token_file=str(tmp_path / "token")).request("GET", "/x")
    ((_, _, request),) = transport.made.requests
    assert request["headers"] == {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("default", "; kakuri up starts a control plane, --host names another one"),
        ("KAKURI_HOST", " (from KAKURI_HOST)"),
    ],
)
def test_refused_connection_names_what_selected_the_control_plane(transport, source, hint):
    transport.error = ConnectFailed("refused")
    with pytest.raises(Unreachable) as caught:
        api_of("http://a:1", source).request("POST", "/x")
    assert (caught.value.message, caught.value.code) == (f"refused{hint}", "unreachable")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT"])
@pytest.mark.parametrize("error", [ClientError("late"), ProtocolError("wrong")])
def test_outcome_of_a_request_without_a_response_is_unknown_unless_it_only_reads(
    transport, method, error
):
    transport.error = error
    with pytest.raises(Unreachable) as caught:
        api_of("http://a:1").request(method, "/x")
    unknown = "it is not known whether the request was carried out" in caught.value.message
    assert unknown == (method not in ("GET", "HEAD"))
    assert caught.value.code == "no_answer"
    assert caught.value.exit_code == 6


def test_redirected_request_was_not_carried_out(transport):
    transport.error = TooManyRedirects("too many", ["http://a/"])
    with pytest.raises(Unreachable, match=r"^too many$"):
        api_of("http://a:1").request("POST", "/x")


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(299, None), (300, 6), (399, 6), (400, 2), (402, 2), (404, 3), (409, 4), (410, 3), (411, 2),
     (412, 4), (422, 5), (499, 2), (500, 6), (599, 6)],
)  # fmt: skip
def test_status_without_a_known_code_decides_about_the_exit_code(kakuri, api, status, exit_code):
    api.overrides[("GET", "/nodes")] = Response(status, b'{"nodes":[]}', content_type="text/plain")
    assert kakuri("nodes").code == (exit_code or 0)


def test_response_that_is_not_modified_is_not_a_redirect(kakuri, api):
    api.overrides[("GET", "/nodes")] = Response(304)
    assert kakuri("api", "GET", "/nodes", "-H", "If-None-Match: x").code == 0


@pytest.mark.parametrize(("status", "is_shown"), [(404, False), (499, False), (500, True)])
def test_trace_is_shown_only_with_server_errors(kakuri, api, status, is_shown):
    body = b'{"detail":"why","trace":"4bf9\\u001b"}'
    api.overrides[("GET", "/nodes")] = Response(status, body, content_type="application/json")
    assert kakuri("nodes").err == "error: why\n" + "  trace 4bf9\\x1b\n" * is_shown


def test_texts_of_the_server_are_printed_without_control_characters(kakuri, api):
    body = b'{"detail":"a\\u001bb","errors":[3,{"path":"$.\\u0007","message":"c\\u009b"}]}'
    api.overrides[("GET", "/nodes")] = Response(400, body, content_type="application/json")
    assert kakuri("nodes").err == "error: a\\x1bb\n  $.\\x07: c\\x9b\n"


@pytest.mark.parametrize("body", [b"[]", b"3", b"<html>", b""])
def test_refusal_without_a_problem_document_has_its_status(kakuri, api, body):
    api.overrides[("GET", "/nodes")] = Response(404, body, content_type="text/html")
    assert kakuri("nodes").err == "error: HTTP 404 Not Found\n"
    document = kakuri("nodes", "--json").err
    assert '"code":"not_found"' in document


class Everywhere(dict):
    """The same response to every request."""

    def __init__(self, response):
        super().__init__()
        self._response = response

    def get(self, key, default=None):
        return self._response


READING = ("ps", "status", "wait", "history", "stop", "start", "events", "nodes", "node", "version")
"""The verbs that show fields of the response, and do not print it as it came."""


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize(
    ("body", "message"),
    [(b"{}", "has no field '"), (b"[]", "is not a JSON object"), (b"null", "is not a JSON object")],
)
def test_response_of_a_server_that_is_not_a_control_plane_is_an_error_of_each_verb(
    kakuri, api, verb, body, message
):
    kind = "application/x-ndjson" if verb == "events" else "application/json"
    api.overrides = Everywhere(Response(200, body + b"\n", content_type=kind))
    result = kakuri(verb, *ARGUMENTS[verb])
    assert result.code == 6
    assert message in result.out + result.err


@pytest.mark.parametrize("verb", [*READING, "logs", "run", "rm", "api"])
@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirect_is_an_error_of_each_verb(kakuri, api, verb, status):
    headers = {"Location": "http://proxy/login"}
    api.overrides = Everywhere(Response(status, b"", headers=headers))
    arguments = {"logs": ["a"], "run": ["-d", "x"], "rm": ["-f", "a"], "api": ["GET", "/"]}
    result = kakuri(verb, *(arguments.get(verb) or ARGUMENTS[verb]))
    assert result.code == 6
    message = f"the response: expected no redirect, got HTTP {status} to http://proxy/login"
    assert message in result.out + result.err


@pytest.mark.parametrize(
    ("arguments", "status", "content"),
    [
        (["run", "-d", "x"], 200, b"<html>"), (["run", "-d", "x"], 201, b'{"id":"another"}'),
        (["rm", "-f", "a"], 204, b""), (["rm", "-f", "a"], 202, b'{"id":"another"}'),
        (["logs", "a"], 200, b"<html>"), (["logs", "-f", "a"], 200, b"<html>"),
    ],
)  # fmt: skip
def test_success_response_of_another_server_is_an_error(kakuri, api, arguments, status, content):
    kind = "text/html" if content == b"<html>" else "application/json"
    response = Response(status, content, content_type=kind) if content else Response(status)
    api.overrides = Everywhere(response)
    result = kakuri(*arguments)
    assert (result.code, result.out) == (6, "")
    assert re.match(
        r"error: (the response|a record of the log)(: (\$\.id: )?| is not valid JSON: )expected ",
        result.err,
    )


ERRORS = [
    UsageError("wrong"),
    Unreachable("lost", code="no_answer", document=b"{}"),
    NotFound("no", document=b"{}"),
    CommandError("late", Exit.TIMEOUT, code="timeout"),
    NotRun("why", Exit.NOT_RUN, code="capacity", document=b"{}"),
    FileFaults([Fault("a.toml", "$.a", "expected b", 3)]),
    client.APIProblem("full", Exit.NO_ROOM, code="capacity", status=503, problem={"a": 1},
                      document=b"{}"),
    ClosedPipe(),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_copy_of_an_error_is_the_same(error, duplicate):
    found = duplicate(error)
    assert type(found) is type(error)
    assert (found.args, vars(found), str(found)) == (error.args, vars(error), str(error))


@pytest.mark.parametrize("given", ["", ".", "..", "../nodes", "a b", "A", "a" * 64])
@pytest.mark.parametrize(
    "verb", ["status", "stop", "start", "restart", "rm", "logs", "wait", "history"]
)
def test_text_that_cannot_be_an_id_is_not_found_and_nothing_is_sent(kakuri, api, verb, given):
    result = kakuri(verb, given)
    assert (result.code, result.err) == (3, f"error: no workload '{given}'\n")
    assert api.requests == []


def test_pattern_of_ids_is_that_of_workloads():
    assert client._ID == WORKLOAD_ID


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_node_without_a_name_is_not_found_and_nothing_is_sent(kakuri, api, name):
    result = kakuri("node", name)
    assert (result.code, result.err, api.requests) == (3, f"error: no node '{name}'\n", [])

"""Responses that are not what the API describes, wherever in a document the fault is."""

import copy
import io
import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kakuri import main
from kakuri._client import API
from kakuri._exits import Unreachable
from kakuri._outage import OutageTracker
from kakuri._schemas import EVENT, HISTORY, NODE, STATUS, WORKLOADS, read_document, schema_of
from kakuri_http import ConnectFailed, Headers

from .fake_api import INDEX, RECEIPT, SPEC, START
from .fake_api import NODE as NODE1

WEB = {
    "id": "web", "state": "succeeded", "exit_code": 0, "reason": "Completed", "restarts": 1,
    "message": "done", "address": "10.88.7.2", "version": 7, "created_at": START,
    "changed_at": START, "started_at": START, "ended_at": START, "image_digest": "sha256:9b1c",
    "spec": {"id": "web", **SPEC, "command": ["sh"], "args": ["-c", "true"], "labels": {"a": "b"}},
    "isolation": {"handler": "edera", "checked_at": START}, "removal": RECEIPT, "removed": RECEIPT,
}  # fmt: skip
STEP = {"at": START, "state": "running", "reason": "Started", "message": "m", "count": 2}
EVENT1 = {"index": 3, "at": START, "type": "workload", "id": "web", "state": "running",
          "reason": "Started", "attempt": 1}  # fmt: skip
HEARTBEAT = b'{"index":3,"type":"heartbeat"}\n'
RECORD = {"at": START, "stream": "stdout", "attempt": 0, "line": "hello"}
DRY_RUN = {"dry_run": True, "change": "create", "workload": {"id": "web", **SPEC},
           "image": {"state": "present", "digest": "sha256:9b1c"}}  # fmt: skip
PROBLEM = {"title": "Conflict", "status": 409, "detail": "exists", "code": "conflict",
           "errors": [{"path": "$.image", "message": "differs"}]}  # fmt: skip
DOCUMENTS = {
    "/": INDEX, "/healthz": {"status": "ok"}, "/readyz": {"status": "ok"},
    "/nodes": {"nodes": [NODE1]}, "/nodes/node1": NODE1,
    "/workloads": {"workloads": [WEB]}, "/workloads/web": WEB,
    "/workloads/web/history": {"id": "web", "transitions": [STEP]},
    "dry run": DRY_RUN, "/events": EVENT1, "log": RECORD,
}  # fmt: skip
VERBS = [
    ["ps", "-a"], ["ps", "-a", "--sort", "age"], ["ps", "-a", "--sort", "state"], ["status", "web"],
    ["history", "web"], ["logs", "web"], ["logs", "-f", "web"], ["logs", "web", "api"],
    ["events"], ["events", "--tail", "3"], ["events", "--since", "10m"], ["wait", "web"],
    ["wait", "web", "--for", "running", "--timeout", "0"], ["stop", "web"], ["start", "web"],
    ["restart", "web"], ["rm", "-f", "web"], ["apply", "--yes"], ["diff", "--prune"], ["plan"],
    ["nodes"], ["node", "node1"], ["doctor", "--no-local"], ["version"],
    ["run", "-d", "--name", "web", "nginx"], ["run", "--name", "web", "nginx"],
    ["run", "--name", "web", "--rm", "nginx"], ["run", "--dry-run", "--name", "web", "nginx"],
]  # fmt: skip
FILE = 'set = "all"\n[workload.web]\nimage = "nginx:1.27"\nlabels = {a = "c"}\n'
MAX_REQUESTS = 60
CODES = {0, 1, 2, 3, 4, 5, 6, 124, 125}


class Server:
    """Takes the place of the client, and responds with prepared documents."""

    def __init__(self, documents, status=200):
        self.documents = documents
        self.status = status
        self.requests = 0
        self.trailers = None
        self.reason = "OK"

    def __call__(self, *_args, **_options):
        return self

    def close(self):
        pass

    def _body(self, target, params):
        self.requests += 1
        if self.requests > MAX_REQUESTS:
            raise ConnectFailed("enough requests")
        path = target.removeprefix("http://127.0.0.1:8080").replace("/api", "/web")
        for ending in ("/stop", "/start", "/restart"):
            path = path.removesuffix(ending)
        if path.endswith("/log"):
            path = "log"
        if ("dry_run", "true") in params:
            path = "dry run"
        return json.dumps(self.documents[path]).encode()

    def request(self, method, target, *, params, **_options):
        if method == "POST" and target.endswith("/workloads") and not params:
            target += "/web"
            return Received(201 if self.status == 200 else self.status, self._body(target, params))
        body = self._body(target, params)
        if method == "POST" and target.endswith("/workloads"):
            return Received(201 if self.status == 200 else self.status, body)
        return Received(self.status, body)

    def stream(self, _method, target, *, params, **_options):
        heartbeat = HEARTBEAT if ("after", "now") in params else b""
        is_text = target.endswith("/log") and ("format", "ndjson") not in params
        content_type = "text/plain" if is_text else "application/x-ndjson"
        return Received(self.status, self._body(target, params) + b"\n" + heartbeat, content_type)


class Received:
    """A response, whole or as a stream."""

    reason, trailers = "", None

    def __init__(self, status, body, content_type="application/json"):
        self.status, self.body = status, body
        self.headers = Headers(
            [("Date", "Thu, 26 Nov 2026 14:01:17 GMT"), ("Content-Type", content_type)]
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __iter__(self):
        return iter([self.body])

    def read(self):
        return self.body


def places(document, path=()):
    """Yield the path of each value of a document."""
    if path:
        yield path
    members = ()
    if isinstance(document, dict | list):
        members = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in members:
        yield from places(value, (*path, key))


HOSTILE = st.sampled_from([
    None, True, False, 0, -1, 2**63, 2**31, 1.5, "", "x", "\x1b]0;owned\x07", "\x9b2J", "\u202e",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2026-11-26T14:01:00", "2026-11-26", [],
    {}, [None], [[]], {"id": {}}, {"id": None}, [{}], ["x", 1], {"x": 1}, {"x": []}, [{"id": 1}],
    list(range(1000)),
])  # fmt: skip


@st.composite
def mutated(draw):
    """Draw documents of which one has one or two values replaced or removed."""
    documents = copy.deepcopy(DOCUMENTS)
    name = draw(st.sampled_from(sorted(documents)))
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(documents[name]))
        if not found:
            break
        *path, last = draw(st.sampled_from(found))
        parent = documents[name]
        for key in path:
            parent = parent[key]
        if draw(st.booleans()) and isinstance(parent, dict):
            del parent[last]
        else:
            parent[last] = copy.deepcopy(draw(HOSTILE))
    return documents


@pytest.fixture
def responded(environment, tmp_path):
    """Run a command against prepared documents; return its exit code, and what it printed."""
    (tmp_path / "kakuri.toml").write_text(FILE)

    def fail(_self, error):
        raise error

    environment.setattr(OutageTracker, "attempt_failed", fail)

    def run(arguments, documents, status=200):
        environment.setattr("kakuri._client.BlockingClient", Server(documents, status))
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        environment.setattr(sys, "stdout", out)
        environment.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return ended.value.code, *texts

    return run


QUICK = settings(
    deadline=None, max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_documents_that_are_as_described_are_accepted_by_each_verb(responded, verb):
    code, _, err = responded(verb, DOCUMENTS)
    assert code in (0, 1)
    assert "expected" not in err
    assert "has no field" not in err


@QUICK
@given(verb=st.sampled_from(VERBS), form=st.sampled_from(["table", "wide", "json", "jsonl", "name"]),
       documents=mutated())  # fmt: skip
def test_document_with_a_wrong_value_ends_each_verb_with_an_exit_code_and_a_message(
    responded, verb, form, documents
):
    code, out, err = responded([verb[0], "-o", form, *verb[1:]], documents)
    assert code in CODES
    assert code in (0, 1) or err or '"problem"' in out  # that of version is in its document
    shown = err if verb[0] == "logs" or form == "json" else out + err
    assert "\x1b" not in shown
    assert "\x9b" not in err


@QUICK
@given(verb=st.sampled_from(VERBS), document=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*PROBLEM, "oldest", "trace", "x"]), inner, max_size=4),
    max_leaves=8), status=st.sampled_from([200, 400, 404, 409, 410, 503]))  # fmt: skip
def test_any_document_with_any_status_ends_each_verb_with_an_exit_code(
    responded, verb, document, status
):
    code, out, err = responded(verb, dict.fromkeys(DOCUMENTS, document), status)
    assert code in CODES
    assert code == 0 or out or err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("schema", "document", "message"),
    [
        (WORKLOADS, {"workloads": [{"id": 1}]},
         "$.workloads[0].id: expected text without control characters, got 1"),
        (WORKLOADS, {"workloads": None}, "$.workloads: expected an array, got null"),
        (WORKLOADS, {"workloads": [WEB, "x"]}, "$.workloads[1]: expected an object, got 'x'"),
        (STATUS, {"spec": {"labels": {"a": []}}},
         "$.spec.labels: expected an object of text, got an object"),
        (STATUS, {"spec": []}, "$.spec: expected an object, got an array"),
        (STATUS, {"id": "\x1b[2J"},
         r"$.id: expected text without control characters, got '\x1b[2J'"),
        (STATUS, {"version": True},
         "$.version: expected a whole number below 2^63, got a boolean"),
        (STATUS, {"exit_code": 2**31}, "$.exit_code: expected an exit code, got 2147483648"),
        (NODE, {"started_at": "yesterday"},
         "$.started_at: expected a time like 2026-01-31T12:00:00Z, got 'yesterday'"),
        (NODE, {"simulated": 1}, "$.simulated: expected true or false, got 1"),
        (EVENT, {"message": {}}, "$.message: expected text, got an object"),
        (HISTORY, {"id": "x" * 100 + "\n"},
         f"$.id: expected text without control characters, got '{'x' * 58}…"),
    ],
)  # fmt: skip
def test_field_of_wrong_type_is_an_error_that_names_its_place(schema, document, message):
    with pytest.raises(Unreachable) as caught:
        read_document(json.dumps(document).encode(), "the response", schema)
    assert (caught.value.message, caught.value.code) == (f"the response: {message}", "bad_answer")


def test_missing_field_is_an_error_that_names_its_place():
    document = read_document(b'{"workloads":[{"id":"web"}]}', "the list", WORKLOADS)
    with pytest.raises(Unreachable) as caught:
        document["workloads"][0]["state"]
    assert caught.value.message == "the list: $.workloads[0] has no field 'state'"
    with pytest.raises(Unreachable) as caught:
        document["next"]
    assert caught.value.message == "the list has no field 'next'"


def test_fields_that_are_not_described_are_kept():
    later = {"id": "web", "later": {"deep": [None]}}
    assert read_document(json.dumps(later).encode(), "the response", STATUS) == later


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/workloads/web", STATUS), ("/workloads/web/history", HISTORY),
        ("/workloads/history", STATUS), ("/workloads/history/history", HISTORY),
    ],
)  # fmt: skip
def test_schema_of_a_workload_does_not_depend_on_its_name(path, schema):
    assert schema_of("GET", path, ()) is schema


def test_workload_named_history_is_checked_as_every_other(responded):
    documents = DOCUMENTS | {
        "/workloads/history": WEB | {"state": "\x1b[2J"},
        "/workloads/history/history": {"id": "history", "transitions": [STEP]},
    }
    code, out, err = responded(["status", "history"], documents)
    assert (code, out) == (6, "")
    assert err == (
        "error: the response: $.state: expected text without control characters, "
        r"got '\x1b[2J'"
        "\n"
    )


def test_page_that_repeats_the_one_before_it_is_an_error(responded):
    documents = DOCUMENTS | {"/workloads": {"workloads": [WEB], "next": "web"}}
    code, _, err = responded(["ps"], documents)
    assert code == 6
    assert err == "error: the response: $.next: expected an id after web, got web\n"


def test_page_that_precedes_the_one_before_it_is_an_error():
    class Pages(API):
        def __init__(self, *following):
            self._following = iter(following)
            self.queries = []

        def get(self, path, params=(), *, wait=0.0):
            self.queries.append(dict(params))
            return SimpleNamespace(document={"workloads": [], "next": next(self._following)})

    api = Pages("b", "c", "a")
    with pytest.raises(Unreachable, match="expected an id after c, got a"):
        list(api.pages([("state", "failed")]))
    assert [query.get("after") for query in api.queries] == [None, "b", "c"]


def test_response_that_does_not_match_the_api_ends_an_outage_at_once():
    error = Unreachable("the response has no field 'id'", code="bad_answer")
    with pytest.raises(Unreachable) as caught:
        OutageTracker(None, "here", lambda seconds: None).attempt_failed(error)
    assert caught.value is error

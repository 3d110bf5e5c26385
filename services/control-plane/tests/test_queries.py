"""Query parameters, each with the values that it takes, and errors that can be copied."""

import copy
import pickle

import pytest
from kakuri_control_plane._admission import TooManyLargeDocuments
from kakuri_control_plane._logs import _passes
from kakuri_control_plane._queries import LogQuery, NoQuery, PageQuery, QueryError, read_query
from kakuri_http import Headers, Request
from kakuri_json import Fault
from kakuri_registry import WorkloadState
from kakuri_rpc import AgentError, AgentTimeout, AgentUnreachable, Error, ErrorCode, UnexpectedReply


def read(query, query_type):
    request = Request("GET", "/x", Headers(), host="a", query_string=query)
    return read_query(request, query_type)


@pytest.mark.parametrize(
    ("query", "follow"),
    [
        ("", False), ("follow", True), ("follow=", True), ("follow=1", True), ("follow=0", False),
        ("follow=true", True), ("follow=TRUE", True), ("follow=false", False),
        ("follow=False", False),
    ],
)  # fmt: skip
def test_switch_is_on_or_off(query, follow):
    assert read(query, LogQuery) == LogQuery(None, follow)


@pytest.mark.parametrize("value", ["2", "yes", "on", "none", "true%20", "01"])
def test_other_value_of_a_switch_is_refused(value):
    with pytest.raises(QueryError, match=r"query\.follow: expected true or false, got"):
        read(f"follow={value}", LogQuery)


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("limit=1", PageQuery(limit=1)),
        ("limit=100", PageQuery(limit=100)),
        ("after=a&state=FAILED", PageQuery(after="a", state=WorkloadState.FAILED)),
        ("label=a%3Db", PageQuery(label="a=b")),
    ],
)
def test_page_is_read(query, page):
    assert read(query, PageQuery) == page


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=1.0", "limit=", "limit=0x1", "limit=1e1"]
)
def test_number_outside_its_range_or_not_whole_is_refused(query):
    with pytest.raises(QueryError, match=r"query\.limit: expected an integer from 1 to 100, got"):
        read(query, PageQuery)


@pytest.mark.parametrize("tail", [0, 1_000_000])
def test_tail_is_read_up_to_its_limit(tail):
    assert read(f"tail={tail}", LogQuery) == LogQuery(tail, False)
    with pytest.raises(QueryError, match=r"query\.tail: expected an integer from 0 to 1000000"):
        read("tail=1000001", LogQuery)


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("limit=1&limit=2", ["query.limit"]),
        ("limit=x&limit=2", ["query.limit"]),  # which of them was meant is not known
        ("limit=1&limit=2&state=odd", ["query.limit", "query.state"]),
        ("state=odd", ["query.state"]),
        ("odd=1&odd=2", ["query.odd"]),
    ],
)
def test_repeated_parameter_is_one_fault_beside_those_of_the_others(query, paths):
    with pytest.raises(QueryError) as caught:
        read(query, PageQuery)
    assert [fault.path for fault in caught.value.faults] == paths


def test_request_without_parameters_refuses_each_one():
    assert read("", NoQuery) == NoQuery()
    with pytest.raises(QueryError) as caught:
        read("a=1&b", NoQuery)
    assert [fault.path for fault in caught.value.faults] == ["query.a", "query.b"]


@pytest.mark.parametrize(
    "error", [QueryError([Fault("query.a", "wrong")]), TooManyLargeDocuments()], ids=repr
)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_errors_survive_pickle_and_copy(error, way):
    other = way(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AgentUnreachable("away"), True),
        (AgentTimeout("slow"), False),
        (UnexpectedReply("odd"), False),
        *((AgentError(Error(code, "x")), code in (ErrorCode.RUNTIME, ErrorCode.RUNTIME_UNAVAILABLE))
          for code in ErrorCode),
    ],
    ids=repr,
)  # fmt: skip
def test_only_what_is_away_may_come_back(error, passes):
    assert _passes(error) == passes

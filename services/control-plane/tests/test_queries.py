"""The query parameters of the API, each with its limits."""

import pytest
from kakuri_control_plane._log_queries import LogQuery
from kakuri_control_plane._queries import PageQuery
from kakuri_daemon.api import QueryError, read_query
from kakuri_http import Headers, Request
from kakuri_workload import WorkloadState


def read(query, query_type):
    return read_query(Request("GET", "/x", Headers(), host="a", query_string=query), query_type)


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("limit=1", PageQuery(limit=1)),
        ("limit=100", PageQuery(limit=100)),
        ("after=a&state=FAILED", PageQuery(after="a", state=WorkloadState.FAILED)),
        ("label=a%3Db", PageQuery(label="a=b")),
    ],
)
def test_page_query_is_decoded_to_its_fields(query, page):
    assert read(query, PageQuery) == page


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=1.0", "limit=", "limit=0x1", "limit=1e1"]
)
def test_limit_that_is_not_an_integer_from_1_to_100_raises_query_error(query):
    with pytest.raises(QueryError, match=r"query\.limit: expected an integer from 1 to 100, got"):
        read(query, PageQuery)


def test_unknown_state_raises_query_error():
    with pytest.raises(QueryError, match=r"query\.state: "):
        read("state=odd", PageQuery)


@pytest.mark.parametrize("tail", [0, 1_000_000])
def test_tail_is_read_up_to_its_limit(tail):
    assert read(f"tail={tail}", LogQuery) == LogQuery(tail, False)
    with pytest.raises(QueryError, match=r"query\.tail: expected an integer from 0 to 1000000"):
        read("tail=1000001", LogQuery)

"""Query parameters, each with the values that it takes, and errors that can be copied."""

import copy
import pickle
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import pytest
from kakuri_daemon.api import QueryError, read_query
from kakuri_daemon.api._queries import refuse_query
from kakuri_http import Headers, Request
from kakuri_json import Fault


class Color(Enum):
    RED = "red"


@dataclass(frozen=True)
class Query:
    count: Annotated[int, "unused"] = 1
    most: int | None = None
    follow: bool = False
    color: Color | None = None
    name: str = ""


def request(query):
    return Request("GET", "/x", Headers(), host="a", query_string=query)


def read(query):
    return read_query(request(query), Query)


def paths_of(query):
    with pytest.raises(QueryError) as caught:
        read(query)
    return [fault.path for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("query", "follow"),
    [
        ("", False), ("follow", True), ("follow=", True), ("follow=1", True), ("follow=0", False),
        ("follow=true", True), ("follow=TRUE", True), ("follow=false", False),
        ("follow=False", False),
    ],
)  # fmt: skip
def test_bool_is_read_from_its_name_alone_or_a_value_in_any_case(query, follow):
    assert read(query) == Query(follow=follow)


@pytest.mark.parametrize("value", ["2", "yes", "on", "none", "true%20", "01"])
def test_other_value_of_a_bool_raises_query_error(value):
    with pytest.raises(QueryError, match=r"query\.follow: expected true or false, got"):
        read(f"follow={value}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count=7", Query(count=7)),
        ("most=999999999", Query(most=999_999_999)),
        ("color=RED", Query(color=Color.RED)),
        ("name=7", Query(name="7")),
        ("name=a%26b", Query(name="a&b")),
    ],
)
def test_parameter_is_converted_by_its_annotation(query, expected):
    assert read(query) == expected


@pytest.mark.parametrize("value", ["", "-1", "1.0", "0x1", "1e1", "12345678901234567", "%D9%A1"])
def test_text_that_is_not_one_to_nine_digits_raises_query_error_for_int(value):
    with pytest.raises(QueryError, match=r"query\.count: expected an integer, got '"):
        read(f"count={value}")


def test_message_for_optional_field_does_not_offer_null():
    with pytest.raises(QueryError, match=r"^query\.color: expected 'red', got 'Blue'"):
        read("color=Blue")


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("count=1&count=2", ["query.count"]),
        ("count=x&count=2", ["query.count"]),  # it is unknown which value is meant
        ("count=1&count=2&color=odd", ["query.count", "query.color"]),
        ("odd=1&odd=2", ["query.odd"]),
        ("follow=2&most=x&odd", ["query.follow", "query.most", "query.odd"]),
    ],
)
def test_all_faults_of_a_query_are_reported_and_a_repeated_parameter_once(query, paths):
    assert sorted(paths) == sorted(paths_of(query))


def test_refuse_query_accepts_a_request_without_parameters():
    assert refuse_query(request("")) is None


def test_refuse_query_reports_each_parameter():
    with pytest.raises(QueryError) as caught:
        refuse_query(request("a=1&b"))
    assert [fault.path for fault in caught.value.faults] == ["query.a", "query.b"]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_query_error_survives_pickle_and_copy(way):
    error = QueryError([Fault("query.a", "wrong")])
    other = way(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))

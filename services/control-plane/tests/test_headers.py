import copy
import pickle
import re

import pytest
from kakuri_control_plane._headers import (
    HeaderError,
    VersionMismatch,
    expected_versions,
    id_of_key,
    idempotency_key,
    is_unchanged,
    quality,
)
from kakuri_http import Headers, Request
from kakuri_workload import WORKLOAD_ID


def request(*fields):
    return Request("POST", "/workloads", Headers(fields))


@pytest.mark.parametrize(
    ("field", "versions"),
    [
        ('"12"', {12}),
        ('"12", "13"', {12, 13}),
        ('"12","13"', {12, 13}),
        (' , "12" ,, "13" , ', {12, 13}),
        ('"0"', {0}),
        ('W/"12"', set()),
        ('W/"12", "13"', {13}),
        ('"012"', set()),
        ('"+12"', set()),
        ('"1,2"', set()),
        ('"a", "12"', {12}),
        ('""', set()),
        ('"\xe9"', set()),
        ('"9007199254740992"', {2**53}),
        ('"9007199254740993"', set()),
        ('"99999999999999999999"', set()),
    ],
)
def test_if_match_returns_the_versions_of_strong_tags(field, versions):
    assert expected_versions(request(("If-Match", field.strip()))) == versions


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"12"', True),
        ('W/"12"', True),
        ('"11", W/"12"', True),
        ("*", True),
        ('"11"', False),
        ('"1"', False),
        ("12", False),
        ("", False),
        (None, False),
    ],
)
def test_if_none_match_is_compared_weakly(field, expected):
    fields = [] if field is None else [("If-None-Match", field)]
    assert is_unchanged(request(*fields), 12) is expected


def test_if_match_in_several_fields_is_one_list():
    assert expected_versions(request(("If-Match", '"1"'), ("if-match", '"2"'))) == {1, 2}


@pytest.mark.parametrize("fields", [(), (("If-Match", "*"),)])
def test_request_without_a_condition_expects_no_version(fields):
    assert expected_versions(request(*fields)) is None


@pytest.mark.parametrize(
    "field",
    ["12", "", ",", '"12', '12"', 'w/"12"', 'W/ "12"', '"12" "13"', '*, "12"', '"12", *', "'12'",
     '"a b"', '"12";x'],
)  # fmt: skip
def test_if_match_that_is_not_a_list_of_tags_raises_header_error(field):
    with pytest.raises(HeaderError, match="If-Match: expected ") as caught:
        expected_versions(request(("If-Match", field)))
    assert caught.value.name == "If-Match"


@pytest.mark.parametrize("key", ["a", "k" * 255, "a b~!", '"quoted"', "a, b"])
def test_idempotency_key_of_printable_ascii_is_returned_as_sent(key):
    assert idempotency_key(request(("Idempotency-Key", key))) == key


@pytest.mark.parametrize(
    "fields", [[], ["k" * 256], [""], ["k\xe9"], ["a\tb"], ["a", "b"], ["a", "a"]]
)
def test_invalid_idempotency_key_raises_header_error(fields):
    with pytest.raises(HeaderError, match="Idempotency-Key: expected "):
        idempotency_key(request(*(("Idempotency-Key", each) for each in fields)))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:latest", "nginx"),
        ("ghcr.io/acme/web_server.v2:1.2", "web-server-v2"),
        ("localhost:5000/a", "a"),
        ("a__b--c", "a-b-c"),
        ("nginx@sha256:" + "0" * 64, "nginx"),
        ("nginx:1@sha256:" + "0" * 64, "nginx"),
        ("x" * 80, "x" * 52),
        ("x" * 51 + ".y", "x" * 51),
    ],
)
def test_id_of_a_key_begins_with_the_name_of_the_image(image, name):
    made = id_of_key("key", image)
    assert made == f"{name}-fryock32az"
    assert re.fullmatch(WORKLOAD_ID, made)


def test_id_of_a_key_depends_on_the_key_and_the_image_alone():
    assert id_of_key("a", "nginx:1") == id_of_key("a", "nginx:2")
    assert id_of_key("a", "nginx") != id_of_key("b", "nginx")
    assert id_of_key("a", "nginx") != id_of_key("a", "redis")


def test_version_mismatch_with_many_versions_is_short():
    assert len(str(VersionMismatch("a", range(10_000), 3))) < 300


@pytest.mark.parametrize("error", [HeaderError("X", "m"), VersionMismatch("a", [2, 1], 3)])
def test_error_survives_copy_and_pickle(error):
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("accept", "weight"),
    [
        ([], 0.0), (["a/b"], 1.0), (["a/b;level=1"], 1.0), (["a/b;q=0.25"], 0.25),
        (["A/B ; Q=0.5 ;x=1"], 0.5), (["a/b;q=1.000"], 1.0), (["a/b;q=0"], 0.0),
        (["a/b;q=0.1, a/b;x=1;q=0.4"], 0.4), (["a/*;q=0.3, */*"], 0.3), (["*/*;q=0.2"], 0.2),
        (["a/b;q=0.1, a/*"], 0.1), (["c/d, a/c"], 0.0), (["c/*", "a/b;q=0.7"], 0.7),
        (["a/b;q=0.1234"], 1.0),
    ],
)  # fmt: skip
def test_quality_is_the_weight_of_the_most_specific_range(accept, weight):
    request = Request("GET", "/", Headers([("Accept", each) for each in accept]))
    assert quality(request, "a/b") == weight

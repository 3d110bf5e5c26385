import pytest
from kakuri_json import ValidationError, decode
from kakuri_workload import ZoneStatus, present_spelling
from kakuri_workload.testing import zone_spec


def test_zone_spec_has_the_id_of_its_workload():
    assert zone_spec("a", 3).id == "a"


def test_present_spelling_moves_the_fields_of_the_workload_below_its_name():
    earlier = {"id": "a", "image": "app:1", "memory_mb": 1, "cpu_millicores": 1, "attempt": 2}
    assert present_spelling(earlier) == {
        "workload": {
            "runtime_class": "edera-zone",
            "id": "a",
            "image": "app:1",
            "memory_mb": 1,
            "cpu_millicores": 1,
        },
        "attempt": 2,
    }
    assert earlier["attempt"] == 2


def test_present_spelling_keeps_a_runtime_class_and_defaults_the_attempt():
    assert present_spelling({"image": "app:1", "runtime_class": "other"}) == {
        "workload": {"image": "app:1", "runtime_class": "other"},
        "attempt": 0,
    }


@pytest.mark.parametrize("document", [None, [], "image", {}, {"workload": {"image": "a"}}])
def test_present_spelling_returns_any_other_document_unchanged(document):
    assert present_spelling(document) is document


@pytest.mark.parametrize("name", ["started_at", "ended_at"])
@pytest.mark.parametrize("time", ["-62135596800", "1e12"])
def test_zone_status_with_a_time_outside_the_calendar_is_not_decoded(name, time):
    document = f'{{"id":"a","state":"running","{name}":{time}}}'
    with pytest.raises(ValidationError, match="from 0 to 253402300799"):
        decode(document, type=ZoneStatus)


@pytest.mark.parametrize(
    ("name", "number"),
    [("exit_code", 2**31), ("exit_code", -(2**31) - 1), ("attempt", -1), ("attempt", 2**31)],
)
def test_zone_status_with_a_number_that_a_registry_refuses_is_not_decoded(name, number):
    document = f'{{"id":"a","state":"running","{name}":{number}}}'
    with pytest.raises(ValidationError, match=rf"\$\.{name}: expected an integer from"):
        decode(document, type=ZoneStatus)

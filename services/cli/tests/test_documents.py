"""Workloads as text: why they are in their state, how they ended, and what a removal proved."""

import pytest
from kakuri import _documents as documents

ZONE, CONTAINER = "5f0c11223344556677", "9a3e1122"


@pytest.fixture(autouse=True)
def clock(environment):
    """Stop the clock."""


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "running"}, ""),
        ({"state": "pending", "reason": "Pulling"}, "Pulling"),
        ({"state": "pending", "reason": "Pulling", "exit_code": 3}, "Pulling"),
        ({"state": "pending", "reason": "BackOff"}, "BackOff"),
        ({"state": "pending", "reason": "BackOff", "restart_at": "2026-11-26T14:01:40Z"},
         "BackOff 23s"),
        ({"state": "failed", "reason": "Error", "restart_at": "2026-11-26T14:01:40Z"}, "Error"),
        ({"state": "failed", "reason": "Error", "exit_code": 3}, "Error, exit 3"),
        ({"state": "failed", "reason": "Error", "exit_code": 0}, "Error"),
        ({"state": "failed", "exit_code": 1}, "exit 1"),
        ({"state": "succeeded", "exit_code": 0}, "exit 0"),
        ({"state": "running", "exit_code": 1}, ""),
        ({"state": "running", "desired": "stopped"}, "being stopped"),
        ({"state": "failed", "reason": "A\x1b", "exit_code": 2, "desired": "r\x07"},
         "A\\x1b, exit 2, being r\\x07"),
    ],
)  # fmt: skip
def test_reason_text_has_what_is_known_of_a_state(fields, text):
    assert documents.reason_text(fields) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "succeeded"}, "succeeded"),
        ({"state": "failed"}, "failed"),
        ({"state": "failed", "reason": "StartError"}, "failed (StartError)"),
        ({"state": "succeeded", "exit_code": 0}, "exit code 0"),
        ({"state": "failed", "exit_code": 3, "reason": "Er\x1bror"}, "exit code 3 (Er\\x1bror)"),
        ({"state": "failed", "exit_code": 3, "restarts": 0}, "exit code 3"),
        ({"state": "failed", "exit_code": 3, "restarts": 1}, "exit code 3, 1 restart"),
        ({"state": "failed", "restarts": 2}, "failed, 2 restarts"),
    ],
)
def test_end_text_has_exit_code_reason_and_restarts(fields, text):
    assert documents.end_text(fields) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "failed"}, "failed"),
        ({"state": "failed", "reason": "E\x1b"}, "failed, E\\x1b"),
        ({"state": "failed", "message": "m\x1b"}, "failed: m\\x1b"),
        ({"state": "pending", "reason": "Pulling", "message": "x"}, "pending, Pulling: x"),
    ],
)
def test_why_text_has_state_reason_and_message(fields, text):
    assert documents.why_text(fields) == text


@pytest.mark.parametrize(
    ("receipt", "text"),
    [
        (None, "removed"),
        ("gone", "removed"),
        ({}, "removed"),
        ({"log_bytes": 0}, "removed: log gone"),
        ({"log_bytes": 2048}, "removed; 2 KiB of its log remain"),
        ({"log_bytes": 1}, "removed; 1 B of its log remain"),
        ({"zone": ZONE}, "removed: zone 5f0c1122… gone"),
        ({"container": CONTAINER}, "removed: container 9a3e1122 gone"),
        ({"zone": ZONE, "container": CONTAINER, "log_bytes": 0, "verified_by": "list"},
         "removed: zone 5f0c1122…, container 9a3e1122, log gone (no longer in the runtime's list)"),
        ({"log_bytes": 3, "verified_by": "simulated"},
         "removed (simulated: there was nothing real); 3 B of its log remain"),
        ({"verified_by": "a\x1b"}, "removed (checked by a\\x1b)"),
        ({"zone": "a" * 12}, f"removed: zone {'a' * 12} gone"),
        ({"zone": "a" * 13}, f"removed: zone {'a' * 8}… gone"),
        ({"zone": "\x1b"}, "removed: zone \\x1b gone"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["removal", "removed"])
def test_receipt_text_has_what_was_removed_what_remains_and_the_proof(receipt, text, name):
    assert documents.receipt_text({name: receipt}) == text


@pytest.mark.parametrize(
    ("fields", "has_ended"),
    [
        ({"state": "succeeded"}, True), ({"state": "failed"}, True), ({"state": "pending"}, False),
        ({"state": "running"}, False), ({"state": "failed", "restart_at": "t"}, False),
    ],
)  # fmt: skip
def test_workload_that_is_started_again_has_not_ended(fields, has_ended):
    assert documents.has_ended(fields) == has_ended


def test_specification_of_a_document_without_one_is_empty():
    assert documents.spec_of({}) == {}
    assert documents.spec_of({"spec": {"image": "x"}}) == {"image": "x"}

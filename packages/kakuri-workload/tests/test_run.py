from dataclasses import fields, replace

import pytest
from kakuri_workload import Run, WorkloadState, ZoneStatus

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
KNOWN = Run(RUNNING, "r", "m", None, "10.0.0.2", 1.0, None, 3, "sha256:0f")


def test_run_after_another_keeps_what_it_does_not_report():
    ended = Run(FAILED, "Error", "exit status 3", 3, ended_at=9.0)
    assert ended.after(KNOWN) == Run(
        FAILED, "Error", "exit status 3", 3, "10.0.0.2", 1.0, 9.0, 3, "sha256:0f"
    )


def test_run_after_another_replaces_what_it_reports():
    later = Run(RUNNING, None, None, None, "10.0.0.3", 2.0, 4.0, 3, "sha256:1f")
    assert later.after(KNOWN) == later


def test_run_after_another_has_the_attempt_of_the_known_one():
    assert Run(FAILED, "ZoneLost").after(KNOWN).attempt == 3


def test_run_that_begins_does_not_keep_times_and_digest_of_the_attempt_before():
    waiting = replace(KNOWN, state=PENDING, ended_at=2.0)
    assert Run(RUNNING).after(waiting) == Run(RUNNING, address="10.0.0.2", attempt=3)
    assert Run(FAILED).after(waiting).ended_at == 2.0


def test_run_that_has_not_changed_is_equal_to_the_one_before():
    assert KNOWN.after(KNOWN) == KNOWN
    assert Run(RUNNING, "r", "m").after(KNOWN) == KNOWN


@pytest.mark.parametrize("name", [field.name for field in fields(Run) if field.name != "state"])
def test_zone_status_has_every_field_of_a_run(name):
    zone = ZoneStatus("a", RUNNING, **{name: "a value"})
    assert zone.run == Run(RUNNING, **{name: "a value"})


def test_first_run_with_nothing_to_keep_of_the_one_before_is_returned_itself():
    began = Run(RUNNING, address="10.0.0.3", started_at=4.0, image_digest="sha256:2")
    assert began.after(Run(PENDING, "Starting", "m", started_at=1.0)) is began
    assert began.after(Run(PENDING, attempt=1)) == replace(began, attempt=1)
    assert began.after(Run(PENDING, address="10.0.0.2")) == began

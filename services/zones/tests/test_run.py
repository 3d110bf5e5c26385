from dataclasses import replace

import pytest
from kakuri_cri.api import ContainerState
from kakuri_workload.testing import zone_spec
from kakuri_zones import ZoneConflict
from kakuri_zones._observed import Container, ObservedZone, Sandbox
from kakuri_zones._run import RunIdentity

RUN = RunIdentity("z", 1, "hash")


def sandbox(name="s", **fields):
    known = {"cri_attempt": 0, "is_ready": True, "created_at": 1, "handler": "edera"}
    return Sandbox(
        **{"id": name, "zone_id": "z", "spec_hash": "hash", "attempt": 0, **known, **fields}
    )


def container(name="c", state=ContainerState.CONTAINER_CREATED, **fields):
    known = {"zone_id": "z", "sandbox_id": "s", "cri_attempt": 0, "created_at": 1}
    identity = {"spec_hash": "hash", "attempt": 1}
    return Container(**{"id": name, "state": state, **known, **identity, **fields})


def running(**fields):
    return container(state=ContainerState.CONTAINER_RUNNING, started_at=1, **fields)


def exited(**fields):
    return container(state=ContainerState.CONTAINER_EXITED, started_at=1, **fields)


def zone(*containers, sandboxes=None):
    found = [sandbox()] if sandboxes is None else sandboxes
    return ObservedZone("z", tuple(found), tuple(containers))


def test_identity_of_a_spec_has_its_id_attempt_and_hash():
    first, second = (RunIdentity.of(zone_spec("web", attempt=number)) for number in (0, 1))
    assert (first.zone_id, first.attempt) == ("web", 0)
    assert second == replace(first, attempt=1)


@pytest.mark.parametrize("started", [running(), exited()])
def test_run_with_a_started_container_was_started(started):
    assert RUN.was_started(zone(started))


@pytest.mark.parametrize(
    "observed",
    [
        zone(),
        zone(container()),
        zone(exited(attempt=0)),
        zone(running(attempt=0), sandboxes=[sandbox(is_ready=False)]),
    ],
    ids=[
        "no container",
        "created container",
        "earlier attempt has ended",
        "earlier attempt is lost",
    ],
)
def test_run_without_a_started_container_was_not_started(observed):
    assert not RUN.was_started(observed)


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (zone(container(attempt=2)), "expected at least attempt 2, got attempt 1"),
        (zone(running(spec_hash="other")), "zone 'z' exists with another spec"),
        (zone(running(attempt=0)), "attempt 0 of 'z' still runs"),
    ],
)
def test_run_with_the_objects_of_another_run_is_a_conflict(observed, message):
    with pytest.raises(ZoneConflict, match=message):
        RUN.was_started(observed)


def test_without_leftovers_keeps_objects_that_the_run_can_use_and_earlier_attempts():
    kept = [container(), exited(name="earlier", attempt=0, sandbox_id="old", spec_hash="other")]
    left = [container("other spec", spec_hash="other"), container("other attempt", attempt=2)]
    sandboxes = [sandbox(), sandbox("old", is_ready=False, spec_hash="other")]
    leftovers = [sandbox("ended", is_ready=False), sandbox("other spec", spec_hash="other")]
    found = RUN.without_leftovers(zone(*kept, *left, sandboxes=[*sandboxes, *leftovers]))
    assert found == zone(*kept, sandboxes=sandboxes)


def test_usable_sandbox_is_the_latest_ready_one_of_the_spec_in_any_attempt():
    observed = zone(
        sandboxes=[
            sandbox("first"),
            sandbox("second", cri_attempt=1, attempt=5),
            sandbox("ended", cri_attempt=2, is_ready=False),
            sandbox("other spec", cri_attempt=3, spec_hash="other"),
        ]
    )
    found = RUN.usable_sandbox(observed)
    assert found.id == "second"
    assert RUN.usable_sandbox(observed, known=[found]).id == "first"
    assert RUN.usable_sandbox(None) is None


def test_startable_container_is_the_latest_created_one_of_the_run_in_the_sandbox():
    observed = zone(
        container("first"),
        container("second", cri_attempt=1),
        container("other sandbox", cri_attempt=2, sandbox_id="t"),
        container("other attempt", cri_attempt=3, attempt=0),
        exited(name="ended", cri_attempt=4),
    )
    assert RUN.startable_container(observed, sandbox()).id == "second"
    assert RUN.startable_container(None, sandbox()) is None

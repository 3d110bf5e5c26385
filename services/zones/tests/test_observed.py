from dataclasses import replace

import pytest
from kakuri_cri import api
from kakuri_workload import WorkloadState as State
from kakuri_workload.testing import zone_spec
from kakuri_zones import _labels as labels
from kakuri_zones import _log_watch, _observed, _progress, _rotation, _settings, options
from kakuri_zones._observed import (
    CHILD_KILLED,
    END_UNKNOWN,
    MAX_MESSAGE,
    Container,
    ObservedZone,
    Sandbox,
)
from kakuri_zones.logs import _reading, _records

SPEC = zone_spec("z", image="app:1", memory_mb=64, cpu_millicores=500, attempt=3)
SECOND = 10**9


def sandbox(**fields):
    listed = api.PodSandbox(
        **{
            "id": "s",
            "labels": labels.sandbox_labels(SPEC, labels.spec_hash(SPEC)),
            "runtime_handler": "edera",
            **fields,
        }
    )
    return Sandbox.of(listed, "10.0.0.2")


def container(
    state=api.ContainerState.CONTAINER_RUNNING, *, spec=SPEC, name="c", created_at=1, **fields
):
    listed = api.Container(
        id=name,
        pod_sandbox_id="s",
        created_at=created_at,
        labels=labels.container_labels(spec, labels.spec_hash(spec)),
        annotations=labels.container_annotations(spec),
    )
    return Container.of_listed(listed).with_status(
        api.ContainerStatus(id=name, state=state, **fields)
    )


def status(*containers, sandboxes=None):
    sandboxes = (sandbox(),) if sandboxes is None else sandboxes
    return ObservedZone("z", sandboxes, containers).status()


def test_running_container_is_a_running_zone():
    zone = status(container(started_at=7 * SECOND))
    assert (zone.id, zone.state, zone.reason, zone.exit_code) == ("z", State.RUNNING, None, None)
    assert (zone.pod_sandbox_id, zone.container_id, zone.address) == ("s", "c", "10.0.0.2")
    assert (zone.started_at, zone.ended_at, zone.attempt) == (7.0, None, 3)
    assert (zone.spec, zone.spec_hash) == (None, labels.spec_hash(SPEC))


FOREIGN = "a\x1b[2J\x9b\u202e\u2028\ufeff"
SHOWN = "a\\x1b[2J\\x9b\\u202e\\u2028\\ufeff"


def test_status_has_only_printable_text_of_the_runtime():
    listed = api.PodSandbox(
        id="s",
        labels=labels.sandbox_labels(SPEC, labels.spec_hash(SPEC)),
        state=api.PodSandboxState.SANDBOX_READY,
    )
    ended = container(
        api.ContainerState.CONTAINER_EXITED, exit_code=1, reason=FOREIGN, message=FOREIGN
    )
    zone = status(ended, sandboxes=(Sandbox.of(listed, FOREIGN),))
    assert (zone.reason, zone.message, zone.address) == (SHOWN, SHOWN, SHOWN)
    assert status(container(name=FOREIGN)).container_id == SHOWN


@pytest.mark.parametrize(
    ("code", "reason", "state", "reported"),
    [
        (0, "Completed", State.SUCCEEDED, None),
        (0, "", State.SUCCEEDED, None),
        (0, "OOMKilled", State.SUCCEEDED, None),
        (3, "OOMKilled", State.FAILED, "Error"),
        (143, "OOMKilled", State.FAILED, "Error"),
        (1, "", State.FAILED, "Error"),
        (3, "Error", State.FAILED, "Error"),
        (128, "StartError", State.FAILED, "StartError"),
        (137, "OOMKilled", State.FAILED, "OOMKilled"),
        (255, "Unknown", State.FAILED, "Unknown"),
    ],
)
def test_ended_container_has_a_terminal_state_and_reason(code, reason, state, reported):
    ended = container(
        api.ContainerState.CONTAINER_EXITED, started_at=SECOND, exit_code=code, reason=reason
    )
    zone = status(ended)
    assert (zone.state, zone.reason, zone.exit_code) == (state, reported, code)


def test_memory_kill_of_a_child_is_reported_in_the_message():
    for code, message in ((0, CHILD_KILLED), (143, CHILD_KILLED), (137, None)):
        ended = container(
            api.ContainerState.CONTAINER_EXITED,
            started_at=SECOND,
            exit_code=code,
            reason="OOMKilled",
        )
        assert status(ended).message == message


def test_digest_of_the_image_is_read_from_the_container():
    digest = "sha256:" + "0f" * 32
    for written, read in ((digest, digest), ("\x1b[2J", None)):
        listed = api.Container(
            id="c",
            pod_sandbox_id="s",
            labels=labels.container_labels(SPEC, labels.spec_hash(SPEC)),
            annotations=labels.container_annotations(SPEC, written),
        )
        running = Container.of_listed(listed)
        assert status(running).image_digest == read


def test_created_container_is_a_pending_zone():
    assert status(container(api.ContainerState.CONTAINER_CREATED)).reason == "Starting"
    zone = status()
    assert (zone.state, zone.reason, zone.container_id) == (
        State.PENDING,
        "CreatingContainer",
        None,
    )
    assert zone.attempt == 3


def test_container_in_an_unknown_state_is_a_failed_zone():
    zone = status(container(api.ContainerState.CONTAINER_UNKNOWN))
    assert (zone.state, zone.reason, zone.exit_code) == (State.FAILED, "Unknown", None)
    assert zone.message == END_UNKNOWN


@pytest.mark.parametrize(("message", "reported"), [("", END_UNKNOWN), ("lost", "lost")])
def test_end_that_the_runtime_does_not_know_has_a_message(message, reported):
    ended = container(
        api.ContainerState.CONTAINER_EXITED,
        started_at=SECOND,
        exit_code=255,
        reason="Unknown",
        message=message,
    )
    assert status(ended).message == reported


@pytest.mark.parametrize("sandboxes", [(), (sandbox(state=api.PodSandboxState.SANDBOX_NOTREADY),)])
def test_zone_whose_container_outlives_its_sandbox_is_lost(sandboxes):
    zone = status(container(), sandboxes=sandboxes)
    assert (zone.state, zone.reason) == (State.FAILED, "ZoneLost")
    ended = status(container(api.ContainerState.CONTAINER_EXITED), sandboxes=sandboxes)
    assert ended.state is State.SUCCEEDED


def test_status_is_that_of_the_latest_container():
    later = zone_spec("z", image="app:1", memory_mb=64, cpu_millicores=500, attempt=4)
    zone = status(
        container(name="new", spec=later),
        container(api.ContainerState.CONTAINER_EXITED, created_at=9),
    )
    assert (zone.container_id, zone.attempt) == ("new", 4)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (api.ContainerState.CONTAINER_CREATED, (State.PENDING, None, None, None)),
        (api.ContainerState.CONTAINER_RUNNING, (State.RUNNING, None, None, None)),
        (api.ContainerState.CONTAINER_EXITED, (State.SUCCEEDED, 0, None, None)),
    ],
)
def test_container_that_is_only_listed_has_no_times_and_no_exit_code_but_zero(state, expected):
    listed = api.Container(
        id="c", pod_sandbox_id="s", state=state, labels={labels.WORKLOAD_ID: "z"}
    )
    found = Container.of_listed(listed)
    assert (found.started_at, found.finished_at, found.exit_code, found.is_stale) == (
        0,
        0,
        0,
        False,
    )
    zone = status(found)
    assert (zone.state, zone.exit_code, zone.started_at, zone.ended_at) == expected
    assert (zone.reason, zone.message) in ((None, None), ("Starting", None))


def test_end_reported_before_the_start_is_moved_to_the_start():
    zone = status(
        container(
            api.ContainerState.CONTAINER_EXITED, started_at=5 * SECOND, finished_at=5 * SECOND - 1
        )
    )
    assert zone.ended_at == zone.started_at == 5.0


def test_invalid_labels_of_another_version_are_ignored():
    listed = api.Container(
        id="c",
        pod_sandbox_id="s",
        labels={labels.WORKLOAD_ID: "z", labels.ATTEMPT: "x"},
        annotations={labels.SPEC: '{"id":"z","new":1}'},
    )
    odd = Container.of_listed(listed).with_status(
        api.ContainerStatus(id="c", state=api.ContainerState.CONTAINER_RUNNING)
    )
    zone = status(odd)
    assert (zone.state, zone.attempt, zone.spec) == (State.RUNNING, 0, None)


def test_long_message_is_shortened():
    zone = status(container(api.ContainerState.CONTAINER_EXITED, message="x" * 100_000))
    assert len(zone.message) == MAX_MESSAGE


@pytest.mark.parametrize("more", [0, 1])
def test_text_of_the_runtime_is_shortened_beyond_its_length(more):
    """Ids have at most 256 characters, reasons and addresses 64, messages 4096."""
    end = "…" * more

    def text(most):
        return "x" * (most + more), "x" * (most - more) + end

    (uid, shown_uid), (short, shown_short) = text(256), text(64)
    message, shown_message = text(4096)
    listed = api.PodSandbox(
        id=uid,
        labels=labels.sandbox_labels(SPEC, labels.spec_hash(SPEC)),
        state=api.PodSandboxState.SANDBOX_READY,
    )
    ended = container(
        api.ContainerState.CONTAINER_EXITED, name=uid, reason=short, message=message, exit_code=1
    )
    ended = replace(ended, sandbox_id=uid)
    zone = status(ended, sandboxes=(Sandbox.of(listed, short),))
    assert (zone.pod_sandbox_id, zone.container_id) == (shown_uid, shown_uid)
    assert (zone.reason, zone.address, zone.message) == (shown_short, shown_short, shown_message)


def test_constants_of_zones_are_the_documented_ones():
    assert (_log_watch.POLL_SECONDS, _settings.HEARTBEAT_SECONDS) == (0.2, 5.0)
    assert (_log_watch.STABLE_POLLS, _reading.STABLE_SECONDS) == (8, 1.0)
    assert (_progress.NOTICEABLE, _rotation.REOPEN_SECONDS) == (65_536, 10.0)
    assert (_records.BLOCK, _records.MAX_EXAMINED, _records.MIN_LIMIT) == (65_536, 524_288, 1024)
    assert options.MAX_AGE_SECONDS == 3_153_600_000.0
    assert (options.SECONDS_PER_HOUR, options.MAX_ENDED_LOGS_MB) == (3600, 1_000_000_000)
    assert (_observed.KILLED, _observed.NANOSECONDS) == (137, 1_000_000_000)

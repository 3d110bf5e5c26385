"""The file that records which runtime runs the zones of a node, whatever lies in its place."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from kakuri_agent._state import StateDirectory, open_registry
from kakuri_daemon import DaemonError
from kakuri_registry import MemoryStore, StoreFailed, StoreProblem
from structlog.testing import capture_logs


@pytest.fixture
def state(tmp_path):
    StateDirectory(tmp_path).store(is_simulated=False).close()
    return StateDirectory(tmp_path)


def test_runtime_of_a_directory_without_a_store_of_zones_is_none(tmp_path):
    state = StateDirectory(tmp_path)
    assert state.last_runtime is None
    state.store(is_simulated=True).close()
    state.record_runtime("cri")
    assert state.last_runtime is None


@pytest.mark.parametrize("name", ["cri", "sidecar"])
def test_recorded_runtime_is_read_by_the_next_process(state, tmp_path, name):
    assert state.last_runtime == "sidecar"
    state.record_runtime(name)
    assert StateDirectory(tmp_path).last_runtime == name
    file = tmp_path / "runtime"
    assert file.read_text() == f"{name}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_runtime_that_is_recorded_already_is_not_written_again(state, tmp_path):
    state.record_runtime("cri")
    before = (tmp_path / "runtime").stat().st_ino
    state.record_runtime("cri")
    assert (tmp_path / "runtime").stat().st_ino == before
    state.record_runtime("sidecar")
    assert (tmp_path / "runtime").stat().st_ino != before


@pytest.mark.parametrize("kind", ["file", "link"])
def test_file_of_an_interrupted_record_is_replaced_and_a_link_not_followed(state, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    if kind == "file":
        (tmp_path / "runtime.new").write_text("half")
    else:
        (tmp_path / "runtime.new").symlink_to(victim)
    state.record_runtime("cri")
    assert state.last_runtime == "cri"
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize("content", [b"", b"docker\n", b"cri cri\n", b"\xff\n", b"simulated\n"])
def test_recorded_name_that_is_not_a_real_runtime_counts_as_the_sidecar(state, tmp_path, content):
    (tmp_path / "runtime").write_bytes(content)
    assert state.last_runtime == "sidecar"


@pytest.mark.parametrize(("padding", "name"), [(60, "cri"), (61, "cri"), (62, "sidecar")])
def test_recorded_name_is_read_up_to_64_bytes(state, tmp_path, padding, name):
    (tmp_path / "runtime").write_bytes(b" " * padding + b"cri")
    assert state.last_runtime == name


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_recorded_runtime_is_read_from_a_regular_file_only(state, tmp_path, kind):
    path = tmp_path / "runtime"
    if kind == "link":
        (tmp_path / "other").write_text("cri\n")
        path.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert state.last_runtime == "sidecar"


def test_record_that_fails_is_logged_with_its_reason(state, tmp_path):
    (tmp_path / "runtime").mkdir()
    with capture_logs() as lines:
        state.record_runtime("cri")
    assert [(line["log_level"], line["runtime"]) for line in lines] == [("warning", "cri")]


class DamagedStore(MemoryStore):
    """A store that had to leave out what it could not read."""

    def load(self):
        problems = (
            StoreProblem("page 7 is damaged"),
            StoreProblem("got 'x'", workload_id="a"),
            StoreProblem("the last write was not complete", is_damage=False),
        )
        return replace(super().load(), problems=problems)


async def test_problems_of_a_store_are_logged_with_the_workloads_that_they_concern():
    with capture_logs() as logs:
        async with open_registry(DamagedStore()) as (registry, _):
            assert len(registry) == 0
    assert [entry for entry in logs if entry["event"].startswith("store ")] == [
        {"event": "store damaged", "log_level": "error", "problem": "page 7 is damaged"},
        {"event": "store damaged", "log_level": "error", "problem": "got 'x'", "id": "a"},
        {
            "event": "store problem",
            "log_level": "warning",
            "problem": "the last write was not complete",
        },
    ]


class UnreadableStore(MemoryStore):
    def load(self):
        raise StoreFailed("input/output error")


async def test_store_that_cannot_be_read_is_a_daemon_error():
    with pytest.raises(DaemonError, match="input/output error"):
        async with open_registry(UnreadableStore()):
            pass


def test_recorded_runtime_is_on_disk_before_it_replaces_the_last_one(state, tmp_path, monkeypatch):
    steps = []

    def fsync(descriptor):
        assert os.path.samestat(os.fstat(descriptor), (tmp_path / "runtime.new").stat())
        steps.append(("synced", (tmp_path / "runtime.new").read_text()))

    def rename(self, target):
        steps.append(("replaced", Path(target).name))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    state.record_runtime("cri")
    assert steps == [("synced", "cri\n"), ("replaced", "runtime")]

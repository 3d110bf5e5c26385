import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest
from kakuri_zones.logs._errors import (
    LogCursorError,
    LogNameError,
    LogStorageError,
    UnknownLog,
)
from kakuri_zones.logs._files import list_files, list_zones, open_directory, open_file
from kakuri_zones.logs._store import LogStore

HOSTILE = ["", ".", "..", "../zone", "a/b", "/etc", "A", "a\n", "a\0b", "-a", "a" * 64, "ä"]


def names(store, zone="zone"):
    return sorted(path.name for path in (store.root / zone).iterdir())


async def reopened():
    """Return a stand-in for a runtime that opens the new file later."""


def reopening(store, name="0.log", data=b""):
    async def reopen():
        (store.root / "zone" / name).write_bytes(data)

    return reopen


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path / "logs", max_file_bytes=100, max_files=3)
    yield store
    store.close()


async def test_prepare_creates_a_directory_that_only_its_owner_may_enter(store):
    location = await store.prepare("zone", 3)
    assert (location.directory, location.path) == (str(store.root / "zone"), "3.log")
    assert location == store.location("zone", 3)
    for directory in (store.root, store.root / "zone"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert list_zones(store.root) == ["zone"]
    assert repr(store) == f"<LogStore {str(store.root)!r}>"


async def test_prepare_closes_an_existing_directory_to_other_users(store):
    (store.root / "zone").mkdir(parents=True)
    (store.root / "zone").chmod(0o755)
    await store.prepare("zone", 0)
    assert stat.S_IMODE((store.root / "zone").stat().st_mode) == 0o700


@pytest.mark.parametrize("zone", HOSTILE)
async def test_invalid_zone_id_raises_log_name_error(store, zone):
    calls = [
        store.prepare(zone, 0),
        store.remove(zone),
        store.read(zone),
        store.tail(zone, 1),
        store.rotate(zone, 0, reopened),
        anext(store.stream(zone)),
        anext(store.stream(zone, follow=True)),
    ]
    for call in calls:
        with pytest.raises(LogNameError, match="expected the id of a zone"):
            await call
    assert list_zones(store.root) == []


@pytest.mark.parametrize("attempt", [-1, 1_000_000_000])
async def test_attempt_out_of_range_raises_log_name_error(store, attempt):
    with pytest.raises(LogNameError, match="expected an attempt from 0 to 999999999"):
        await store.prepare("zone", attempt)
    assert list_zones(store.root) == []


async def test_prepare_removes_all_but_the_last_attempts(store):
    for attempt in range(4):
        await store.prepare("zone", attempt)
        (store.root / "zone" / f"{attempt}.log").write_bytes(b"x\n")
        (store.root / "zone" / f"{attempt}.log.0").write_bytes(b"x\n")
    assert names(store) == ["2.log", "2.log.0", "3.log", "3.log.0"]


async def test_read_of_a_removed_log_raises_unknown_log(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x\n")
    (store.root / "zone" / "what else").mkdir()
    (store.root / "zone" / "what else" / "file").touch()
    await store.remove("zone")
    assert not (store.root / "zone").exists()
    await store.remove("zone")
    with pytest.raises(UnknownLog, match="zone 'zone' has no log") as caught:
        await store.read("zone")
    assert caught.value.zone == "zone"


async def test_remove_without_a_log_directory_succeeds(store):
    await store.remove("zone")
    assert not store.root.exists()
    assert list_zones(store.root) == []


async def test_links_in_the_log_directory_are_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0.log").write_bytes(b"secret\n")
    store.root.mkdir()
    (store.root / "zone").symlink_to(outside)
    for call in (store.prepare("zone", 0), store.read("zone"), store.tail("zone", 1)):
        with pytest.raises(LogStorageError, match=r"could not .* the log of 'zone': "):
            await call
    assert list_zones(store.root) == []
    await store.remove("zone")
    assert not (store.root / "zone").is_symlink()
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").symlink_to(outside / "0.log")
    (store.root / "zone" / "directory").symlink_to(outside)
    os.mkfifo(store.root / "zone" / "1.log")
    assert (await store.read("zone")).data == b""
    await store.remove("zone")
    assert (outside / "0.log").read_bytes() == b"secret\n"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
async def test_log_directory_that_others_may_write_to_raises_log_storage_error(store, mode):
    store.root.mkdir()
    store.root.chmod(mode)
    for call in (store.prepare("zone", 0), store.read("zone"), store.remove("zone")):
        with pytest.raises(LogStorageError, match="others may write to it"):
            await call
    assert list(store.root.iterdir()) == []


async def test_file_in_place_of_the_directory_raises_log_storage_error(store):
    store.root.mkdir()
    (store.root / "zone").touch()
    with pytest.raises(
        LogStorageError, match="could not create a directory for the log of 'zone': "
    ):
        await store.prepare("zone", 0)
    await store.remove("zone")
    await store.prepare("zone", 0)


async def test_remove_of_an_undeletable_file_raises_log_storage_error(store, monkeypatch):
    await store.prepare("zone", 0)
    monkeypatch.setattr("shutil.rmtree", lambda *args, **options: None)
    with pytest.raises(LogStorageError, match="could not remove the log of 'zone':"):
        await store.remove("zone")


async def test_small_file_is_not_rotated(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x" * 99)
    assert not await store.rotate("zone", 0, reopened)
    assert names(store) == ["0.log"]


async def test_rotate_renames_a_large_file_and_removes_the_oldest(store):
    await store.prepare("zone", 0)
    path = store.root / "zone" / "0.log"
    path.write_bytes(b"0" * 100)
    for number in range(4):
        reopen = reopening(store, data=b"%d" % (number + 1) * 100)
        assert await store.rotate("zone", 0, reopen)
    assert names(store) == ["0.log", "0.log.2", "0.log.3"]
    assert path.read_bytes() == b"4" * 100
    assert (store.root / "zone" / "0.log.3").read_bytes() == b"3" * 100


async def test_rotate_keeps_fewer_files_if_they_exceed_the_total_size(store):
    await store.prepare("zone", 0)
    path = store.root / "zone" / "0.log"
    path.write_bytes(b"0" * 100)
    assert await store.rotate("zone", 0, reopening(store, data=b"1" * 5000))
    assert await store.rotate("zone", 0, reopening(store, data=b"2" * 5000))
    assert names(store) == ["0.log", "0.log.1"]
    assert await store.rotate("zone", 0, reopening(store))
    assert names(store) == ["0.log", "0.log.2"]


async def test_file_replaced_while_it_is_opened_is_not_read(store):
    await store.prepare("zone", 0)
    path = store.root / "zone" / "0.log"
    path.write_bytes(b"x\n")
    with open_directory(store.root, "zone", "read") as directory:
        [file] = list_files(directory)
        other = path.with_name("other")
        other.write_bytes(b"y\n")
        other.replace(path)
        with pytest.raises(FileNotFoundError, match="another file has its name"):
            open_file(directory, file)
        assert list_files(directory) != [file]
    with (
        pytest.raises(LogStorageError, match="could not read the log of 'zone': another"),
        open_directory(store.root, "zone", "read") as directory,
    ):
        open_file(directory, file)


async def test_content_written_to_the_renamed_file_is_read(store):
    await store.prepare("zone", 0)
    with (store.root / "zone" / "0.log").open("ab", buffering=0) as runtime:
        runtime.write(b"x" * 100)

        async def reopen():
            runtime.write(b"late")
            (store.root / "zone" / "0.log").write_bytes(b"new")

        assert await store.rotate("zone", 0, reopen)
    assert (store.root / "zone" / "0.log.0").read_bytes() == b"x" * 100 + b"late"


async def test_rotation_is_undone_when_reopening_fails(store):
    await store.prepare("zone", 0)
    path = store.root / "zone" / "0.log"
    path.write_bytes(b"x" * 100)

    async def refuse():
        assert names(store) == ["0.log.0"]
        raise ConnectionError("no runtime")

    with pytest.raises(ConnectionError, match="no runtime"):
        await store.rotate("zone", 0, refuse)
    assert names(store) == ["0.log"]
    assert path.read_bytes() == b"x" * 100
    assert await store.rotate("zone", 0, reopening(store))
    assert names(store) == ["0.log", "0.log.0"]


async def test_rotation_is_kept_if_the_runtime_reopened_without_answering(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x" * 100)

    async def lose():
        await reopening(store, data=b"new")()
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await store.rotate("zone", 0, lose)
    assert (store.root / "zone" / "0.log").read_bytes() == b"new"
    assert (store.root / "zone" / "0.log.0").read_bytes() == b"x" * 100


async def test_rotation_is_undone_when_its_task_is_cancelled(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x" * 100)
    asked = asyncio.Event()

    async def hang():
        asked.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.rotate("zone", 0, hang))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(store) == ["0.log"]


async def test_undo_of_a_rotation_accepts_a_removed_log(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x" * 100)

    async def remove():
        await store.remove("zone")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.rotate("zone", 0, remove)
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x" * 100)
    assert await store.rotate("zone", 0, lambda: store.remove("zone"))
    assert list_zones(store.root) == []


async def test_rotation_interrupted_by_a_crash_is_completed(store):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log.7").write_bytes(b"x")
    assert await store.rotate("zone", 0, reopening(store))
    assert names(store) == ["0.log", "0.log.7"]


async def test_log_whose_file_another_program_removed_is_reopened(store):
    await store.prepare("zone", 0)
    assert await store.rotate("zone", 0, reopening(store, data=b"x\n"))
    assert not await store.rotate("zone", 0, reopened)
    assert (await store.read("zone")).data == b"x\n"


async def test_log_whose_directory_another_program_removed_is_reopened(store):
    await store.prepare("zone", 0)
    shutil.rmtree(store.root)
    assert await store.rotate("zone", 0, reopening(store, data=b"x\n"))
    assert (store.root / "zone").stat().st_mode & 0o777 == 0o700
    assert (await store.read("zone")).data == b"x\n"


async def test_check_of_a_removed_zone_leaves_no_directory(store):
    async def refuse():
        raise ConnectionError("no such container")

    with pytest.raises(ConnectionError):
        await store.rotate("zone", 0, refuse)
    assert list_zones(store.root) == []


async def test_failed_rotation_keeps_directory_prepared_meanwhile(store):
    async def refuse():
        await store.prepare("zone", 0)
        raise ConnectionError("no such container")

    with pytest.raises(ConnectionError):
        await store.rotate("zone", 0, refuse)
    assert list_zones(store.root) == ["zone"]


async def test_ended_rotations_are_not_remembered(store):
    async def refuse():
        raise ConnectionError("no such container")

    async def accept():
        pass

    with pytest.raises(ConnectionError):
        await store.rotate("removed", 0, refuse)
    assert await store.rotate("zone", 0, accept)
    assert store._created_by_rotation == set()


async def test_undo_interrupted_by_a_crash_loses_nothing(store):
    await store.prepare("zone", 0)
    path = store.root / "zone" / "0.log.7"
    path.write_bytes(b"x\n")
    (store.root / "zone" / "0.log").hardlink_to(path)
    assert (await store.read("zone")).data == b"x\n"
    assert await store.rotate("zone", 0, reopening(store, data=b"y\n"))
    assert (await store.read("zone", has_ended=lambda: True)).data == b"x\ny\n"


async def test_log_is_readable_while_the_disk_is_full(store, monkeypatch):
    await store.prepare("zone", 0)
    (store.root / "zone" / "0.log").write_bytes(b"x\n")

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    for call in ("mkdir", "rename", "link"):
        monkeypatch.setattr(os, call, full)
    with pytest.raises(LogStorageError, match="directory for the log of 'other': No space left"):
        await store.prepare("other", 0)
    assert (await store.read("zone")).data == b"x\n"
    assert await store.tail("zone", 1) == "0.0.0"
    await store.remove("zone")
    assert list_zones(store.root) == []


@pytest.mark.parametrize("cursor", ["", "nonsense", "1.2", "0.0.0.z"])
async def test_read_with_an_invalid_cursor_raises_log_cursor_error(store, cursor):
    await store.prepare("zone", 0)
    with pytest.raises(LogCursorError):
        await store.read("zone", cursor)
    for follow in (False, True):
        with pytest.raises(LogCursorError):
            await anext(store.stream("zone", cursor, follow=follow))


async def test_size_of_a_log_is_that_of_all_its_files_and_zero_after_its_removal(store, tmp_path):
    assert await store.size("zone") == 0
    location = await store.prepare("zone", 0)
    for name, content in (("0.log", b"abc"), ("0.log.0", b"de")):
        (Path(location.directory) / name).write_bytes(content)
    assert await store.size("zone") == 5
    await store.remove("zone")
    assert await store.size("zone") == 0

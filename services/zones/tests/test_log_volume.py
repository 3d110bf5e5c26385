import pytest
from kakuri_zones.logs import LogStore


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path / "logs", max_file_bytes=100, max_files=2)
    yield store
    store.close()


def write(store, zone, size, attempt=0):
    """Append to a log, as the runtime does."""
    with (store.root / zone / f"{attempt}.log").open("ab") as file:
        file.write(b"x" * size)


async def check(store, zone, attempt=0):
    """Check a log for rotation, by a runtime that opens the new file at once."""

    async def reopen():
        (store.root / zone / f"{attempt}.log").touch()

    await store.rotate(zone, attempt, reopen)


async def test_growth_is_counted_from_check_to_check(store):
    await store.prepare("z", 0)
    write(store, "z", 10)
    await check(store, "z")
    assert store.volume.written == 10
    write(store, "z", 5)
    await check(store, "z")
    assert store.volume.written == 15


async def test_log_of_an_earlier_process_is_not_counted_again(store):
    await store.prepare("z", 0)
    write(store, "z", 10)
    later = LogStore(store.root)
    await check(later, "z")
    write(store, "z", 5)
    await check(later, "z")
    assert later.volume.written == 5
    later.close()


async def test_growth_is_counted_across_rotations(store):
    await store.prepare("z", 0)
    for _ in range(3):
        write(store, "z", 150)
        await check(store, "z")
    await check(store, "z")
    assert store.volume.written == 450


async def test_files_that_rotation_removes_are_lost(store):
    await store.prepare("z", 0)
    for _ in range(3):
        write(store, "z", 150)
        await check(store, "z")
    left = sum(file.stat().st_size for file in (store.root / "z").iterdir())
    assert store.volume.lost == 450 - left > 0


async def test_logs_of_attempts_before_the_last_are_lost(store):
    for attempt in range(3):
        await store.prepare("z", attempt)
        write(store, "z", 10 + attempt, attempt)
    assert store.volume.lost == 10
    assert store.volume.written == 10 + 11


async def test_removed_log_is_counted_but_not_lost(store):
    await store.prepare("z", 0)
    write(store, "z", 10)
    await store.remove("z")
    assert store.volume.written == 10
    assert store.volume.lost == 0

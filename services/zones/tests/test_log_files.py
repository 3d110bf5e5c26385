import os

import pytest
from kakuri_zones.logs._files import remove_oldest


@pytest.fixture
def directory(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def write(path, *sizes, attempt=0):
    """Write a log's rotated files, the oldest first, and last the one being written."""
    for number, size in enumerate(sizes[:-1]):
        (path / f"{attempt}.log.{number}").write_bytes(bytes(size))
    (path / f"{attempt}.log").write_bytes(bytes(sizes[-1]))


def names(path):
    return sorted(file.name for file in path.iterdir())


@pytest.mark.parametrize("keep", [2, 3, 4])
def test_remove_oldest_keeps_exactly_as_many_files_as_asked(tmp_path, directory, keep):
    write(tmp_path, 10, 10, 10, 10, 10)
    remove_oldest(directory, 0, keep, 1000)
    rotated = [f"0.log.{number}" for number in range(4)]
    assert names(tmp_path) == ["0.log", *rotated[-(keep - 1) :]]


def test_remove_oldest_leaves_no_more_bytes_than_asked(tmp_path, directory):
    write(tmp_path, 10, 10, 10, 10)
    remove_oldest(directory, 0, 5, 30)
    assert names(tmp_path) == ["0.log", "0.log.1", "0.log.2"]
    remove_oldest(directory, 0, 5, 29)
    assert names(tmp_path) == ["0.log", "0.log.2"]


def test_remove_oldest_keeps_the_two_newest_whatever_their_size(tmp_path, directory):
    write(tmp_path, 10, 500, 500)
    remove_oldest(directory, 0, 1, 1)
    assert names(tmp_path) == ["0.log", "0.log.1"]


def test_remove_oldest_leaves_other_attempts_alone(tmp_path, directory):
    write(tmp_path, 10, 10, 10, 10)
    write(tmp_path, 10, 10, 10, attempt=1)
    remove_oldest(directory, 1, 2, 1000)
    assert names(tmp_path) == ["0.log", "0.log.0", "0.log.1", "0.log.2", "1.log", "1.log.1"]

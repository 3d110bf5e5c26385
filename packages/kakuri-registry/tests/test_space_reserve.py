"""The reserve of a full disk: when it counts as allocated, and that it can be released."""

import errno
import os

import pytest
from kakuri_registry import StoreFailed, _space_reserve
from kakuri_registry._space_reserve import SpaceReserve

MIB = 1 << 20


@pytest.mark.parametrize(
    ("allocated", "is_released"), [(4 * MIB, False), (4 * MIB - 4096, True), (None, True)]
)
def test_reserve_of_a_former_run_is_used_if_it_has_all_its_blocks(tmp_path, allocated, is_released):
    path = tmp_path / "reserve"
    if allocated is not None:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, allocated)
    assert SpaceReserve(path, 4 * MIB).is_released is is_released


def test_release_of_a_reserve_that_was_deleted_has_no_effect(tmp_path):
    path = tmp_path / "reserve"
    reserve = SpaceReserve(path, MIB)
    assert reserve.try_ensure_room()
    path.unlink()
    for _ in range(2):
        reserve.release()
        assert reserve.is_released


def test_reserve_that_an_operator_deleted_is_allocated_again(tmp_path):
    path = tmp_path / "reserve"
    reserve = SpaceReserve(path, MIB)
    assert reserve.try_ensure_room()
    path.unlink()
    reserve.notice_deletion()
    assert reserve.is_released
    reserve.ensure_room()
    assert path.stat().st_size == MIB


def test_reserve_for_which_no_inode_is_left_is_not_allocated(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    reserve = SpaceReserve(tmp_path / "reserve", MIB)
    monkeypatch.setattr(_space_reserve, "open_file", fail)
    assert not reserve.try_ensure_room()
    assert reserve.is_released


def test_reserve_of_no_bytes_always_has_room(tmp_path):
    reserve = SpaceReserve(tmp_path / "reserve", 0)
    assert reserve.try_ensure_room()
    assert not reserve.is_released
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_reserve_that_cannot_be_allocated_leaves_no_file(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    path = tmp_path / "reserve"
    reserve = SpaceReserve(path, MIB)
    monkeypatch.setattr(os, "posix_fallocate", fail)
    if code == errno.EIO:
        with pytest.raises(StoreFailed, match="Input/output error"):
            reserve.try_ensure_room()
    else:
        assert not reserve.try_ensure_room()
    assert reserve.is_released
    assert not path.exists()
    monkeypatch.undo()
    assert reserve.try_ensure_room()
    assert not reserve.is_released

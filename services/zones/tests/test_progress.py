import os

import pytest
from kakuri_cri import api
from kakuri_zones._progress import PullProgress, received, used_on_disk

MEGABYTE = 1_000_000


def usage(used, mountpoint="/images"):
    return [
        api.FilesystemUsage(
            fs_id=api.FilesystemIdentifier(mountpoint=mountpoint),
            used_bytes=api.UInt64Value(value=used),
        )
    ]


def test_growth_reported_by_the_runtime_is_progress():
    progress = PullProgress(0.0, received_by=lambda path: None)
    progress.update(usage(5 * MEGABYTE), 1.0)
    assert progress.stalled_for(10.0) == 10.0
    progress.update(usage(7 * MEGABYTE), 10.0)
    assert progress.stalled_for(11.0) == 1.0
    assert progress.bytes_seen == 2 * MEGABYTE


def test_growth_of_downloads_on_disk_is_progress():
    on_disk = iter([MEGABYTE, 3 * MEGABYTE])
    progress = PullProgress(0.0, received_by=lambda path: next(on_disk))
    progress.update(usage(0), 1.0)
    progress.update(usage(0), 9.0)
    assert progress.stalled_for(9.0) == 0.0
    assert progress.bytes_seen == 2 * MEGABYTE


def test_slow_growth_accumulates_to_progress():
    progress = PullProgress(0.0, received_by=lambda path: None)
    for second in range(10):
        progress.update(usage(second * 10_000), float(second))
    assert progress.stalled_for(9.0) == 2.0  # 70 kB were received by second 7
    assert progress.bytes_seen == 70_000


def test_shrinking_file_system_is_not_progress_but_later_growth_is():
    progress = PullProgress(0.0, received_by=lambda path: None)
    for second, used in enumerate([9, 2, 3]):
        progress.update(usage(used * MEGABYTE), float(second))
    assert progress.stalled_for(2.0) == 0.0


def test_progress_without_reports_has_no_figures():
    progress = PullProgress(5.0)
    progress.update([], 6.0)
    assert (progress.stalled_for(8.0), progress.has_figures) == (3.0, False)
    progress.update(usage(0), 6.0)
    assert (progress.stalled_for(8.0), progress.has_figures) == (3.0, True)


def test_used_space_is_unknown_for_a_missing_directory(tmp_path):
    assert used_on_disk(str(tmp_path)) > 0
    assert used_on_disk(str(tmp_path / "nope")) is None


def test_received_bytes_are_those_of_containerds_downloads(tmp_path):
    mountpoint = tmp_path / "io.containerd.snapshotter.v1.overlayfs"
    mountpoint.mkdir()
    assert received(str(mountpoint)) > 0
    downloads = tmp_path / "io.containerd.content.v1.content" / "ingest"
    downloads.mkdir(parents=True)
    assert received(str(mountpoint)) == 0
    for name in ("a", "b"):
        (downloads / name).mkdir()
        (downloads / name / "data").write_bytes(b"x" * 1000)
    (downloads / "c").mkdir()
    assert received(str(mountpoint)) == 2000
    assert received(str(tmp_path / "no" / "where")) is None


@pytest.mark.parametrize(("grown", "is_progress"), [(65_535, False), (65_536, True)])
def test_growth_of_64_kib_is_progress(grown, is_progress):
    progress = PullProgress(0.0, received_by=lambda path: None)
    progress.update(usage(MEGABYTE), 1.0)
    progress.update(usage(MEGABYTE + grown), 5.0)
    assert progress.stalled_for(9.0) == (4.0 if is_progress else 9.0)
    assert progress.bytes_seen == (grown if is_progress else 0)


def test_growth_of_several_file_systems_counts_the_largest_once():
    progress = PullProgress(0.0, received_by={"/images": 0, "/other": 0}.get)
    progress.update([*usage(0), *usage(0, "/other")], 1.0)
    progress.update([*usage(2 * MEGABYTE), *usage(3 * MEGABYTE, "/other")], 2.0)
    assert progress.bytes_seen == 3 * MEGABYTE
    assert progress.stalled_for(4.0) == 2.0


def test_file_system_without_a_place_or_figures_does_not_grow():
    progress = PullProgress(0.0, received_by=lambda path: 0 if path == "" else None)
    for second in range(3):
        progress.update([api.FilesystemUsage()], float(second))
    assert (progress.has_figures, progress.bytes_seen) == (True, 0)
    assert progress.stalled_for(3.0) == 3.0


def test_used_space_is_in_bytes(tmp_path, monkeypatch):
    class Status:
        f_blocks, f_bfree, f_frsize = 1000, 400, 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Status)
    assert used_on_disk(str(tmp_path)) == 600 * 4096


@pytest.mark.parametrize("path", ["/a\0b", "\0"])
def test_mount_point_with_nul_counts_as_unknown(path):
    progress = PullProgress(0.0)
    progress.update(usage(MEGABYTE, path), 1.0)
    assert progress.stalled_for(1.0) == 1.0

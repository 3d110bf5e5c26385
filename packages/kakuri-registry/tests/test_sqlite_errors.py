import errno
import os
import resource
import sqlite3

import pytest
from kakuri_registry import StoreFailed, StoreFull
from kakuri_registry._sqlite_errors import translate_sqlite_error


def io_error(code=sqlite3.SQLITE_IOERR_WRITE):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


def test_write_error_on_a_writable_disk_keeps_sqlites_message(tmp_path):
    translated = translate_sqlite_error(io_error(), tmp_path / "db")
    assert type(translated) is StoreFailed
    assert str(translated) == f"the store '{tmp_path}/db' failed: disk I/O error"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC])
def test_write_error_on_a_disk_whose_quota_is_exceeded_is_a_full_store(tmp_path, monkeypatch, code):
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.EDQUOT))
    translated = translate_sqlite_error(io_error(code), tmp_path / "db")
    assert type(translated) is StoreFull
    assert str(translated) == f"can't write '{tmp_path}/db': the disk is full"


def test_write_error_on_a_read_only_disk_names_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EROFS))
    translated = translate_sqlite_error(io_error(), tmp_path / "db")
    assert type(translated) is StoreFailed
    assert str(translated) == f"can't write '{tmp_path}/db': Read-only file system"


@pytest.mark.parametrize("name", ["db", "db-wal"])
def test_write_error_of_a_file_at_the_size_limit_names_the_limit(tmp_path, name):
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 2 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        translated = translate_sqlite_error(io_error(), tmp_path / "db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert type(translated) is StoreFailed
    limit = "the file size limit (ulimit -f) is reached"
    assert str(translated) == f"can't write '{tmp_path}/db': {limit}"


def test_write_error_whose_reason_can_not_be_found_is_an_io_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EMFILE))
    translated = translate_sqlite_error(io_error(), tmp_path / "db")
    assert str(translated) == f"the store '{tmp_path}/db' failed: disk I/O error"


def failing(code):
    def fail(*_arguments):
        raise OSError(code, os.strerror(code))

    return fail

import pytest

from tools import debian, prometheus


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Keep what is fetched in a directory of the test, and find nothing on PATH."""
    monkeypatch.setattr(prometheus, "HOME", tmp_path / "home")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "home"


def install(directory):
    directory.mkdir(parents=True)
    for name in prometheus.PROGRAMS:
        (directory / name).touch(mode=0o755)


def test_programs_on_path_are_used(home, tmp_path):
    install(tmp_path / "bin")
    assert prometheus.lacks() is None
    assert prometheus.program("promtool") == tmp_path / "bin" / "promtool"


def test_package_is_fetched_once(home, monkeypatch):
    fetched = []
    monkeypatch.setattr(debian, "update", lambda: None)
    monkeypatch.setattr(debian, "download", lambda names, _: fetched.append(names))
    monkeypatch.setattr(debian, "unpack", lambda _, directory: install(directory / "usr/bin"))
    for _ in range(2):
        assert prometheus.program("promtool") == home / "unpacked/usr/bin/promtool"
    assert fetched == [["prometheus"]]


def test_reason_is_reported_where_the_package_cannot_be_fetched(home, monkeypatch):
    monkeypatch.setattr(debian, "can_install", lambda: False)
    assert "neither on PATH" in prometheus.lacks()
    monkeypatch.setattr(debian, "can_install", lambda: True)
    assert prometheus.lacks() is None

from pathlib import Path

import pytest

from tools import chromium, debian


@pytest.fixture
def without_chromium(monkeypatch):
    """Simulate a Debian machine without chromium on PATH, where packages can be fetched."""
    monkeypatch.setattr(debian, "which", lambda program: None)
    monkeypatch.setattr(debian, "can_install", lambda: True)
    monkeypatch.setattr(chromium.platform, "machine", lambda: "x86_64")


def test_chromium_on_path_is_used_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "which", lambda program: f"/usr/bin/{program}")
    assert chromium.find(tmp_path) == chromium.Chromium(Path("/usr/bin/chromium"), {})
    assert list(tmp_path.iterdir()) == []


def test_chromium_is_fetched_once_and_has_its_libraries_and_fonts(
    monkeypatch, tmp_path, without_chromium
):
    commands = []

    def run(command, cwd=None):
        commands.append(command)
        if command[:2] == ["apt-get", "download"]:
            for name in chromium.FONTS:
                (cwd / f"{name}_1_all.deb").touch()
        if "--download-only" in command:
            (_directory_of_archives(command) / "chromium_1_amd64.deb").touch()
        if command[0] == "dpkg-deb":
            program = Path(command[-1]) / "usr/lib/chromium/chromium"
            program.parent.mkdir(parents=True, exist_ok=True)
            program.touch()
        return ""

    monkeypatch.setattr(debian, "_run", run)
    found = chromium.find(tmp_path)
    assert found.program.exists()
    unpacked = [Path(command[2]).name for command in commands if command[0] == "dpkg-deb"]
    assert unpacked == [
        "chromium_1_amd64.deb",
        "fonts-dejavu-core_1_all.deb",
        "fonts-inter_1_all.deb",
        "fonts-jetbrains-mono_1_all.deb",
    ]
    libraries = tmp_path / "unpacked/usr/lib/x86_64-linux-gnu"
    assert found.environment["LD_LIBRARY_PATH"] == f"{libraries}:{libraries}/pulseaudio"
    fonts = Path(found.environment["FONTCONFIG_FILE"]).read_text()
    assert f"<dir>{tmp_path}/unpacked/usr/share/fonts</dir>" in fonts
    commands.clear()
    assert chromium.find(tmp_path) == found
    assert commands == []


def test_packages_that_cannot_be_fetched_raise_no_browser_and_leave_nothing(
    monkeypatch, tmp_path, without_chromium
):
    def run(command, cwd=None):
        if "--download-only" in command:
            raise SystemExit("apt-get install ended with 100: could not resolve")
        return ""

    monkeypatch.setattr(debian, "_run", run)
    with pytest.raises(chromium.NoBrowser, match="could not resolve"):
        chromium.find(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_machine_that_cannot_install_has_no_browser(monkeypatch, tmp_path, without_chromium):
    monkeypatch.setattr(debian, "can_install", lambda: False)
    with pytest.raises(chromium.NoBrowser, match="fetching it needs root on Debian"):
        chromium.find(tmp_path)


def test_chromium_that_does_not_start_raises_no_browser(tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    program.chmod(0o755)
    with pytest.raises(chromium.NoBrowser, match="does not start: no such library"):
        chromium.Chromium(program, {}).version()


def _directory_of_archives(command: list[str]) -> Path:
    (option,) = [part for part in command if part.startswith("Dir::Cache::archives=")]
    return Path(option.partition("=")[2])

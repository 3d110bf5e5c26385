import subprocess
import tarfile
import zipfile
from datetime import date

import pytest

from tools import metadata, release
from tools.members import Member
from tools.release import ReleaseError

CHANGELOG = "# Changelog of kakuri-tcp\n\n## Unreleased\n\n### Added\n\n- A thing.\n"
PYPROJECT = '[project]\nname = "{name}"\ndependencies = [{dependencies}]\n'


def new_member(root, name, *dependencies, version="0.1.0", log=CHANGELOG):
    directory = root / name
    package = directory / "src" / name.replace("-", "_")
    package.mkdir(parents=True)
    (package / "_version.py").write_text(f'__version__ = "{version}"\n')
    (package / "py.typed").touch()
    listed = ", ".join(f'"{each}"' for each in dependencies)
    (directory / "pyproject.toml").write_text(PYPROJECT.format(name=name, dependencies=listed))
    (directory / "CHANGELOG.md").write_text(log)
    (directory / "README.md").write_text(f"# {name}\n")
    return Member(name, directory)


@pytest.fixture
def tcp(tmp_path, monkeypatch):
    """A repository that holds kakuri-tcp alone, and a directory for its releases."""
    monkeypatch.setattr(release, "RELEASES", tmp_path / "release")
    monkeypatch.setattr(metadata, "faults_of", lambda member: [])
    return new_member(tmp_path, "kakuri-tcp")


def clean_git(*arguments):
    return ""


def build(directory, destination):
    """Write what a build of the directory would, with the version that it states."""
    version = (directory / "src/kakuri_tcp/_version.py").read_text().split('"')[1]
    destination.mkdir()
    stem = f"kakuri_tcp-{version}"
    with zipfile.ZipFile(destination / f"{stem}-py3-none-any.whl", "w") as wheel:
        for name in ("kakuri_tcp/py.typed", "kakuri_tcp/_version.py"):
            wheel.writestr(name, "")
        wheel.writestr(f"{stem}.dist-info/licenses/LICENSE", "")
        wheel.writestr(
            f"{stem}.dist-info/METADATA", "Description-Content-Type: text/markdown\n\nText.\n"
        )
    with tarfile.open(destination / f"{stem}.tar.gz", "w:gz") as sdist:
        for name in ("README.md", "CHANGELOG.md", "LICENSE", "tests"):
            sdist.addfile(tarfile.TarInfo(f"{stem}/{name}"))


def released(member, version="0.2.0", members=(), git=clean_git, build=build):
    return release.release(
        member,
        version,
        day=date(2026, 2, 1),
        members=[member, *members],
        git=git,
        build=build,
    )


def contents(member):
    return {path: path.read_text() for path in member.directory.rglob("*") if path.is_file()}


def test_release_raises_the_version_and_returns_the_files_to_upload(tcp):
    files = released(tcp)

    assert [each.name for each in files] == [
        "kakuri_tcp-0.2.0-py3-none-any.whl",
        "kakuri_tcp-0.2.0.tar.gz",
    ]
    assert all(each.exists() for each in files)
    assert metadata.version_of(tcp) == "0.2.0"
    text = (tcp.directory / "CHANGELOG.md").read_text()
    assert "## Unreleased\n\n## 0.2.0 - 2026-02-01\n\n### Added\n\n- A thing.\n" in text


def test_first_release_may_have_the_version_that_is_stated(tcp):
    released(tcp, "0.1.0")

    assert metadata.version_of(tcp) == "0.1.0"


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("0.2", "expected a version X.Y.Z, got '0.2'"),
        ("0.0.9", "expected at least 0.1.0, got 0.0.9"),
    ],
)
def test_malformed_or_lower_version_is_rejected(tcp, version, fault):
    with pytest.raises(ReleaseError) as error:
        released(tcp, version)

    assert error.value.faults == (fault,)


def test_version_that_was_released_is_rejected(tcp):
    released(tcp)
    log = tcp.directory / "CHANGELOG.md"
    log.write_text(
        log.read_text().replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- x\n")
    )

    with pytest.raises(ReleaseError, match=r"expected a version after 0\.2\.0, which is released"):
        released(tcp)


def test_changelog_without_changes_is_rejected(tcp):
    (tcp.directory / "CHANGELOG.md").write_text("# Changelog of kakuri-tcp\n\n## Unreleased\n")

    with pytest.raises(ReleaseError, match="expected changes under '## Unreleased'"):
        released(tcp)


def test_readme_that_says_not_published_yet_is_rejected(tcp):
    (tcp.directory / "README.md").write_text("# kakuri-tcp\n\nNot on a package index yet.\n")

    with pytest.raises(ReleaseError, match="write `pip install kakuri-tcp` instead"):
        released(tcp)


def test_dependent_whose_range_excludes_the_version_is_named(tcp, tmp_path):
    http = new_member(tmp_path, "kakuri-http", "kakuri-tcp>=0.1,<0.2")

    with pytest.raises(ReleaseError) as error:
        released(tcp, "0.2.0", [http])

    assert error.value.faults == (
        "kakuri-http requires kakuri-tcp>=0.1,<0.2, which excludes 0.2.0",
    )
    assert released(tcp, "0.1.1", [http])


def test_sibling_that_was_never_released_is_named(tcp, tmp_path):
    http = new_member(tmp_path, "kakuri-http", "kakuri-tcp>=0.1,<0.2")

    with pytest.raises(ReleaseError) as error:
        released(http, "0.1.0", [tcp])

    assert error.value.faults == ("kakuri-tcp, which kakuri-http requires, was never released",)


def test_dirty_tree_and_existing_tag_are_rejected(tcp):
    answers = {"status": " M README.md\n", "tag": "kakuri-tcp-v0.2.0\n"}

    with pytest.raises(ReleaseError) as error:
        released(tcp, git=lambda *arguments: answers[arguments[0]])

    assert error.value.faults == (
        "expected a clean working tree, got 1 changed files",
        "the tag kakuri-tcp-v0.2.0 exists already",
    )


def test_build_that_fails_changes_nothing(tcp):
    def failing_build(directory, destination):
        raise subprocess.CalledProcessError(1, ["build"])

    before = contents(tcp)
    with pytest.raises(subprocess.CalledProcessError):
        released(tcp, build=failing_build)

    assert contents(tcp) == before
    assert not release.RELEASES.exists()


def test_wheel_with_an_unexpected_file_changes_nothing(tcp):
    def careless_build(directory, destination):
        build(directory, destination)
        (wheel,) = destination.glob("*.whl")
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("tests/test_x.py", "")

    before = contents(tcp)
    with pytest.raises(ReleaseError, match="the wheel would install 'tests'"):
        released(tcp, build=careless_build)

    assert contents(tcp) == before
    assert not release.RELEASES.exists()


def test_next_steps_name_the_commit_the_tag_and_the_upload(monkeypatch, tcp, tmp_path):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    text = release.next_steps(tcp, "0.2.0", released(tcp))

    assert "git tag -a kakuri-tcp-v0.2.0" in text
    assert "twine upload release/kakuri_tcp-0.2.0-py3-none-any.whl" in text


def test_next_steps_of_the_control_plane_store_its_document(monkeypatch, tcp, tmp_path):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "DESCRIBED", tcp.name)
    text = release.next_steps(tcp, "0.2.0", released(tcp))
    assert "python -m tools.openapi --write\n" in text
    assert "docs/openapi.json\n" in text

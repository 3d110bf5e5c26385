"""Release one member: check everything, build, raise its version and print what to upload.

Usage: python -m tools.release MEMBER VERSION

The new version and changelog are built and checked in a copy of the member. The repository changes
only after every check has passed: `_version.py` and `CHANGELOG.md` are written, and the wheel and
the sdist are placed in `dist/release`. The maintainer commits, tags and uploads.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from tools import changelog, metadata, wheels
from tools.members import MEMBERS, ROOT, Member

RELEASES = ROOT / "dist" / "release"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
UNPUBLISHED = "Not on a package index yet"
"""How a README's section on installation begins until the first release."""
DESCRIBED = "kakuri-control-plane"
"""The member whose version is in the stored OpenAPI document."""
IGNORED = shutil.ignore_patterns("__pycache__", "*.so", ".hypothesis", "dist", "build")


class ReleaseError(Exception):
    """The member cannot be released; `faults` has one line for each reason."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(faults))


def ordered(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which compare in the order of releases."""
    return tuple(map(int, version.split(".")))


def tag_of(member: Member, version: str) -> str:
    """Return the name of the tag that marks a release."""
    return f"{member.name}-v{version}"


def faults_before(
    member: Member, version: str, members: Sequence[Member], git: Callable[..., str]
) -> list[str]:
    """Return the reasons why a member cannot be released in this version, one line for each.

    Args:
        member: The member to release.
        version: Its new version, X.Y.Z.
        members: All members, among them siblings and dependents.
        git: Runs git with arguments in the repository and returns its output.
    """
    if not VERSION.fullmatch(version):
        return [f"expected a version X.Y.Z, got {version!r}"]
    text = (member.directory / "CHANGELOG.md").read_text()
    found = metadata.faults_of(member)
    earlier = [each for each in changelog.released(text) if VERSION.fullmatch(each)]
    if earlier and ordered(version) <= max(map(ordered, earlier)):
        found.append(f"expected a version after {earlier[0]}, which is released, got {version}")
    if ordered(version) < ordered(metadata.version_of(member)):
        found.append(f"expected at least {metadata.version_of(member)}, got {version}")
    if not changelog.has_unreleased_changes(text):
        found.append(f"expected changes under '{changelog.UNRELEASED}' in CHANGELOG.md, got none")
    if UNPUBLISHED in (member.directory / "README.md").read_text():
        found.append(f"the README says {UNPUBLISHED!r}; write `pip install {member.name}` instead")
    for sibling in (each for each in members if each.name in member.siblings):
        if not changelog.released((sibling.directory / "CHANGELOG.md").read_text()):
            found.append(f"{sibling.name}, which {member.name} requires, was never released")
    for dependent in (each for each in members if member.name in each.siblings):
        requirement = next(
            each for each in dependent.requirements if re.split(r"[^\w-]", each)[0] == member.name
        )
        if not metadata.accepts(requirement, version):
            found.append(f"{dependent.name} requires {requirement}, which excludes {version}")
    if changes := git("status", "--porcelain").splitlines():
        found.append(f"expected a clean working tree, got {len(changes)} changed files")
    if git("tag", "--list", tag_of(member, version)).strip():
        found.append(f"the tag {tag_of(member, version)} exists already")
    return found


def release(
    member: Member,
    version: str,
    *,
    day: date,
    members: Sequence[Member] = MEMBERS,
    git: Callable[..., str],
    build: Callable[[Path, Path], None],
) -> list[Path]:
    """Raise a member's version and return the files to upload.

    Args:
        member: The member to release.
        version: Its new version, X.Y.Z.
        day: The date for the changelog.
        members: All members.
        git: Runs git with arguments in the repository and returns its output.
        build: Builds the member in the first directory into the second and checks the metadata
            there.

    Returns:
        The wheel and the sdist, in `dist/release`.

    Raises:
        ReleaseError: A check failed. Nothing has changed.
        subprocess.CalledProcessError: The build failed. Nothing has changed.
    """
    if found := faults_before(member, version, members, git):
        raise ReleaseError(found)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Member(member.name, Path(temporary) / "member")
        built = Path(temporary) / "dist"
        shutil.copytree(member.directory, copy.directory, ignore=IGNORED)
        written = _raise_version(copy, version, day)
        build(copy.directory, built)
        if found := wheels.faults_of(copy, built):
            raise ReleaseError(found)
        RELEASES.mkdir(parents=True, exist_ok=True)
        files = [Path(shutil.copy2(each, RELEASES)) for each in sorted(built.iterdir())]
        for name in written:
            shutil.copyfile(copy.directory / name, member.directory / name)
    return files


def _raise_version(member: Member, version: str, day: date) -> list[str]:
    """Write the version and the changelog; return the names of the two files."""
    log = member.directory / "CHANGELOG.md"
    log.write_text(changelog.release(log.read_text(), version, day))
    module = member.directory / "src" / member.import_name / "_version.py"
    old = f'"{metadata.version_of(member)}"'
    module.write_text(module.read_text().replace(old, f'"{version}"'))
    return ["CHANGELOG.md", str(module.relative_to(member.directory))]


def next_steps(member: Member, version: str, files: Sequence[Path]) -> str:
    """Return the commands that publish a release."""
    tag = tag_of(member, version)
    directory = member.directory.relative_to(ROOT)
    uploads = " ".join(str(each.relative_to(ROOT)) for each in files)
    document, also = "", ""
    if member.name == DESCRIBED:
        document, also = "  python -m tools.openapi --write\n", " docs/openapi.json"
    return (
        f"{member.name} {version} is ready. To publish it:\n\n{document}"
        f"  git commit -m 'Release {member.name} {version}' {directory}{also}\n"
        f"  git tag -a {tag} -m '{member.name} {version}'\n"
        f"  twine upload {uploads}\n"
        f"  git push origin HEAD {tag}"
    )


def run_git(*arguments: str) -> str:
    """Run git in the repository and return its output."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def run_build(directory: Path, destination: Path) -> None:
    """Build a member with this Python's build and hatchling, and check it with twine."""
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "-o",
        str(destination),
        str(directory),
    ]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    files = map(str, sorted(destination.iterdir()))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)


def main() -> None:
    """Release the member that the command line names."""
    try:
        name, version = sys.argv[1:]
        member = next(each for each in MEMBERS if each.name == name)
    except (ValueError, StopIteration):
        names = ", ".join(each.name for each in MEMBERS)
        raise SystemExit(f"{__doc__}\nMembers: {names}") from None
    today = datetime.now(UTC).date()
    try:
        files = release(member, version, day=today, git=run_git, build=run_build)
    except ReleaseError as error:
        raise SystemExit(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(error.cmd)} ended with {error.returncode}") from None
    print(next_steps(member, version, files))


if __name__ == "__main__":
    main()

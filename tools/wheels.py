"""Check that built distributions contain every required file and no other.

Usage: python -m tools.wheels DIRECTORY
"""

import sys
import tarfile
import zipfile
from pathlib import Path

from tools.members import MEMBERS, Member


def faults_of(member: Member, directory: Path) -> list[str]:
    """Return what is wrong with a member's wheel and sdist, a line each."""
    stem = member.import_name
    wheels = list(directory.glob(f"{stem}-*.whl"))
    sdists = list(directory.glob(f"{stem}-*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{member.name}: expected one wheel and one sdist, got {wheels + sdists}"]
    faults: list[str] = []
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    for wanted in (f"{stem}/py.typed", f"{stem}/_version.py"):
        if wanted not in names:
            faults.append(f"{member.name}: the wheel lacks {wanted}")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        faults.append(f"{member.name}: the wheel lacks its LICENSE")
    tops = {name.split("/")[0] for name in names}
    for extra in sorted(top for top in tops if top != stem and not top.endswith(".dist-info")):
        outside = {name for name in names if name.startswith(f"{extra}/")}
        if not all(name.startswith(f"{extra}/data/share/") for name in outside):
            faults.append(f"{member.name}: the wheel would install {extra!r}")
    if "Description-Content-Type: text/markdown" not in text:
        faults.append(f"{member.name}: the wheel's metadata lacks the README")
    with tarfile.open(sdists[0]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    for wanted in ("README.md", "CHANGELOG.md", "LICENSE", "tests"):
        if not any(name == wanted or name.startswith(f"{wanted}/") for name in held):
            faults.append(f"{member.name}: the sdist lacks {wanted}")
    return faults


def main() -> None:
    """Check every member's distributions in the directory named on the command line."""
    directory = Path(sys.argv[1])
    faults = [fault for member in MEMBERS for fault in faults_of(member, directory)]
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{len(MEMBERS)} wheels and {len(MEMBERS)} sdists hold what they must")


if __name__ == "__main__":
    main()

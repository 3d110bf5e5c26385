"""The Python examples that the members' READMEs show."""

import re
from pathlib import Path

from tools.members import MEMBERS

_EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_examples(folder: Path) -> list[Path]:
    """Write each example of each README to a file of its own, and return the files."""
    files = []
    for member in MEMBERS:
        text = (member.folder / "README.md").read_text()
        for number, example in enumerate(_EXAMPLE.findall(text)):
            file = folder / f"{member.import_name}_{number}.py"
            file.write_text(example)
            files.append(file)
    return files

"""The Python examples of every README pass mypy in its strict mode, as a reader would write them."""

import re
import subprocess
import sys

from tools.members import MEMBERS, ROOT

EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_examples_of_all_readmes_pass_mypy_strict(tmp_path):
    files = []
    for member in MEMBERS:
        text = (member.folder / "README.md").read_text()
        for number, example in enumerate(EXAMPLE.findall(text)):
            file = tmp_path / f"{member.import_name}_{number}.py"
            file.write_text(example)
            files.append(str(file))
    assert len(files) >= 5
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *files]
    settings = ["--config-file=", "--no-error-summary"]
    ended = subprocess.run(
        [*command, *settings], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)

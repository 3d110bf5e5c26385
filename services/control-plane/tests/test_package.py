import re
from pathlib import Path

import kakuri_control_plane


def test_the_exported_names_exist():
    assert all(hasattr(kakuri_control_plane, name) for name in kakuri_control_plane.__all__)


def test_the_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})

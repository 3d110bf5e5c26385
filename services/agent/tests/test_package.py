import re
from pathlib import Path

import kakuri_agent


def test_the_exported_names_exist():
    assert all(hasattr(kakuri_agent, name) for name in kakuri_agent.__all__)


def test_the_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})

import re
from pathlib import Path

import kakuri_rpc


def test_the_exported_names_exist():
    assert all(hasattr(kakuri_rpc, name) for name in kakuri_rpc.__all__)


def test_the_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})

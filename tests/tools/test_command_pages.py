import subprocess
from dataclasses import fields

import pytest
from kakuri_workload import Workload

from tools.command_pages import SHARE, pages
from tools.manual_files import form_of, workload_keys


def test_generated_pages_match_the_current_options():
    present = {path: path.read_text() for path in SHARE.rglob("*") if path.is_file()}
    assert present == pages(), "run python -m tools.command_pages --write"


@pytest.mark.parametrize(
    "name", ["kakuri.1", "kakuri-run.1", "kakuri-context-add.1", "kakuri.toml.5"]
)
def test_page_is_read_by_man_without_a_warning(name):
    page = SHARE / f"man/man{name[-1]}/{name}"
    command = ["man", "--warnings", "-l", page]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "NAME" in shown.stdout
    assert shown.stderr == ""


def test_page_of_the_file_has_every_key_that_its_reader_accepts():
    keys = dict(workload_keys())
    assert keys.keys() == {each.name for each in fields(Workload)} - {"id"} | {"memory", "cpu"}
    assert keys["image"].endswith("at most 255 characters. Required.")
    assert keys["cpu"] == "The same as cpu_millicores, as cores like 0.5 or '500m'."
    assert (
        'Expected: "never" or "on_failure" or "always". Default: "never".' in keys["restart_policy"]
    )
    assert "a table; each key is a label's key" in keys["labels"]


def test_form_of_a_field_without_a_description_raises_type_error():
    with pytest.raises(TypeError, match="expected an annotation of a workload's field"):
        form_of(int | str)

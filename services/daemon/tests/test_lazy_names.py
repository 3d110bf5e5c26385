import subprocess
import sys

import pytest


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "lazy_example").mkdir()
    (tmp_path / "lazy_example" / "_base.py").write_text("class Base:\n    pass\n")
    (tmp_path / "lazy_example" / "_inner.py").write_text(
        "from lazy_example._base import Base\nclass Example(Base):\n    pass\nNUMBER = 2\n"
    )
    (tmp_path / "lazy_example" / "__init__.py").write_text(
        "from kakuri_daemon import lazy_names\n"
        "homes = {'Base': '_base', 'Example': '_inner', 'NUMBER': '_inner', 'Rest': '_rest'}\n"
        "__getattr__ = lazy_names(__name__, homes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("lazy_example")
    for name in [name for name in sys.modules if name.startswith("lazy_example")]:
        del sys.modules[name]


def test_name_is_imported_when_it_is_first_used(package):
    assert "lazy_example._inner" not in sys.modules
    assert package.Example is sys.modules["lazy_example._inner"].Example
    assert "Example" in vars(package)


def test_lazy_class_is_shown_by_its_public_name(package):
    assert repr(package.Example) == "<class 'lazy_example.Example'>"


def test_class_that_was_loaded_with_another_is_shown_by_its_public_name(package):
    assert repr(package.Example.__base__) == "<class 'lazy_example.Base'>"


def test_lazy_name_of_a_number_returns_it(package):
    assert package.NUMBER == 2


def test_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="module 'lazy_example' has no attribute 'Other'"):
        _ = package.Other


def test_lazy_names_import_no_event_loop():
    program = "import sys, kakuri_daemon; kakuri_daemon.lazy_names; print('asyncio' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"False\n"

"""The public names of every member, and the modules that they claim to be defined in."""

import importlib
import subprocess
import sys

import pytest

from tools.members import MEMBERS
from tools.site import public_modules
from tools.usage import usage_of

MODULES = [module for module in public_modules() if module.exported]
LIBRARIES = [member for member in MEMBERS if member.directory.parent.name == "packages"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_exported_names_exist_once_and_are_public(module):
    found = importlib.import_module(module.name)
    assert all(hasattr(found, name) for name in module.exported)
    assert len(set(module.exported)) == len(module.exported)
    assert not [name for name in module.exported if name.startswith("_")]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_exported_classes_and_functions_are_shown_by_a_public_name(module):
    found = importlib.import_module(module.name)
    homes = {
        name: value.__module__
        for name in module.exported
        if hasattr(value := getattr(found, name), "__qualname__")
    }
    assert {name: home for name, home in homes.items() if "._" in home} == {}


@pytest.mark.parametrize(
    ("package", "used", "error"),
    [
        ("kakuri_cri", "Runtime", "CriError"),
        ("kakuri_json", "decode", "JSONError"),
        ("kakuri_protobuf", "decode", "ProtobufError"),
    ],
)
def test_error_of_a_lazy_package_that_was_not_imported_itself_is_shown_by_its_public_name(
    package, used, error
):
    program = f"from {package} import {used}, _errors; print(_errors.{error}.__module__)"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == f"{package}\n"


@pytest.mark.parametrize("member", LIBRARIES, ids=lambda member: member.name)
def test_library_has_calls_for_type_checkers(member):
    assert "assert_type(" in usage_of(member).read_text()

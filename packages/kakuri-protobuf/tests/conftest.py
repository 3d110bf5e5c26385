"""The compiled modules of the tests' .proto files."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from kakuri_protobuf.compiler import compile_file

PROTOS = Path(__file__).parent / "protos"


def module_of(name: str, *, keep_unknown: bool) -> Any:
    """Return a module with the classes of a .proto file."""
    source = compile_file(PROTOS / f"{name}.proto", keep_unknown=keep_unknown)
    module = types.ModuleType(f"compiled_{name}_{keep_unknown}")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.fixture(scope="session")
def everything() -> Any:
    """The classes of everything.proto, which keep unknown fields."""
    return module_of("everything", keep_unknown=True)


@pytest.fixture(scope="session")
def legacy() -> Any:
    """The classes of legacy.proto, which keep unknown fields."""
    return module_of("legacy", keep_unknown=True)

"""Every exception of every member survives pickle, copy and deepcopy, as between processes."""

import copy
import importlib
import inspect
import pickle
import pkgutil
from enum import Enum

import pytest
from kakuri_rpc import ErrorReply

from tools.members import MEMBERS

# kakuri-json is tested in the same way by its own tests.
PACKAGES = [member.import_name for member in MEMBERS if member.import_name != "kakuri_json"]

# For parameters without a simple type, by name.
VALUES = {
    "locations": ["http://a/", "http://b/"],
    "path": "/some/path",
    "position": 3,
    "trailers": (("name", "value"),),
    "error": ErrorReply("invalid", "some message"),
}


def exceptions_of(package):
    """Return the exception classes that a package defines, in every module."""
    found = set()
    root = importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.")]
    for name in [package, *(name for name in names if not name.endswith("__main__"))]:
        for value in vars(importlib.import_module(name)).values():
            if (
                inspect.isclass(value)
                and issubclass(value, BaseException)
                and f"{value.__module__}.".startswith(f"{package}.")
            ):
                found.add(value)
    return found


EXCEPTIONS = sorted(
    {error for package in PACKAGES for error in exceptions_of(package)},
    key=lambda error: (error.__module__, error.__qualname__),
)


def value_for(name, annotation):
    """Return a value for a parameter of an exception."""
    if name in VALUES:
        return VALUES[name]
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return list(annotation)[-1]
    simple = {"int": 7, "float": 1.5, "bytes": b"raw", "bool": True}
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return simple.get(str(text).partition(" ")[0], f"some {name}")


def made(error):
    """Make an exception with a value for each of its parameters."""
    signature = inspect.signature(error.__init__, eval_str=True)
    parameters = list(signature.parameters.values())[1:]
    kinds = inspect.Parameter
    if any(parameter.kind is kinds.VAR_POSITIONAL for parameter in parameters):
        return error("what happened")
    positional, named = [], {}
    for parameter in parameters:
        value = value_for(parameter.name, parameter.annotation)
        if parameter.kind is kinds.KEYWORD_ONLY:
            named[parameter.name] = value
        elif parameter.kind is not kinds.VAR_KEYWORD:
            positional.append(value)
    return error(*positional, **named)


def test_every_member_defines_exceptions():
    packages = {error.__module__.partition(".")[0] for error in EXCEPTIONS}
    assert {"kakuri_http", "kakuri_tcp", "kakuri_rpc", "kakuri_registry"} <= packages
    assert len(EXCEPTIONS) > 50


@pytest.mark.parametrize(
    "again",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: error.__name__)
def test_copy_of_an_exception_has_its_type_text_and_fields(error, again):
    original = made(error)
    original.add_note("a note")
    other = again(original)
    assert type(other) is type(original)
    assert str(other) == str(original)
    assert repr(other) == repr(original)
    assert other.args == original.args
    assert vars(other) == vars(original)

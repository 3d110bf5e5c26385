"""Names that changed before the first release still work, with a warning."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("package", "former", "home", "name"),
    [
        ("kakuri_json", "StructureError", "kakuri_json", "ValidationError"),
        ("kakuri_json", "UnprintableError", "kakuri_json", "EncodeError"),
        ("kakuri_http", "Access", "kakuri_http", "AccessEntry"),
        ("kakuri_http", "HttpError", "kakuri_http", "HTTPError"),
        ("kakuri_http", "InvalidUrl", "kakuri_http", "InvalidURL"),
        ("kakuri_registry", "Workload", "kakuri_workload", "Workload"),
        ("kakuri_registry", "LABEL_KEY", "kakuri_workload", "LABEL_KEY"),
    ],
)
def test_former_name_warns_and_is_the_new_one(package, former, home, name):
    with pytest.warns(DeprecationWarning, match=f"{former} is now"):
        found = getattr(import_module(package), former)
    assert found == getattr(import_module(home), name)


@pytest.mark.parametrize("package", ["kakuri_json", "kakuri_http", "kakuri_registry"])
def test_name_that_never_was_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(import_module(package), "nothing")  # noqa: B009 - a statement of its own

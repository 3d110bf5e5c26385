"""What the package shows of itself."""

import pickle

import kakuri_http
import pytest
from kakuri_http import client


@pytest.mark.parametrize("module", [kakuri_http, client])
def test_dir_lists_every_public_name(module):
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("module", [kakuri_http, client])
def test_unknown_name_raises_attribute_error(module):
    with pytest.raises(AttributeError, match="has no attribute 'Clientt'"):
        _ = module.Clientt


@pytest.mark.parametrize(
    ("former", "name"),
    [("Access", "AccessEntry"), ("HttpError", "HTTPError"), ("InvalidUrl", "InvalidURL")],
)
def test_former_name_is_the_present_one_with_a_warning(former, name):
    with pytest.warns(DeprecationWarning, match=f"{former} is now {name}"):
        assert getattr(kakuri_http, former) is getattr(kakuri_http, name)


def test_class_is_pickled_under_its_public_name():
    assert pickle.loads(pickle.dumps(kakuri_http.Client)) is kakuri_http.Client
    assert kakuri_http.Client.__module__.startswith("kakuri_http")

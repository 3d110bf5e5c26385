"""Paths of methods."""

import pytest
from kakuri_protobuf import Method


@pytest.mark.parametrize(
    "path", ["/Greeter/Greet", "/example.v1.Greeter/Greet", "/under/this/Call"]
)
def test_method_with_a_service_and_a_name_is_accepted(path):
    assert Method(path, bytes, bytes).path == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "Greet", "/Greet", "Greeter/Greet", "/Greeter/", "//Greet", "/a//b", "/a/b/",
     "/Greeter/Say hello", "/Greeter/Grüße", "/Greeter/Greet\n"],
)  # fmt: skip
def test_method_with_a_path_that_no_server_can_have_raises_value_error(path):
    with pytest.raises(ValueError, match="expected a path such as"):
        Method(path, bytes, bytes)


def test_method_with_a_path_of_wrong_type_raises_type_error():
    with pytest.raises(TypeError, match="expected the path of a method, got b'/a/b'"):
        Method(b"/a/b", bytes, bytes)


@pytest.mark.parametrize(
    ("request_class", "response", "name"), [("A", bytes, "request"), (bytes, None, "response")]
)
def test_method_whose_message_is_not_a_class_raises_type_error(request_class, response, name):
    with pytest.raises(TypeError, match=f"expected a class as {name} of /a/b, got"):
        Method("/a/b", request_class, response)

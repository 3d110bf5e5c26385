"""Arguments of the wrong type or size are errors where they are passed."""

import pytest
from kakuri_tcp import LineServerLimits, ServerLimits, listen, listen_lines


@pytest.mark.parametrize("value", ["5", None, True])
def test_limit_that_is_not_a_number_raises_type_error(value):
    with pytest.raises(TypeError, match="expected a number as limit idle_timeout"):
        ServerLimits(idle_timeout=value)


def test_limit_of_bytes_has_to_be_a_whole_number():
    with pytest.raises(TypeError, match=r"expected a whole number as limit line, got 1\.5"):
        LineServerLimits(line=1.5)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limit_that_is_not_above_0_raises_value_error(value):
    with pytest.raises(ValueError, match="expected a limit idle_timeout above 0"):
        ServerLimits(idle_timeout=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": 5}, "expected limits of type LineServerLimits, got 5"),
        ({"first_byte": "{"}, "expected first_byte of type bytes, got '{'"),
        ({"unix_access": 0o600}, "expected unix_access of type UnixAccess, got 384"),
    ],
)
async def test_option_of_listen_lines_of_another_type_raises_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        await listen_lines("127.0.0.1:0", bytes.upper, **options)


async def test_handler_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as handler, got 5"):
        await listen_lines("127.0.0.1:0", 5)


async def test_limits_of_a_server_have_to_be_its_own():
    with pytest.raises(TypeError, match="expected limits of type ServerLimits"):
        await listen("127.0.0.1:0", object, limits={"idle_timeout": 5})

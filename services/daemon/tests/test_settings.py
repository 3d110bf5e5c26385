import os

import pytest
from kakuri_daemon import read_toml


def test_settings_through_a_symlink_are_read(tmp_path):
    (tmp_path / "real.toml").write_text('listen = "127.0.0.1:1"\n')
    (tmp_path / "link.toml").symlink_to("real.toml")
    assert read_toml(tmp_path / "link.toml") == {"listen": "127.0.0.1:1"}


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_settings_on_a_device_raise_os_error(tmp_path, device):
    (tmp_path / "link.toml").symlink_to(device)
    with pytest.raises(OSError, match="not a regular file"):
        read_toml(tmp_path / "link.toml")


def test_settings_in_a_fifo_raise_os_error_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo.toml")
    with pytest.raises(OSError, match="not a regular file"):
        read_toml(tmp_path / "fifo.toml")


def test_settings_over_the_size_limit_raise_os_error(tmp_path):
    (tmp_path / "large.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(OSError, match="larger than 1048576 bytes"):
        read_toml(tmp_path / "large.toml")


@pytest.mark.parametrize("text", ["a = " + "[" * 3000 + "]" * 3000, "a =", b"\xff"])
def test_settings_that_are_not_toml_raise_value_error(tmp_path, text):
    (tmp_path / "x.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):  # noqa: PT011 - the message is tomllib's
        read_toml(tmp_path / "x.toml")


def test_byte_order_mark_before_settings_is_ignored(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_bytes(b'\xef\xbb\xbfstore = "memory"\n')
    assert read_toml(path) == {"store": "memory"}


LARGE = [
    "9" * 5000,
    "9" * 400,
    "-9223372036854775809",
    "0x" + "f" * 5000,
    "[[{ a = 0b1%s }]]" % ("0" * 64),
]


@pytest.mark.parametrize("value", LARGE)
def test_settings_with_an_integer_over_64_bits_raise_value_error(tmp_path, value):
    (tmp_path / "x.toml").write_text(f"a = {value}\n")
    with pytest.raises(ValueError, match="expected integers of at most 64 bits"):
        read_toml(tmp_path / "x.toml")


def test_settings_with_the_largest_integers_are_read(tmp_path):
    (tmp_path / "x.toml").write_text("a = 9223372036854775807\nb = -9223372036854775808\n")
    assert read_toml(tmp_path / "x.toml") == {"a": 2**63 - 1, "b": -(2**63)}

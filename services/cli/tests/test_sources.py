"""Files and standard input in any locale, and of any size."""

import subprocess
import sys

import pytest
from kakuri._exits import UsageError
from kakuri._files import FileFaults, read_manifest
from kakuri._sources import MAX_BYTES, lines_of, read_file

# As with LC_ALL=de_DE@euro, without needing that locale.
OTHER_ENCODINGS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
MARK = b"\xef\xbb\xbf"
WORKLOAD = '[workload.web]\nimage = "nginx"\nenv = { A = "é" }\n'.encode()


@pytest.fixture
def run(api, tmp_path):
    """Run the command as a process with these variables; return what it printed, as bytes."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KAKURI_HOST": api.url}

    def run(*args, variables, content=b""):
        return subprocess.run([sys.executable, "-m", "kakuri", *args], capture_output=True,
                              check=False, env={**environment, **variables}, input=content,
                              cwd=tmp_path, timeout=100)  # fmt: skip

    return run


@pytest.mark.parametrize("variables", OTHER_ENCODINGS)
def test_output_with_characters_that_the_encoding_lacks_is_escaped(run, api, variables):
    api.add("web", "running")
    done = run("--help", variables=variables)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"http://\\u2026" in done.stdout
    done = run("status", "web", variables=variables)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("variables", OTHER_ENCODINGS)
@pytest.mark.parametrize("source", ["kakuri.toml", "-"])
def test_files_and_output_of_json_are_utf_8_in_every_locale(run, api, tmp_path, source, variables):
    (tmp_path / "kakuri.toml").write_bytes(WORKLOAD)
    done = run("apply", "-f", source, "-o", "json", variables=variables, content=WORKLOAD)
    assert (done.returncode, done.stderr) == (0, b"")
    assert api.workloads["web"]["spec"]["env"] == {"A": "é"}
    done.stdout.decode()


def test_byte_order_mark_before_a_file_is_ignored(kakuri, api, tmp_path):
    (tmp_path / "kakuri.toml").write_bytes(MARK + WORKLOAD)
    (tmp_path / "kakuri.json").write_bytes(MARK + b'{"id": "job", "image": "nginx"}')
    (tmp_path / "env").write_bytes(MARK + b"A=1\n")
    assert set(read_manifest((str(tmp_path),)).workloads) == {"web", "job"}
    assert kakuri("run", "-d", "--name", "one", "--env-file", "env", "nginx").code == 0
    assert api.workloads["one"]["spec"]["env"] == {"A": "1"}


def test_variable_with_a_separator_of_unicode_stays_on_its_line(kakuri, api, tmp_path):
    (tmp_path / "env").write_bytes("A=1\f2\u20283\x854\r\nB=5\r\n".encode())
    assert kakuri("run", "-d", "--name", "web", "--env-file", "env", "nginx").code == 0
    assert api.workloads["web"]["spec"]["env"] == {"A": "1\f2\u20283\x854", "B": "5"}


def test_fault_after_a_separator_of_unicode_has_the_line_that_editors_show(tmp_path):
    path = tmp_path / "kakuri.toml"
    path.write_bytes("# \u2028 \x85\n[workload.web]\nimage = 'nginx'\nfoo = 1\n".encode())
    with pytest.raises(FileFaults) as raised:
        read_manifest((str(path),))
    assert [fault.line for fault in raised.value.faults] == [4]


@pytest.mark.parametrize(
    ("text", "lines"), [("", [""]), ("a\nb\n", ["a", "b"]), ("a\r\n\r\nb", ["a", "", "b"])]
)
def test_lines_have_no_ends(text, lines):
    assert lines_of(text) == lines


def test_dash_is_standard_input_only_on_the_command_line(kakuri, api, environment, tmp_path):
    assert kakuri("run", "-d", "--name", "a", "--env-file", "-", "nginx", stdin="A=1\n").code == 0
    assert api.workloads["a"]["spec"]["env"] == {"A": "1"}
    result = kakuri("run", "-d", "--env-file", "-", "nginx", stdin="A\n")
    assert result.err == "error: standard input, line 1: expected NAME=VALUE, got 'A'\n"
    environment.delenv("KAKURI_HOST")
    config = f'current = "lab"\n[context.lab]\nhost = "{api.url}"\ntoken_file = "-"\n'
    environment.setenv("KAKURI_CLI_CONFIG", "-")
    result = kakuri("context", "ls", stdin=config)
    assert (result.code, "lab" in result.out) == (0, False)
    (tmp_path / "-").write_text(config)
    result = kakuri("ps", stdin="token")
    assert result.code == 2
    assert result.err.startswith("error: -: expected a token of 1 to 8000 printable ASCII")


def test_device_without_an_end_raises_usage_error(kakuri):
    reason = "/dev/zero can't be read: it is larger than 16 MiB"
    with pytest.raises(UsageError, match=reason):
        read_manifest(("/dev/zero",))
    for args in (
        ("run", "-d", "--env-file", "/dev/zero", "nginx"),
        ("api", "POST", "/workloads", "-d", "@/dev/zero"),
    ):
        result = kakuri(*args)
        assert (result.code, result.err) == (2, f"error: {reason}\n")


def test_file_of_the_largest_size_is_read(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_file(str(path))) == MAX_BYTES


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400, "0x" + "f" * 5000])
def test_integer_over_64_bits_in_a_file_is_an_error_of_one_line(
    kakuri, environment, tmp_path, number
):
    message = "expected integers of at most 64 bits, got a larger one"
    (tmp_path / "kakuri.toml").write_text(
        f"[workload.web]\nimage = 'nginx'\nmemory_mb = {number}\n"
    )
    result = kakuri("verify", "kakuri.toml")
    assert (result.code, result.err) == (2, f"error: kakuri.toml: {message}\n")
    (tmp_path / "config.toml").write_text(f"current = {number}\n")
    environment.setenv("KAKURI_CLI_CONFIG", "config.toml")
    environment.delenv("KAKURI_HOST")
    result = kakuri("ps")
    assert (result.code, result.err) == (2, f"error: config.toml is not valid TOML: {message}\n")

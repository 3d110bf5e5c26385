"""The import of the event loop without OpenSSL, each time in a process of its own."""

import socket
import subprocess
import sys

import pytest

IMPORT = "import sys, kakuri_daemon; kakuri_daemon.import_loop_without_tls()\n"

EVERY_NAME = """
import ssl
names = [ssl.SSLContext, ssl.MemoryBIO, ssl.create_default_context, ssl.CertificateError]
errors = ssl.SSLError, ssl.SSLWantReadError, ssl.SSLSyscallError, ssl.SSLZeroReturnError
numbers = ssl.SSL_ERROR_WANT_READ, ssl.SSL_ERROR_WANT_WRITE, ssl.SSL_ERROR_SYSCALL
"""
"""A uvloop that reads what uvloop 0.19 to 0.23 read when they are imported."""


def output_of(program, path=None):
    """Return what a program prints in a new process, whose uvloop is in a directory."""
    command = [sys.executable, "-c", f"{IMPORT}{program}"]
    env = {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout


def test_event_loop_is_imported_without_openssl(tmp_path):
    (tmp_path / "uvloop.py").write_text(EVERY_NAME)
    loaded = output_of("print(*sys.modules)", tmp_path).split()
    assert {"asyncio", "uvloop"} <= set(loaded)
    assert {"ssl", "_ssl"}.isdisjoint(loaded)


def test_error_numbers_equal_those_of_the_real_module(tmp_path):
    (tmp_path / "uvloop.py").write_text(EVERY_NAME)
    program = (
        "import uvloop; numbers = uvloop.numbers; del sys.modules['uvloop']; import uvloop as again"
        "; print(numbers == again.numbers, 'ssl' in sys.modules)"
    )
    assert output_of(program, tmp_path) == "True True\n"


def test_ssl_that_is_imported_afterwards_is_the_real_one():
    assert output_of("import ssl; print(ssl.OPENSSL_VERSION)").startswith("OpenSSL ")


def test_missing_uvloop_is_ignored(tmp_path):
    (tmp_path / "uvloop.py").write_text("raise ImportError")
    assert output_of("print('uvloop' in sys.modules)", tmp_path) == "False\n"


@pytest.mark.parametrize(
    "reads", ["from ssl import Purpose", "import ssl; ssl.Purpose", "int(object())"]
)
def test_uvloop_that_reads_another_name_of_ssl_is_not_imported(reads, tmp_path):
    (tmp_path / "uvloop.py").write_text(reads)
    assert output_of("print('uvloop' in sys.modules)", tmp_path) == "False\n"


def test_event_loop_that_is_imported_already_keeps_tls():
    program = "import asyncio, ssl; assert sys.modules['ssl'] is ssl is asyncio.base_events.ssl"
    command = [sys.executable, "-c", f"import asyncio\n{IMPORT}{program}"]
    subprocess.run(command, check=True)


REFUSAL = """
import asyncio, ssl, {module} as loops
async def connect(tls):
    try:
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, *{address}, ssl=tls)
    except RuntimeError as error:
        print(error)
with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
    for tls in (ssl.create_default_context(), True):
        runner.run(connect(tls))
"""


@pytest.mark.parametrize("module", ["asyncio", "uvloop"])
def test_event_loop_refuses_tls(module):
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = output_of(REFUSAL.format(module=module, address=server.getsockname()))
    assert len(output.splitlines()) == 2
    assert module == "asyncio" or "without TLS" in output


def test_substitutes_of_ssl_names_raise_runtime_error(tmp_path):
    (tmp_path / "uvloop.py").write_text(EVERY_NAME)
    program = """
import uvloop, ssl
for check in (lambda: isinstance(ssl.create_default_context(), uvloop.names[0]), *uvloop.names[1:3]):
    try:
        check()
    except RuntimeError as error:
        print(error)
"""
    refusal = "this process has imported its event loop without TLS\n"
    assert output_of(program, tmp_path) == 3 * refusal

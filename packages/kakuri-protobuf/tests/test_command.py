"""`python -m kakuri_protobuf`."""

import io
import sys

import pytest
from kakuri_protobuf.__main__ import main
from kakuri_protobuf.compiler import compile_file

from .conftest import PROTOS


def test_compile_writes_the_module(tmp_path):
    output = tmp_path / "messages.py"
    assert main(["compile", str(PROTOS / "everything.proto"), "-o", str(output)]) == 0
    assert output.read_text() == compile_file(PROTOS / "everything.proto")


def test_compile_writes_to_standard_output(capsys):
    assert main(["compile", "--keep-unknown", str(PROTOS / "shared.proto")]) == 0
    assert "unknown_fields: Annotated[bytes, Unknown]" in capsys.readouterr().out


def test_compile_looks_for_imports_in_included_directories(tmp_path):
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; import "shared.proto"; message A { kakuri.shared.Point p = 1; }'
    )
    assert main(["compile", str(tmp_path / "a.proto")]) == 1
    assert main(["compile", str(tmp_path / "a.proto"), "-I", str(PROTOS)]) == 0


def test_compile_reports_the_place_of_a_fault(tmp_path, capsys):
    wrong = tmp_path / "wrong.proto"
    wrong.write_text('syntax = "proto3";\nmessage A { string a 1; }\n')
    assert main(["compile", str(wrong)]) == 1
    assert capsys.readouterr().err == f"{wrong}:2:22: expected '=', got '1'\n"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"// \xff\n"])
def test_compile_refuses_files_that_are_not_utf8(tmp_path, capsys, content):
    wrong = tmp_path / "wrong.proto"
    wrong.write_bytes(content)
    assert main(["compile", str(wrong)]) == 1
    assert "expected UTF-8" in capsys.readouterr().err


def test_compile_reports_a_missing_file(tmp_path, capsys):
    assert main(["compile", str(tmp_path / "gone.proto")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_inspect_shows_a_file_and_standard_input(tmp_path, capsys, monkeypatch):
    path = tmp_path / "message"
    path.write_bytes(b"\x08\x01")
    assert main(["inspect", str(path)]) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x10\x02")))
    assert main(["inspect"]) == 0
    assert capsys.readouterr().out == "1: 1\n2: 2\n"


def test_inspect_of_bytes_that_are_not_a_message_reports_an_error(tmp_path, capsys):
    path = tmp_path / "message"
    path.write_bytes(b"\x08")
    assert main(["inspect", str(path)]) == 1
    assert "at byte 0" in capsys.readouterr().err

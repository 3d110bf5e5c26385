"""Programs are changed so that they run with an older C library, and only then."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.protobuf_conformance.elf import with_older_names


def test_file_that_is_not_a_64_bit_elf_program_raises_value_error():
    with pytest.raises(ValueError, match="expected a 64-bit little-endian ELF program"):
        with_older_names(b"#!/bin/sh\nexit 0\n" + bytes(100))


def test_program_still_runs_after_its_versions_were_waived(tmp_path):
    found = shutil.which("true")
    assert found is not None
    program = Path(found).read_bytes()
    if program[:6] != b"\x7fELF\x02\x01":  # another system: the case above
        return
    copy = tmp_path / "true"
    copy.write_bytes(with_older_names(program))
    copy.chmod(0o755)
    assert subprocess.run([str(copy)], check=False).returncode == 0

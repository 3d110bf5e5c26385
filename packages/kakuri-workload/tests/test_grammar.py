"""The grammars of ids, image references, labels, users, variables and working directories."""

import json
import re
from pathlib import Path

import pytest
from kakuri_workload import IMAGE_REFERENCE, LABEL_KEY, MAX_IMAGE_LENGTH, WORKLOAD_ID
from kakuri_workload._grammar import USER, VARIABLE_NAME, WORKING_DIRECTORY

CASES = Path(__file__).parent / "cases"
IDS = json.loads((CASES / "workload-ids.json").read_text())
IMAGES = json.loads((CASES / "image-references.json").read_text())


def test_grammar_has_enough_cases():
    assert len(IDS) >= 25
    assert len(IMAGES) >= 45


@pytest.mark.parametrize("case", IDS, ids=lambda case: case["name"])
def test_workload_id_is_accepted_as_an_rfc_1123_label_only(case):
    assert (re.fullmatch(WORKLOAD_ID, case["id"]) is not None) == (case["expect"] == "accept")


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: case["name"])
def test_image_reference_is_accepted_by_its_grammar_only(case):
    reference = case["reference"]
    assert MAX_IMAGE_LENGTH == 255
    fits = len(reference) <= MAX_IMAGE_LENGTH and re.fullmatch(IMAGE_REFERENCE, reference)
    assert bool(fits) == (case["grammar"] == "valid"), case


@pytest.mark.parametrize("newline", ["\n", "\r", " "])
def test_id_or_image_with_trailing_whitespace_is_rejected(newline):
    assert not re.fullmatch(WORKLOAD_ID, f"web{newline}")
    assert not re.fullmatch(IMAGE_REFERENCE, f"nginx{newline}")


@pytest.mark.parametrize(
    "key",
    [
        "team", "example.com/team", "a.b-c_d", "Example.COM/Team", "containerd", "io.example/x",
        "notkubernetes.io/x", "edera",
    ],
)  # fmt: skip
def test_label_key_without_a_reserved_prefix_is_accepted(key):
    assert re.fullmatch(LABEL_KEY, key)


@pytest.mark.parametrize(
    "key",
    [
        "kakuri.dev/x", "sub.kakuri.dev/x", "KAKURI.dev/x", "kubernetes.io/x", "x.k8s.io/y",
        "containerd.io/restart.status", "containerd.io/gc.root", "sub.containerd.io/x",
        "io.containerd.x", "io.cri-containerd.kind", "io.kubernetes.pod.name", "IO.Kubernetes.x",
        "dev.edera/cpu", "edera.dev/x", "nerdctl/name", "", "/x", "x/", "-x", "a/b/c", "é",
    ],
)  # fmt: skip
def test_label_key_that_is_reserved_or_malformed_is_rejected(key):
    assert not re.fullmatch(LABEL_KEY, key)


@pytest.mark.parametrize(
    "user",
    [
        "0", "1000", "1000:1000", "1000650000", "4294967294", "0:4294967294", "nobody", "www-data",
        "_apt", "Debian-exim", "systemd-network", "machine$", "j.doe", "1st", "jürgen", "app:staff",
        "app:0", "1000:staff", "x" * 32,
    ],
)  # fmt: skip
def test_user_by_id_or_name_with_optional_group_is_accepted(user):
    assert re.fullmatch(USER, user)


@pytest.mark.parametrize(
    "user",
    [
        "", "4294967295", "4294967296", "9" * 20, "1000:", ":1", "1:2:3", "1000:4294967295", "a b",
        "-x", "+x", "~x", "a/b", "a,b", "a\n", "a\x7f", "a\u202eb", "x" * 33,
    ],
)  # fmt: skip
def test_user_that_useradd_refuses_or_beyond_32_bits_is_rejected(user):
    assert not re.fullmatch(USER, user)


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "2X", "discovery.type", "spring.datasource.url", "ProgramFiles(x86)", "a-b", "a b",
        "BASH_FUNC_x%%", "größe", "変数", " ", "$", '"', "\\",
    ],
)  # fmt: skip
def test_variable_name_of_printable_text_is_accepted(name):
    assert re.fullmatch(VARIABLE_NAME, name)


@pytest.mark.parametrize(
    "name", ["", "=", "a=b", "a\0", "a\n", "a\x1b[0m", "\x7f", "\x9b", "\u202e"]
)
def test_variable_name_with_equals_sign_or_control_character_is_rejected(name):
    assert not re.fullmatch(VARIABLE_NAME, name)


@pytest.mark.parametrize(
    "path", ["/", "/tmp", "/tmp/", "/a//b", "/.a/b..", "/process", "/sysadmin"]
)
def test_working_directory_that_is_absolute_is_accepted(path):
    assert re.fullmatch(WORKING_DIRECTORY, path)


@pytest.mark.parametrize(
    "path",
    [
        "", "tmp", "./tmp", "/a\0", "/proc", "/proc/self/fd/7", "/dev/fd/7", "/dev//fd", "//proc", "/sys/", "/a/../proc/1",
        "/.", "/..", "/./proc", "/a/.",
    ],
)  # fmt: skip
def test_working_directory_in_proc_or_sys_or_with_dot_segments_is_rejected(path):
    assert not re.fullmatch(WORKING_DIRECTORY, path)


@pytest.mark.parametrize("name", ["sha256:cafe", "sha512:0", "sha256:" + "a" * 64])
def test_image_id_is_not_accepted_as_a_reference(name):
    assert not re.fullmatch(IMAGE_REFERENCE, name)

import pytest
from kakuri._exits import UsageError
from kakuri._files import FileFaults, read_manifest

GOOD = """\
set = "shop"

[workload.web]
image = "nginx:1.27"
memory = "256MiB"
cpu = 0.5
env = { A = "1" }

[workload.cache]
image = "redis:7"
memory_mb = 64
cpu = "100m"
labels = { team = "a" }
"""

AS_JSON = """\
{"set": "shop", "workload": {
  "web": {"image": "nginx:1.27", "memory": "256MiB", "cpu": 0.5, "env": {"A": "1"}},
  "cache": {"image": "redis:7", "memory_mb": 64, "cpu": "100m", "labels": {"team": "a"}}
}}
"""

WORKLOADS = {
    "web": {"id": "web", "image": "nginx:1.27", "memory_mb": 256, "cpu_millicores": 500,
            "env": {"A": "1"}, "labels": {"kakuri-set": "shop"}},
    "cache": {"id": "cache", "image": "redis:7", "memory_mb": 64, "cpu_millicores": 100,
              "labels": {"team": "a", "kakuri-set": "shop"}},
}  # fmt: skip

BAD = """\
set = "Shop"
sett = 1
[workload.job]
image = "no image"
memory = "256MB"
memory_mb = 3
args = "--foo"
env = { "B=C" = "x" }
# a comment
text = '''
cpu = 5
'''
restart_policy = "sometimes"
[workload."Not an id"]
image = "x"
[workload.c]
cpu = true
id = "c"
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="kakuri.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def faults_of(path):
    with pytest.raises(FileFaults) as caught:
        read_manifest((path,))
    return [(fault.line, fault.path, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(("text", "name"), [(GOOD, "a.toml"), (AS_JSON, "a.json")])
def test_toml_and_json_describe_the_same_workloads(write, text, name):
    manifest = read_manifest((write(text, name),))
    assert manifest.workloads == WORKLOADS
    assert manifest.set_name == "shop"


def test_workload_in_the_form_of_the_api_is_a_file(write):
    document = (
        '{"id":"web","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'
    )
    manifest = read_manifest((write(document, "web.json"),))
    assert list(manifest.workloads) == ["web"]


def test_every_fault_of_toml_has_its_path_and_line(write):
    found = {(line, path): message for line, path, message in faults_of(write(BAD))}
    assert found == {
        (1, "$.set"): "expected a label of a-z, 0-9 and '-', got 'Shop'",
        (2, "$.sett"): "expected set or workload, got 'sett'",
        (4, "$.workload.job.image"): found[(4, "$.workload.job.image")],
        (5, "$.workload.job.memory"): "expected one of memory and memory_mb, got both",
        (7, "$.workload.job.args"): "expected a list of strings, got '--foo': write [\"--foo\"]",
        (8, "$.workload.job.env['B=C']"): found[(8, "$.workload.job.env['B=C']")],
        (10, "$.workload.job.text"): found[(10, "$.workload.job.text")],
        (13, "$.workload.job.restart_policy"): (
            "expected one of 'never', 'on_failure', 'always', got 'sometimes'"
        ),
        (14, "$.workload.Not an id.id"): found[(14, "$.workload.Not an id.id")],
        (17, "$.workload.c.cpu"): "expected cores like 0.5 or '500m', got True",
        (18, "$.workload.c.id"): "the name of the table is the id",
        (16, "$.workload.c.image"): found[(16, "$.workload.c.image")],
    }


def test_fault_of_json_has_its_line(write):
    text = '{"workload": {\n  "web": {"image": "x", "env": {"A\\"": "{"},\n    "memory": "1"}\n}}'
    assert faults_of(write(text, "a.json")) == [
        (3, "$.workload.web.memory", "expected a size like 256MiB or 2GiB, got '1'")
    ]


def test_same_workload_in_two_files_is_a_fault(write, tmp_path):
    write("[workload.a]\nimage = 'x'\n", "1.toml")
    write("[workload.a]\nimage = 'x'\n", "2.toml")
    assert faults_of(str(tmp_path)) == [(1, "$.workload.a", "is in another file as well")]


def test_files_of_different_sets_are_a_fault(write, tmp_path):
    write("set = 'a'\n[workload.a]\nimage = 'x'\n", "1.toml")
    write("set = 'b'\n[workload.b]\nimage = 'x'\n", "2.toml")
    assert faults_of(str(tmp_path)) == [(None, "$.set", "expected one set, got ['a', 'b']")]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("[workload.a\n", "a.toml", "a.toml: .*line 1"),
        ("{", "a.json", "a.json: .*line 1"),
    ],
)
def test_text_that_is_not_a_document_is_an_error_with_its_line(write, text, name, message):
    with pytest.raises(UsageError, match=message):
        read_manifest((write(text, name),))


@pytest.mark.parametrize("text", ["", "set = 'a'\n", "workload = 3\n"])
def test_file_without_workloads_is_a_fault(write, text):
    assert [message for _, _, message in faults_of(write(text))] == [
        "expected at least one table [workload.NAME]"
    ]


def test_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="can't be read: No such file or directory"):
        read_manifest((str(tmp_path / "no.toml"),))


def test_directory_without_files_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"expected \*\.toml or \*\.json files in it"):
        read_manifest((str(tmp_path),))

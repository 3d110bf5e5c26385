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
        (1, "$.set"): "expected 1 to 63 characters a-z, 0-9 and '-', got 'Shop'",
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
        ("x=" + "[" * 10_000, "a.toml", "a.toml: its arrays or tables are nested too deeply"),
        ("x=" + "9" * 5000, "a.toml", "a.toml: expected integers of at most 64 bits"),
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


def test_empty_path_is_not_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text("[workload.a]\nimage = 'x'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="expected a file or a directory, got an empty path"):
        read_manifest(("",))


def test_directory_without_files_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"expected \*\.toml or \*\.json files in it"):
        read_manifest((str(tmp_path),))


def test_value_that_is_not_a_table_is_a_fault_and_the_others_are_read(write):
    text = "[workload]\na = 1\nb = 'x'\n[workload.c]\nimage = 'x'\ncpus = 1\n"
    found = faults_of(write(text))
    assert found[:2] == [
        (2, "$.workload.a", "expected a table, got 1"),
        (3, "$.workload.b", "expected a table, got 'x'"),
    ]
    assert [line for line, *_ in found] == [2, 3, 6]


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [("a", True), ("a" * 63, True), ("a" * 64, False), ("a-b", True), ("-a", False),
     ("a-", False), ("A", False), ("a b", False), ("", False)],
)  # fmt: skip
def test_name_of_a_set_has_to_be_a_label(write, name, is_valid):
    path = write(f"set = '{name}'\n[workload.a]\nimage = 'x'\n")
    if is_valid:
        assert read_manifest((path,)).set_name == name
    else:
        assert faults_of(path)[0][:2] == (1, "$.set")


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("cpu", "2", "cpu_millicores", 2000), ("cpu", "0.25", "cpu_millicores", 250),
        ("cpu", "'250m'", "cpu_millicores", 250), ("cpu", "0.0004", None, None),
        ("cpu", "true", None, None), ("cpu", "[1]", None, None), ("cpu", "-1", None, None),
        ("memory", "'1.5G'", "memory_mb", 1536), ("memory", "256", None, None),
        ("memory", "1.5", None, None), ("memory", "'1B'", None, None),
    ],
)  # fmt: skip
def test_amount_has_a_unit_and_cores_may_be_a_number(write, key, value, field, expected):
    path = write(f"[workload.a]\nimage = 'x'\n{key} = {value}\n")
    if field is not None:
        assert read_manifest((path,)).workloads["a"] == {
            "id": "a", "image": "x", field: expected,
        }  # fmt: skip
    else:
        ((line, at, _message),) = faults_of(path)
        assert (line, at) == (3, f"$.workload.a.{key}")


@pytest.mark.parametrize("key", ["command", "args"])
def test_command_that_is_one_string_is_shown_as_a_list(write, key):
    (fault,) = faults_of(write(f"[workload.a]\nimage = 'x'\n{key} = 'a b'\n"))
    expected = 'expected a list of strings, got \'a b\': write ["a", "b"]'
    assert fault == (3, f"$.workload.a.{key}", expected)
    for value in ("3", "'say \"x y\"'", "' '"):
        (_, _, message) = faults_of(write(f"[workload.a]\nimage = 'x'\n{key} = {value}\n"))[0]
        assert "write" not in message


def test_lines_are_those_of_keys_and_tables_in_every_spelling(write):
    text = (
        "[workload.a] # comment\n"
        'image = """\nx = 1\nimage = 2\n"""\n'
        "'cpus' = 1\n"
        'labels."odd" = 3\n'
        "[ workload . 'b' ]\n"
        "cpus = 1\n"
        "image = 'x'\n"
    )
    lines = {path: line for line, path, _ in faults_of(write(text))}
    assert lines["$.workload.a.cpus"] == 6
    assert lines["$.workload.a.labels.odd"] == 7
    assert lines["$.workload.b.cpus"] == 9
    assert lines["$.workload.a.image"] == 2


def test_faults_of_several_files_are_in_the_order_of_files_and_lines(write, tmp_path):
    write("[workload.a]\nimage = 'x'\nb = 1\na = 1\n", "1.toml")
    write('{"workload": {"c": {"image": "x",\n"z": 1,\n"y": 2}}}', "2.json")
    write("not read", "3.txt")
    found = [(line, path) for line, path, _ in faults_of(str(tmp_path))]
    assert found == [
        (3, "$.workload.a.b"), (4, "$.workload.a.a"), (2, "$.workload.c.z"), (3, "$.workload.c.y"),
    ]  # fmt: skip


def test_fault_of_a_workload_in_the_form_of_the_api_has_its_path(write):
    assert faults_of(write('{"id": "A",\n"image": "x"}', "a.json"))[0][:2] == (None, "$.id")
    assert faults_of(write('{"id": "a",\n"image": "x",\n"cpus": 1}', "a.json"))[0][:2] == (
        3, "$.cpus",
    )  # fmt: skip


@pytest.mark.parametrize("content", [b"\xff", None])
def test_file_that_cannot_be_read_is_an_error_with_the_reason(tmp_path, content):
    path = tmp_path / "a.toml"
    if content is None:
        path.mkdir()
        path = path / "b.toml"
        path.mkdir()
        (path / "c").touch()
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"can't be read|expected \*\.toml"):
        read_manifest((str(path),))

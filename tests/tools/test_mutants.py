import subprocess
import sys
import textwrap
import tomllib

import pytest

from tools.members import BY_NAME, ROOT
from tools.mutants.operators import mutants
from tools.mutants.recording import Recording
from tools.mutants.report import Report
from tools.mutants.targets import KINDS, MODULES, Equivalents, Place, places, sample
from tools.mutants.worker import Outcome

EQUIVALENT = ROOT / "tools/mutants/equivalent.toml"


def changes(source):
    source = textwrap.dedent(source).encode()
    return [(found.summary, found.apply(source).decode().strip()) for found in mutants(source)]


@pytest.mark.parametrize(
    ("source", "summary", "changed"),
    [
        ("a < b", "< → <=", "a <= b"),
        ("a not in b", "not in → in", "a in b"),
        ("(a) is not (b)", "is not → is", "(a) is (b)"),
        ("a and b", "and → or", "a or b"),
        ("a // b", "// → *", "a * b"),
        ("LIMIT = 3", "3 → 4", "LIMIT = (4)"),
        ("flag = False", "False → True", "flag = True"),
        ("x = not a", "not removed", "x = (a)"),
        ("f(a)", "statement removed", "pass"),
        ("self.a = b", "statement removed", "pass"),
        ("if a:\n    b", "condition negated", "if (not (a)):\n    b"),
        ("S = {'a', 'b'}", "'a' left out", "S = {'b'}"),
        ("x = a in (1, 2)", "2 left out", "x = a in (1,)"),
        ("def f():\n    return g", "returns None", "def f():\n    return None"),
        ("raise a", "raise removed", "pass"),
        ("for x in y:\n    break", "break → continue", "for x in y:\n    continue"),
        ("é = 'ü'; f(a < b)", "< → <=", "é = 'ü'; f(a <= b)"),
    ],
)
def test_mutants_of_a_statement_change_its_operator_or_value(source, summary, changed):
    assert (summary, changed) in changes(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring with 1 < 2."""',
        "x: Annotated[int, Range(ge=1)]",
        "assert a < b",
        "assert_never(a)",
        "if TYPE_CHECKING:\n    from a import b",
        "log.info('x', number=a)",
        "@dataclass(frozen=True)\nclass C:\n    pass",
        "def __repr__(self):\n    return 1",
        'x = f"{a + 1}"',
    ],
)
def test_mutants_leave_out_what_is_not_behaviour(source):
    assert changes(source) == []


def test_mutants_leave_out_code_for_other_versions_of_python():
    source = """
        if sys.version_info >= ({}, 0):
            a < b
        else:
            c < d
        x = f(1) if sys.version_info >= ({}, 0) else g(2)
    """
    found = [summary for summary, _ in changes(source.format(3, 3))]
    assert found == ["< → <=", "1 → 2"]
    changed = [text for _, text in changes(source.format(4, 4))]
    assert ["c <= d" in text for text in changed] == [True, False]
    assert ["g((3))" in text for text in changed] == [False, True]


def test_each_mutant_of_every_listed_module_compiles():
    for name in MODULES:
        found = places(BY_NAME[name])
        for place in found[:: len(found) // 25 + 1]:
            compile(place.mutant.apply(place.path.read_bytes()), place.module, "exec")


def test_sample_with_the_same_seed_is_the_same():
    found = places(BY_NAME["kakuri-rpc"])
    assert sample(found, 20, 5) == sample(found, 20, 5) != sample(found, 20, 6)


def test_listed_modules_exist():
    for name, modules in MODULES.items():
        package = BY_NAME[name].directory / "src" / BY_NAME[name].import_name
        assert [each for each in modules if not list(package.glob(f"{each}.py"))] == []


def test_recording_line_that_runs_at_import_has_every_test():
    limit = places_of("_limits.py", "kakuri-tcp")[0]
    lines = {limit.module: {line: {"*"} for line in lines_of(limit)}}
    recording = Recording({"f::a": 1.0, "g::b": 2.0}, lines)
    assert recording.tests_of(limit) == {"f::a": 1.0, "g::b": 2.0}


def test_recording_line_of_a_test_has_the_tests_of_its_file_after_that_test():
    change = places_of("_lines.py", "kakuri-tcp")[0]
    lines = {change.module: {line: {"f::b"} for line in lines_of(change)}}
    seconds = {"f::a": 1.0, "f::b": 2.0, "f::c": 0.5, "g::d": 1.0}
    found = Recording(seconds, lines).tests_of(change)
    assert [*found.items()] == [("f::b", 2.0), ("f::c", 0.5), ("f::a", 1.0)]


def test_recording_without_tests_of_a_line_has_those_of_its_function():
    change = next(place for place in places_of("_lines.py", "kakuri-tcp") if is_in_function(place))
    first, last = change.mutant.function
    lines = {change.module: {last: {"f::a"}, last + 1: {"g::b"}, first - 1: {"g::b"}}}
    recording = Recording({"f::a": 1.0, "g::b": 1.0}, lines)
    assert recording.tests_of(change) == {"f::a": 1.0}
    assert not recording.runs(change)


def is_in_function(place):
    (first, last), (begin, end) = place.mutant.lines, place.mutant.function
    return begin <= first and last < end


def test_recording_runs_a_line_that_any_test_or_import_runs():
    change = places_of("_lines.py", "kakuri-tcp")[0]
    for names, runs in (({"f::b"}, True), ({"*"}, True), (set(), False)):
        lines = {change.module: dict.fromkeys(lines_of(change), names)}
        assert Recording({"f::b": 1.0}, lines).runs(change) is runs
    assert not Recording({"f::b": 1.0}, {}).runs(change)


def test_equivalent_changes_have_a_kind_and_a_reason():
    for each in tomllib.loads(EQUIVALENT.read_text())["equivalent"]:
        assert each.keys() == {"module", "code", "changes", "kind", "why"}
        assert each["kind"] in KINDS
        assert each["changes"]
        assert each["why"]


def test_equivalent_changes_are_of_lines_that_exist():
    equivalents = Equivalents()
    assert [entry for name in MODULES for entry in equivalents.stale(places(BY_NAME[name]))] == []


def test_worker_reports_killed_and_surviving_changes(tmp_path):
    # In a process of its own, because the worker's must not have imported the member.
    command = [sys.executable, "-c", TRY_TWO_CHANGES, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["KILLED", "SURVIVED", "NOT_RUN"], ended.stderr
    copy = tmp_path / "src/kakuri_registry/_ordered.py"
    original = BY_NAME["kakuri-registry"].directory / "src/kakuri_registry/_ordered.py"
    assert copy.read_bytes() == original.read_bytes()


TRY_TWO_CHANGES = """
import sys
from pathlib import Path
from tools.members import BY_NAME
from tools.mutants.targets import places
from tools.mutants.worker import Worker

member = BY_NAME["kakuri-registry"]
worker = Worker(member, Path(sys.argv[1]))
found = places(member)
file = "packages/kakuri-registry/tests/test_ordered.py"
tests = {f"{file}::test_id_that_is_added_and_discarded_leaves_no_record": 0.1}
counted = [each for each in found if each.code == "self._size += 1"]
elsewhere = [each for each in found if each.path.name == "_recovery.py"]
print(worker.run(counted[0], tests).name)
print(worker.run(elsewhere[-1], tests).name)
print(worker.run(elsewhere[-1], {}).name)
"""


def test_report_leaves_equivalent_changes_out_of_the_percentage(capsys):
    report = Report(seed=7)
    member = BY_NAME["kakuri-json"]
    place = places_of("decode.py", "kakuri-json")[0]
    for _ in range(19):
        report.add(member, place, Outcome.KILLED)
    report.add_equivalent(member, place, "no caller can see it")
    report.add(member, place, Outcome.SURVIVED)
    assert report.is_good
    assert "| kakuri-json | 21 | 19 | 1 | 1 | 95.0 |" in report.table()
    report.add(member, place, Outcome.NOT_RUN)
    assert not report.is_good
    assert capsys.readouterr().out.count(str(place)) == 3


def places_of(file, name) -> list[Place]:
    return [place for place in places(BY_NAME[name]) if place.path.name == file]


def lines_of(place) -> range:
    first, last = place.mutant.lines
    return range(first, last + 1)

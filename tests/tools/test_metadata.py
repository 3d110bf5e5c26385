import shutil

import pytest

from tools import metadata
from tools.members import BY_NAME, MEMBERS, Member


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_metadata_of_every_member_is_complete(member):
    assert metadata.faults_of(member) == []


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of kakuri-http outside the repository, which a test may damage."""
    member = BY_NAME["kakuri-http"]
    directory = tmp_path / "packages" / "kakuri-http"
    shutil.copytree(member.directory, directory)
    shutil.copy(metadata.ROOT / "LICENSE", tmp_path)
    monkeypatch.setattr(metadata, "ROOT", tmp_path)
    return Member(member.name, directory)


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("pyproject.toml", 'license = "Apache-2.0"\n', "", "expected license = 'Apache-2.0', got"),
        ("pyproject.toml", "The Kakuri authors", "Someone", "expected authors = "),
        ("pyproject.toml", '  "Typing :: Typed",\n', "", "expected the classifier 'Typing ::"),
        (
            "pyproject.toml",
            "Topic ::",
            "Typing ::",
            "expected a classifier that begins with 'Topic",
        ),
        ("pyproject.toml", "keywords = [", 'keywords = ["zero", ', "expected keywords in alpha"),
        ("pyproject.toml", "<0.2", "<0.3", "expected the requirement 'kakuri-tcp>=0.1,<0.2'"),
        ("pyproject.toml", 'client"\n', 'client."\n', "expected a description of at most"),
        ("README.md", "# kakuri-http\n", "[see](CONFORMANCE.md)\n", "expected no relative link in"),
        ("README.md", "## Install\n", "## Setup\n", "expected '\\n## Install\\n' in the README"),
        ("CHANGELOG.md", "### Added", "### Mended", "expected one of Added, Changed"),
        ("LICENSE", "Apache", "Another", "expected the LICENSE of the root"),
    ],
)
def test_fault_is_reported_for_each_departure_from_the_rule(copied, file, old, new, fault):
    path = copied.directory / file
    path.write_text(path.read_text().replace(old, new))

    (found,) = [each for each in metadata.faults_of(copied) if fault in each]
    assert found.startswith("packages/kakuri-http: ")


@pytest.mark.parametrize(
    ("version", "expected"), [("0.1.7", ">=0.1,<0.2"), ("1.2.3", ">=1.2,<2.0")]
)
def test_range_for_a_sibling_ends_where_it_may_break(version, expected):
    assert metadata.range_for(version) == expected
    assert metadata.accepts(f"x{expected}", version)
    assert not metadata.accepts(f"x{expected}", "2.0.0")


def test_urls_are_written_once_and_removed_again():
    text = '[project]\nname = "x"\n\n[tool.hatch.version]\npath = "y"\n'
    urls = {"Source": "https://example.org/x"}

    written = metadata.with_urls(text, urls)
    assert '\n[project.urls]\nSource = "https://example.org/x"\n\n[tool.hatch' in written
    assert metadata.with_urls(written, urls) == written
    assert metadata.with_urls(written, {}) == text

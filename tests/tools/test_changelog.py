from datetime import date

import pytest

from tools import changelog

TEXT = """# Changelog of example

A sentence about the form.

## Unreleased

### Added

- A thing.

## 0.1.0 - 2026-01-31

### Fixed

- Another.
"""


def test_well_formed_changelog_has_no_faults():
    assert changelog.faults("example", TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("of example", "of others", "expected the title '# Changelog of example'"),
        ("## Unreleased\n", "", "expected '## Unreleased' once, as the first section"),
        ("2026-01-31", "soon", "expected '## X.Y.Z - YYYY-MM-DD', got '## 0.1.0 - soon'"),
        (
            "### Fixed\n\n",
            "",
            "expected changes of '0.1.0 - 2026-01-31' under a category such as '### Added'",
        ),
        (
            "### Fixed",
            "### Mended",
            f"expected one of {', '.join(changelog.CATEGORIES)}, got '### Mended'",
        ),
    ],
)
def test_fault_is_reported_for_each_departure_from_the_form(old, new, fault):
    assert fault in changelog.faults("example", TEXT.replace(old, new))


def test_category_other_than_added_before_the_first_release_is_a_fault():
    text = TEXT[: TEXT.index("## 0.1.0")]

    assert changelog.faults("example", text) == []
    assert changelog.faults("example", text + "### Fixed\n\n- Another.\n") == [
        "expected only '### Added' before the first release, got '### Fixed'"
    ]


def test_release_moves_unreleased_changes_under_the_version():
    text = changelog.release(TEXT, "0.2.0", date(2026, 2, 1))

    assert changelog.faults("example", text) == []
    assert changelog.released(text) == ["0.2.0", "0.1.0"]
    assert "- A thing." in changelog.sections(text)["0.2.0 - 2026-02-01"]
    assert changelog.has_unreleased_changes(TEXT)
    assert not changelog.has_unreleased_changes(text)

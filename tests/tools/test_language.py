import pytest

from tools import language
from tools.language import TERMS, Finding
from tools.members import ROOT


def found_in_markdown(text):
    return [(line, found) for line, _, found in language.in_markdown(text)]


def found_in_python(text):
    return sorted((line, found) for line, _, found in language.in_python(text))


@pytest.mark.parametrize(
    "sentence",
    [
        "The client is told later.",
        "The error's words are printed.",
        "Whoever connects may do everything, and nobody is asked.",
        "The bytes behind the header are kept.",
        "The text is no JSON.",
        "At most 64 KiB unless told.",
        "What is left is removed.",
        "The loop attends to one workload.",
        "The agent looks at every zone.",
    ],
)
def test_markdown_with_an_expression_of_the_glossary_is_found(sentence):
    assert found_in_markdown(f"# Title\n\n{sentence}\n")[0][0] == 3


@pytest.mark.parametrize(
    "sentence",
    [
        "Kakuri runs behind a reverse proxy, behind nginx or behind the company's firewall.",
        "The two can be told apart.",
        "There is no authentication, and this is no longer true.",
        '`told` and "nobody" are quoted, and [a link](behind/told.md) is not prose.',
        "A user is '1000' or 'nobody'.",
        "These are reserved words; in other words, whole words.",
        "Events may lag behind, and a call leaves nothing of its own behind.",
    ],
)
def test_markdown_with_ordinary_english_has_no_finding(sentence):
    assert found_in_markdown(sentence) == []


def test_markdown_in_a_fence_is_skipped():
    assert found_in_markdown("```python\ntold = nobody\n```\n\ntold\n") == [(5, "told")]


def test_python_docstrings_comments_messages_and_test_names_are_checked():
    text = '''\
"""Nobody reads this."""

WORDS = "told"  # told


def give(told):
    """Give the words."""
    raise ValueError(f"{told} is told")


def test_glossary_term_told_is_found_in_context(): ...
'''
    assert found_in_python(text) == [
        (1, "Nobody"),
        (3, "told"),
        (7, "Give"),
        (7, "words"),
        (8, "told"),
        (11, "told"),
    ]


@pytest.mark.parametrize("owner", ["", "class A:\n    ", "def f():\n    ", "x = 1\n"])
def test_docstring_with_a_blank_line_at_its_end_is_found(owner):
    last = owner.count("\n") + 4
    text = owner + '"""Return one.\n\n    More.\n{}    """\n'

    assert found_in_python(text.format("\n")) == [(last + 1, '"""')]
    assert found_in_python(text.format("")) == []


def test_finding_shows_its_place_and_the_expression_to_write_instead():
    finding = Finding("a.md", 2, TERMS[0], "told")
    assert str(finding) == "a.md:2: 'told': write instead reported, notified, published"


def test_repository_has_no_expression_of_the_glossary():
    assert language.findings() == []


def test_glossary_of_contributing_lists_every_term():
    page = (ROOT / "CONTRIBUTING.md").read_text()

    for term in (*TERMS, language.GIVE):
        assert f"| `{term.name}` | {term.instead} |" in page

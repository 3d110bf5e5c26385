import pytest
from kakuri._invocation import Invocation
from kakuri._tables import Column, table_lines

COLUMNS = [Column("NAME"), Column("STATE", is_colored=True), Column("IMAGE", may_be_cut=True)]
ROWS = [["web", "running", "registry.example/team/nginx:1.27"], ["a-longer-id", "failed", "x"]]


@pytest.fixture
def plain():
    return Invocation({"NO_COLOR": "1"})


def test_columns_are_as_wide_as_their_longest_text(plain):
    assert table_lines(plain, COLUMNS, ROWS, None) == [
        "NAME          STATE     IMAGE",
        "web           running   registry.example/team/nginx:1.27",
        "a-longer-id   failed    x",
    ]


def test_column_without_text_is_left_out(plain):
    assert table_lines(plain, COLUMNS, [["web", "", ""]], None) == ["NAME", "web"]


def test_only_columns_that_may_be_cut_are_cut_to_the_width(plain):
    assert table_lines(plain, COLUMNS, ROWS, 36) == [
        "NAME          STATE     IMAGE",
        "web           running   registry.ex…",
        "a-longer-id   failed    x",
    ]


def test_ids_are_never_cut(plain):
    lines = table_lines(plain, COLUMNS, ROWS, 10)
    assert lines[1:] == ["web           running   registr…", "a-longer-id   failed    x"]


def test_table_without_rows_has_every_heading(plain):
    assert table_lines(plain, COLUMNS, [], None) == ["NAME   STATE   IMAGE"]


def test_state_is_coloured_without_a_change_of_the_columns():
    invocation = Invocation({})
    invocation.color = "always"
    assert table_lines(invocation, COLUMNS, [["web", "running", "x"]], None)[1] == (
        "web    \x1b[32mrunning\x1b[0m   x"
    )


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (33, ["A             B             C", "aaaaaaaaaaa   bbbbbbbbbbb   c"]),
        (29, ["A             B             C", "aaaaaaaaaaa   bbbbbbbbbbb   c"]),
        (28, ["A            B             C", "aaaaaaaaa…   bbbbbbbbbbb   c"]),
        (27, ["A            B            C", "aaaaaaaaa…   bbbbbbbbb…   c"]),
        (23, ["A          B          C", "aaaaaaa…   bbbbbbb…   c"]),
        (22, ["A          B          C", "aaaaaaa…   bbbbbbb…   c"]),
    ],
)
def test_widest_column_is_cut_first_and_keeps_eight_characters(plain, width, lines):
    columns = [Column("A", may_be_cut=True), Column("B", may_be_cut=True), Column("C")]
    assert table_lines(plain, columns, [["a" * 11, "b" * 11, "c"]], width) == lines


def test_heading_that_is_wider_than_every_text_decides_about_the_width(plain):
    assert table_lines(plain, [Column("NAME"), Column("B")], [["a", "b"]], None) == [
        "NAME   B", "a      b",
    ]  # fmt: skip


def test_state_with_a_text_after_it_has_the_colour_of_the_state():
    invocation = Invocation({})
    invocation.color = "always"
    lines = table_lines(invocation, [Column("S", is_colored=True)], [["failed now"], ["x"]], None)
    assert lines[1:] == ["\x1b[31mfailed now\x1b[0m", "x"]


@pytest.mark.parametrize(("char", "shown"), [("x", 22), ("日", 11), ("é", 22)])
def test_text_of_a_million_characters_is_cut_in_few_steps(plain, monkeypatch, char, shown):
    steps = []

    def cells(text):
        steps.append(text)
        return 2 if text == "日" else 1

    monkeypatch.setattr("kakuri._text._cells", cells)

    def widest(*arguments, **options):
        steps.append(arguments)
        return max(*arguments, **options)

    monkeypatch.setattr("kakuri._tables.max", widest, raising=False)
    lines = table_lines(plain, COLUMNS, [["web", "running", char * 1_000_000]], 40)
    assert lines[1] == f"web    running   {char * shown}…"
    assert len(steps) < 200


def test_columns_with_wide_characters_are_aligned_and_fit_the_terminal(plain):
    columns = [Column("NAME"), Column("MESSAGE", may_be_cut=True), Column("NODE")]
    rows = [["a", "日本語のエラー", "n"], ["b", "plain", "n"]]
    assert table_lines(plain, columns, rows, 25) == [
        "NAME   MESSAGE       NODE",
        "a      日本語のエ…   n",
        "b      plain         n",
    ]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (23, ["NAME   IMAGE      STATE", "界界   nginx:1…   runn…"]),
        (20, ["NAME   IMAGE      S…", "界界   nginx:1…   r…"]),
        (18, ["NAME   IMAGE", "界界   nginx:1…"]),
        (3, ["NA…", "界…"]),
    ],
)
def test_fitted_table_is_cut_off_at_the_width(plain, width, lines):
    columns = [Column("NAME"), Column("IMAGE", may_be_cut=True), Column("STATE")]
    rows = [["界界", "nginx:1.27", "running"]]
    assert table_lines(plain, columns, rows, width, must_fit=True) == lines

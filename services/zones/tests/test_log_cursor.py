import pytest
from kakuri_zones.logs._cursor import Cursor, Segment
from kakuri_zones.logs._errors import LogCursorError
from kakuri_zones.logs._format import LinePosition


@pytest.mark.parametrize("text", ["0.0.0", "1.22.333", "0.0.5.f", "2.3.70.p"])
def test_cursor_text_round_trips(text):
    assert str(Cursor.parse(text)) == text


def test_cursor_text_has_attempt_sequence_offset_and_line_position():
    assert Cursor.parse("1.2.3.p") == Cursor(Segment(1, 2), 3, LinePosition.PARTIAL)
    assert Cursor.parse("1.2.3").line_position is LinePosition.START


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.2", "1.2.3.", "1.2.3.x", "-1.2.3", "01.2.3", "1.2.3\n", " 1.2.3", "1.2.3.4"),
        *("1.2.٣", "1.2." + "9" * 19, "9" * 5000),
    ],
)
def test_invalid_cursor_text_raises_log_cursor_error(text):
    with pytest.raises(LogCursorError, match="expected a cursor") as caught:
        Cursor.parse(text)
    assert caught.value.cursor == text
    assert len(str(caught.value)) < 300

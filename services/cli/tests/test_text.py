import re
import time

import pytest
from kakuri import _text as text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0s"), (0, "0s"), (12.9, "12s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"),
     (86_399, "23h"), (86_400, "1d"), (900_000, "10d")],
)  # fmt: skip
def test_age_is_shown_in_its_largest_unit(seconds, shown):
    assert text.age(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0213, "0.02 s"), (1.234, "1.2 s"), (9.96, "10 s"), (41.4, "41 s"), (600, "10m")],
)
def test_span_has_two_digits_below_ten_seconds(seconds, shown):
    assert text.span(seconds) == shown


@pytest.mark.parametrize(("count", "end"), [(1, "w0"), (20, ", w19"), (21, ", w19 and 1 more")])
def test_joined_ids_beyond_twenty_are_a_number(count, end):
    shown = text.joined_ids([f"w{number}" for number in range(count)])
    assert shown.startswith("w0")
    assert shown.endswith(end)
    assert shown.count("w") == min(count, 20)


@pytest.mark.parametrize(
    ("mebibytes", "shown"), [(1, "1 MiB"), (512, "512 MiB"), (1024, "1 GiB"), (1536, "1.5 GiB")]
)
def test_size_is_shown_in_mib_below_a_gib(mebibytes, shown):
    assert text.size(mebibytes) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (12_288, "12 KiB"), (3_565_158, "3.4 MiB")],
)
def test_byte_count_is_shown_in_its_largest_unit(number, shown):
    assert text.byte_count(number) == shown


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("10", 10), ("1.5", 1.5), ("250ms", 0.25), ("10s", 10), ("10m", 600), ("1h30m", 5400),
     ("1d", 86_400), ("1.5s", 1.5)],
)  # fmt: skip
def test_duration_is_read_in_every_unit(given, seconds):
    assert text.parse_duration(given) == seconds


@pytest.mark.parametrize("given", ["", "-1", "10 m", "m", "1m1h", "10x", "1e3", "inf", "ms"])
def test_text_that_is_not_a_duration_raises_value_error(given):
    with pytest.raises(ValueError, match="expected a duration like 30s"):
        text.parse_duration(given)


@pytest.mark.parametrize("unit", ["", "s", "ms", "m", "h", "d"])
@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_duration_longer_than_a_century_raises_value_error(digits, unit):
    with pytest.raises(ValueError, match="expected a duration of at most 36500d, got '9"):
        text.parse_duration("9" * digits + unit)
    assert text.parse_duration("36500d") == 36_500 * 86_400


@pytest.mark.parametrize("digits", [16, 400, 5000])
@pytest.mark.parametrize(
    ("parse", "unit"), [("size", "M"), ("size", "T"), ("cpu", ""), ("cpu", "m")]
)
def test_amount_with_more_than_fifteen_digits_raises_value_error(digits, parse, unit):
    read = {"size": text.parse_size, "cpu": text.parse_cpu}[parse]
    assert read("9" * 15 + unit) > 0
    with pytest.raises(ValueError, match=r"^expected (a size|cores) like"):
        read("9" * digits + unit)


@pytest.mark.parametrize(
    ("given", "mebibytes"),
    [("64M", 64), ("64m", 64), ("256MiB", 256), ("256Mi", 256), ("1.5G", 1536), ("2GiB", 2048),
     ("1T", 1_048_576), ("2048K", 2)],
)  # fmt: skip
def test_size_is_read_in_every_unit(given, mebibytes):
    assert text.parse_size(given) == mebibytes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("256MB", "expected a size in MiB or GiB, got '256MB': write 256MiB"),
        ("256", "expected a size like 256MiB or 2GiB, got '256'"),
        ("many", "expected a size like 256MiB or 2GiB, got 'many'"),
        ("-1M", "expected a size like 256MiB or 2GiB, got '-1M'"),
        ("0M", "expected a whole number of MiB, at least 1, got '0M'"),
        ("1500K", "expected a whole number of MiB, at least 1, got '1500K'"),
    ],
)
def test_text_that_is_not_a_size_raises_value_error_with_what_was_expected(given, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared)
        text.parse_size(given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "millicores"),
    [("0.5", 500), ("2", 2000), ("500m", 500), ("0.001", 1), ("1.25", 1250)],
)
def test_cpu_is_read_in_cores_and_millicores(given, millicores):
    assert text.parse_cpu(given) == millicores


@pytest.mark.parametrize("given", ["", "0", "0m", "-1", "half", "1.2345", "1e2", "0.5m"])
def test_text_that_is_not_an_amount_of_cpu_raises_value_error(given):
    with pytest.raises(ValueError, match=r"expected cores like 0\.5 or 500m"):
        text.parse_cpu(given)


def test_control_and_bidirectional_characters_are_shown_as_escapes():
    assert text.printable("é\x1b[31m\u202e\n") == "é\\x1b[31m\\u202e\\n"


def test_time_of_the_api_survives_both_directions():
    moment = "2026-11-26T14:01:05.400000Z"
    assert text.rfc3339(text.seconds_of(moment)) == moment


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.999, "1.00 s"), (1, "1 s"), (9.9, "9.9 s"), (10, "10 s"), (599.4, "599 s"), (600, "10m"),
     (7200, "2h")],
)  # fmt: skip
def test_span_changes_its_form_at_one_at_ten_and_at_600_seconds(seconds, shown):
    assert text.span(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1_048_575, "1024 KiB"), (1_048_576, "1.0 MiB"), (1_073_741_823, "1024.0 MiB"),
     (1_073_741_824, "1.0 GiB"), (64_424_509_440, "60.0 GiB")],
)  # fmt: skip
def test_byte_count_changes_its_unit_at_each_power_of_1024(number, shown):
    assert text.byte_count(number) == shown


@pytest.mark.parametrize(
    ("millicores", "shown"),
    [(1, "0.001 cores"), (500, "0.5 cores"), (1000, "1 core"), (1001, "1.001 cores"),
     (2000, "2 cores")],
)  # fmt: skip
def test_cores_have_their_unit(millicores, shown):
    assert text.cores_text(millicores) == shown


@pytest.mark.parametrize("given", ["1d2h3m4.5s", "1d", "2h", "3m", "4.5s"])
def test_duration_is_the_sum_of_its_parts(given):
    seconds = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"([0-9.]+)([dhms])", given)
    assert text.parse_duration(given) == sum(
        float(number) * seconds[unit] for number, unit in parts
    )


@pytest.mark.parametrize(
    ("given", "mebibytes"),
    [("1024K", 1), ("1M", 1), ("0.5G", 512), ("1.5M", None), ("1023K", None), ("0.5M", None),
     (" 1M ", 1), ("1 MiB", 1), ("1TiB", 1_048_576)],
)  # fmt: skip
def test_size_is_a_whole_number_of_mib(given, mebibytes):
    if mebibytes is None:
        with pytest.raises(ValueError, match="expected a whole number of MiB, at least 1"):
            text.parse_size(given)
    else:
        assert text.parse_size(given) == mebibytes


@pytest.mark.parametrize(("given", "millicores"), [("0.001", 1), ("1m", 1), ("0.0", None)])
def test_cpu_is_at_least_a_millicore(given, millicores):
    if millicores is None:
        with pytest.raises(ValueError, match=r"at least 0\.001"):
            text.parse_cpu(given)
    else:
        assert text.parse_cpu(given) == millicores


def test_times_of_the_clock_are_those_of_the_zone(environment):
    environment.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert text.clock("2026-11-26T14:01:05.409999Z") == "23:01:05.40"
    environment.setattr(time, "strftime", lambda form: form)
    assert text.now_clock() == "%H:%M:%S"


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (None, ""), ({}, ""), ({"state": "present", "digest": "a\x1b"},
                               "its image is on the node (a\\x1b)"),
        ({"digest": "x"}, ""),
    ],
)  # fmt: skip
def test_image_without_a_known_state_is_not_shown(image, shown):
    assert text.image_text(image) == shown


@pytest.mark.parametrize(
    ("given", "width"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1), ("🐳", 2), ("é…", 2)]
)
def test_cell_width_is_two_for_wide_and_none_for_combining_characters(given, width):
    assert text.cell_width(given) == width


@pytest.mark.parametrize(
    ("given", "width", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("日本", 1, "…"),
    ],
)
def test_text_is_cut_to_columns_of_a_terminal(given, width, shown):
    assert text.cut(given, width) == shown

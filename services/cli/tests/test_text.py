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
def test_text_that_is_not_a_duration_is_refused(given):
    with pytest.raises(ValueError, match="expected a duration like 30s"):
        text.parse_duration(given)


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
def test_text_that_is_not_a_size_is_refused_with_what_was_expected(given, message):
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
def test_text_that_is_not_an_amount_of_cpu_is_refused(given):
    with pytest.raises(ValueError, match=r"expected cores like 0\.5 or 500m"):
        text.parse_cpu(given)


def test_control_and_bidirectional_characters_are_shown_as_escapes():
    assert text.printable("é\x1b[31m\u202e\n") == "é\\x1b[31m\\u202e\\n"


def test_time_of_the_api_survives_both_directions():
    moment = "2026-11-26T14:01:05.400000Z"
    assert text.rfc3339(text.seconds_of(moment)) == moment

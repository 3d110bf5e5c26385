"""Counting, families of series, and their pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_json import decode, encode
from kakuri_workload import metrics
from kakuri_workload._metric_families import _largest_size
from kakuri_workload.metrics import (
    MAX_BOUNDS,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    Counts,
    Histogram,
    Histograms,
    MetricFamily,
    MetricSample,
    counter,
    gauge,
    histogram,
    merged,
    pages,
)

LARGE = 512 * 1024


def test_counts_begin_with_the_first_count_of_a_label():
    counts = Counts("kakuri_requests", "Requests.", ("method", "code"))
    assert counts["GET", "200"] == 0
    assert counts.family().samples == ()
    counts["GET", "200"] += 1
    counts["GET", "200"] += 1
    assert counts.family() == MetricFamily(
        "kakuri_requests", "counter", "Requests.", ("method", "code"), (["GET"], ["200"]), [2]
    )


@pytest.mark.parametrize("family", [Counts, Histograms])
@pytest.mark.parametrize("key", ["GET", (), ("GET",), ("GET", "200", "a")])
def test_series_without_one_value_for_each_label_is_rejected_when_it_begins(family, key):
    with pytest.raises(ValueError, match=r"labels \('method', 'code'\) of kakuri_requests, got"):
        family("kakuri_requests", "Requests.", ("method", "code"))[key]


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (0.5, 0), (1.0, 0), (1.0001, 1), (2.0, 1), (2.1, 2), (9e9, 2)]
)
def test_value_is_in_the_first_bucket_whose_bound_is_not_smaller(value, bucket):
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert histogram.buckets == [int(place == bucket) for place in range(3)]
    assert (histogram.sum, histogram.count) == (value, 1)


def test_histograms_have_a_series_for_each_label():
    durations = Histograms("kakuri_duration_seconds", "Time.", ("step",), (1.0,))
    durations["pull",].observe(0.5)
    durations["pull",].observe(1.5)
    durations["start",].observe(0.25)
    assert durations.family().samples == (
        MetricSample(("pull",), 2.0, (1, 1)),
        MetricSample(("start",), 0.25, (1, 0)),
    )
    assert durations.family().bounds == (1.0,)


def test_value_that_is_not_known_has_no_series():
    assert gauge("a", "", None).samples == ()
    assert gauge("a", "", {}, ("b",)).samples == ()
    assert gauge("a", "", float("nan")).samples == ()
    assert gauge("a", "", {("x",): 0.0, ("y",): float("inf")}, ("b",)).samples == (
        MetricSample(("x",), 0.0),
    )
    assert counter("a", "", 7.0).samples == (MetricSample((), 7.0),)


def test_further_labels_have_the_same_value_in_each_series_and_replace_none():
    family = gauge("a", "", {("x",): 1.0, ("y",): 2.0}, ("workload",))
    named = family.with_labels({"node": "n1", "workload": "other"})
    assert named.labels == ("workload", "node")
    assert [each.labels for each in named.samples] == [("x", "n1"), ("y", "n1")]
    assert gauge("a", "", 1.0).with_labels({"node": "n1"}).samples == (MetricSample(("n1",), 1.0),)


@pytest.mark.parametrize(
    ("family", "fault"),
    [
        (MetricFamily("a", "gauge", "", ("b", "b"), ([], []), []), "different labels, got b, b"),
        (MetricFamily("a", "gauge", "", ("b",), (), []), "1 columns, got 0"),
        (MetricFamily("a", "gauge", "", ("b",), (["x"],), [1.0, 2.0]), "columns of 2 values"),
        (MetricFamily("a", "histogram", "", (), (), [], (2.0, 1.0)), "ascending bounds"),
        (MetricFamily("a", "histogram", "", (), (), [], (1.0, 1.0)), "ascending bounds"),
        (MetricFamily("a", "histogram", "", (), (), [1.0], (1.0,)), "buckets of 1 series, got 0"),
        (MetricFamily("a", "gauge", "", (), (), [1.0], (), [(1,)]), "buckets of 0 series, got 1"),
        (MetricFamily("a", "histogram", "", (), (), [1.0], (1.0,), [(1,)]), "2 buckets in each"),
    ],
)
def test_family_that_contradicts_itself_has_a_fault(family, fault):
    assert fault in next(family.faults())


def test_histogram_has_the_observations_of_each_series_and_their_bounds():
    one, other = Histogram((1.0,)), Histogram((1.0,))
    one.observe(0.5)
    other.observe(2.0)
    family = histogram("a", "Waits.", {("x",): one, ("y",): other}, ("b",))
    assert (family.name, family.kind, family.bounds) == ("a", "histogram", (1.0,))
    assert family.samples == (
        MetricSample(("x",), 0.5, (1, 0)),
        MetricSample(("y",), 2.0, (0, 1)),
    )


@pytest.mark.parametrize(
    "family",
    [
        gauge("a", "", None),
        gauge("a", "", 1.0),
        gauge("a", "", {("x", "y"): 1.0}, ("b", "c")),
        histogram("a", "", None),
        histogram("a", "", Histogram((1.0,))),
        histogram("a", "", {("x",): Histogram((1.0,)), ("y",): Histogram((1.0,))}, ("b",)),
        Histograms("a", "").family(),
    ],
)
def test_family_is_sound_and_survives_json(family):
    assert list(family.faults()) == []
    assert decode(encode(family), type=MetricFamily) == family


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ('"name":"A"', "$.name"),
        ('"kind":"summary"', "$.kind"),
        (f'"columns":[["{"x" * (MAX_LABEL_LENGTH + 1)}"]]', "$.columns[0][0]"),
        (f'"labels":{["a"] * (MAX_LABELS + 1)}'.replace("'", '"'), "$.labels"),
        (f'"bounds":{[1.0] * (MAX_BOUNDS + 1)}', "$.bounds"),
        ('"buckets":[[-1]]', "$.buckets[0][0]"),
    ],
)
def test_family_outside_its_limits_raises_value_error_with_the_place(change, place):
    fields = {
        "name": '"name":"a"',
        "kind": '"kind":"gauge"',
        "help": '"help":""',
        "labels": '"labels":[]',
        "columns": '"columns":[]',
        "values": '"values":[]',
        change.split('"')[1]: change,
    }
    with pytest.raises(ValueError, match="expected") as e:
        decode(f"{{{','.join(fields.values())}}}".encode(), type=MetricFamily)
    assert e.value.faults[0].path == place


names = st.sampled_from(["a", "b", "c", "d"])
series = st.integers(0, 40)


@given(st.lists(st.tuples(names, series, st.booleans()), max_size=6), st.integers(1, 12))
def test_pages_have_each_series_once_in_order_within_the_limit(shapes, limit):
    families = [
        MetricFamily.of(
            f"{name}{place}",
            "histogram" if is_histogram else "gauge",
            "",
            ("id",),
            [MetricSample((str(each),), each, (1, 2) * is_histogram) for each in range(count)],
            (1.0,) * is_histogram,
        )
        for place, (name, count, is_histogram) in enumerate(shapes)
    ]
    found: dict[str, list[MetricSample]] = {}
    for page in pages(families, max_samples=limit, max_bytes=LARGE):
        assert page
        assert sum(map(len, page)) <= limit
        for family in page:
            assert list(family.faults()) == []
            found.setdefault(family.name, []).extend(family.samples)
    assert found == {family.name: list(family.samples) for family in families}


@pytest.mark.parametrize("fill", ["x", '"', "\x01", "\u00e9", "\U0001f600"])
def test_pages_of_the_longest_labels_stay_within_their_bytes(fill):
    long = [fill * MAX_LABEL_LENGTH] * (MAX_LABELS - 1)
    labels = {(*long, str(number)): number for number in range(99)}
    family = gauge("a", "h", labels, tuple(f"label_{n}" for n in range(MAX_LABELS)))
    taken = list(pages([family, family], max_samples=1000, max_bytes=LARGE))
    assert len(taken) > 1
    found = [each for page in taken for part in page for each in part.samples]
    assert found == [*family.samples] * 2
    assert max(len(encode(page)) for page in taken) <= LARGE


def test_constants_of_metrics_match_the_documentation():
    assert (MAX_LABELS, MAX_LABEL_LENGTH, MAX_BOUNDS) == (16, 512, 64)
    assert metrics.MAX_HELP_LENGTH == 512
    assert metrics.SECONDS == (
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
    )  # fmt: skip
    assert metrics.LONG_SECONDS == (
        0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0
    )  # fmt: skip


def test_page_has_as_many_bytes_as_it_may():
    family = gauge("a", "h", {(str(number),): number for number in range(8)}, ("id",))
    size = _largest_size(family)
    for max_bytes, counts in (
        (size, [[8]]), (size - 1, [[4], [4]]), (2 * size, [[8]]), (1, [[1]] * 8),
    ):  # fmt: skip
        found = list(pages([family], max_samples=1000, max_bytes=max_bytes))
        assert [[len(part) for part in page] for page in found] == counts
        assert [each for page in found for part in page for each in part.samples] == [
            *family.samples
        ]
    for max_bytes, counts in ((2 * size, [[8, 8]]), (2 * size - 1, [[8, 4], [4]])):
        found = list(pages([family, family], max_samples=1000, max_bytes=max_bytes))
        assert [[len(part) for part in page] for page in found] == counts


def test_page_has_as_many_series_as_it_may():
    family = gauge("a", "h", {(str(number),): number for number in range(6)}, ("id",))
    empty = gauge("b", "h", None)
    for limit, counts in (
        (6, [[6], [0]]), (7, [[6, 0]]), (5, [[5], [1, 0]]), (3, [[3], [3], [0]]),
    ):  # fmt: skip
        found = list(pages([family, empty], max_samples=limit, max_bytes=LARGE))
        assert [[len(part) for part in page] for page in found] == counts


def test_no_family_has_no_page():
    assert list(pages([], max_samples=1, max_bytes=LARGE)) == []


@pytest.mark.parametrize(
    "family",
    [
        gauge("a", "h" * 512, None),
        gauge("a", "", {("\x01" * 512, "\x01" * 512): -1.2345678901234567e-308}, ("b", "c")),
        MetricFamily.of(
            "a", "histogram", "", tuple("bcdefghijklmnop"),
            [MetricSample(("",) * 15, 1.0, (2**53,) * 65)], tuple(1e-308 * n for n in range(1, 65)),
        ),
    ],
)  # fmt: skip
def test_encoding_of_a_family_is_not_longer_than_was_expected(family):
    assert len(encode(family)) <= _largest_size(family)


def test_observations_of_two_histograms_are_added():
    one, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    for value in (0.5, 1.5):
        one.observe(value)
        other.observe(value + 1)
    one.add(other)
    assert (one.buckets, one.sum, one.count) == ([1, 2, 1], 6.0, 4)
    assert other.buckets == [0, 1, 1]
    with pytest.raises(ValueError, match=r"shorter|longer"):
        one.add(Histogram((1.0,)))


def test_families_of_one_name_are_merged_and_lack_no_label():
    one = gauge("a", "first", {("x",): 1.0}, ("worker",))
    other = gauge("a", "second", {("n", "y"): 2.0, ("m", "z"): 3.0}, ("node", "worker"))
    alone = counter("b", "h", 4.0)
    family, second = merged([one, alone, other])
    assert second is alone
    assert (family.name, family.help, family.labels) == ("a", "first", ("worker", "node"))
    assert family.samples == (
        MetricSample(("x", ""), 1.0), MetricSample(("y", "n"), 2.0), MetricSample(("z", "m"), 3.0),
    )  # fmt: skip


def test_histograms_of_one_name_are_merged():
    families = []
    for name, value in (("x", 0.5), ("y", 3.0)):
        histograms = Histograms("a", "h", ("id",), (1.0,))
        histograms[name,].observe(value)
        families.append(histograms.family())
    (family,) = merged(families)
    assert family.samples == (
        MetricSample(("x",), 0.5, (1, 0)), MetricSample(("y",), 3.0, (0, 1)),
    )  # fmt: skip
    assert list(family.faults()) == []


@pytest.mark.parametrize(
    "other", [counter("a", "", 2.0), MetricFamily.of("a", "histogram", "", (), [], (1.0,))]
)
def test_families_of_different_kinds_are_not_merged(other):
    first = gauge("a", "", 1.0)
    assert not first.is_compatible(other)
    assert merged([first, other, first]) == merged([first, first])
    assert len(merged([first, first])[0]) == 2


def test_histograms_with_other_bounds_are_not_merged():
    one, other = (Histograms("a", "h", (), (bound,)).family() for bound in (1.0, 2.0))
    assert merged([one, other]) == [one]


def test_part_of_a_family_has_only_its_series():
    histograms = Histograms("a", "h", ("id",), (1.0,))
    for place in range(4):
        histograms[str(place),].observe(place)
    family = histograms.family()
    assert family.part(1, 3).samples == family.samples[1:3]
    assert family.part(0, 9) == family
    assert len(family.part(4, 9)) == 0


def test_family_is_encoded_without_what_it_does_not_have():
    assert encode(gauge("a", "h", 1.0)) == (
        b'{"name":"a","kind":"gauge","help":"h","labels":[],"columns":[],"values":[1.0]}'
    )


@pytest.mark.parametrize(("count", "is_valid"), [(2**53, True), (2**53 + 1, False)])
def test_bucket_has_as_many_observations_as_every_reader_can_count(count, is_valid):
    text = b'{"name":"a","kind":"histogram","help":"","labels":[],"columns":[],"values":[1],'
    text += b'"buckets":[[%d]]}' % count
    if is_valid:
        assert decode(text, type=MetricFamily).buckets == [(count,)]
    else:
        with pytest.raises(ValueError, match="expected"):
            decode(text, type=MetricFamily)

import re

import click
import pytest
from click.testing import CliRunner
from kakuri_daemon import DaemonError
from kakuri_tcp import Endpoint
from kakuri_workload import DEFAULT_RUNTIME_CLASS
from kakuri_zones import DEFAULT_HANDLERS, DEFAULT_LOG_DIR
from kakuri_zones.options import read_handlers, zone_options


@pytest.fixture
def settings():
    """Return a function that reads options as a command with the options of zones does."""

    def read(*options):
        given = []

        @click.command()
        @click.option("--other")
        @zone_options
        def command(other, *, zones):
            given.append(zones)

        command.main(list(options), standalone_mode=False)
        return given[0]

    return read


def test_options_without_values_make_the_default_settings(settings):
    zones = settings()
    assert zones.cri == Endpoint.unix("/var/lib/edera/protect/cri.socket")
    assert zones.handlers == dict(DEFAULT_HANDLERS) == {DEFAULT_RUNTIME_CLASS: "edera"}
    assert (zones.log_dir, zones.cgroup_parent) == (DEFAULT_LOG_DIR, None)
    assert zones.ended_log_bytes == 2048 * 2**20


def test_log_directory_that_another_user_has_created_is_not_refused_before_it_is_used(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert settings("--log-dir", str(tmp_path)).log_dir == tmp_path
    (tmp_path / "file").touch()
    with pytest.raises(click.BadParameter, match="is a file"):
        settings("--log-dir", str(tmp_path / "file"))


def test_options_with_values_make_settings(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zones = settings(
        "--cri", "unix:///run/x.sock", "--handler", "a=b", "--handler", "c=d", "--cgroup-parent",
        "/mine", "--log-dir", "logs", "--ended-logs-mb", "3", "--pull-timeout", "9",
        "--pull-stall-timeout", "0", "--no-hosts-file", "--dns-server", "10.0.0.1", "--dns-search",
        "example.com", "--image-gc-high", "90", "--image-gc-low", "70", "--image-min-age", "5",
        "--image-max-age-hours", "2", "--image-gc-interval", "60", "--keep-image", "nginx:1.27",
    )  # fmt: skip
    assert zones.cri == Endpoint.unix("/run/x.sock")
    assert zones.handlers == {"a": "b", "c": "d"}
    assert (zones.cgroup_parent, zones.log_dir) == ("/mine", tmp_path / "logs")
    assert zones.ended_log_bytes == 3 * 2**20
    assert (zones.pulls.timeout, zones.pulls.stall_timeout) == (9, 0)
    assert (zones.has_hosts, zones.dns_servers) == (False, ("10.0.0.1",))
    assert zones.dns_searches == ("example.com",)
    collection = zones.collection
    assert (collection.high, collection.low, collection.min_age) == (90, 70, 5)
    assert (collection.max_age, collection.interval) == (7200, 60)
    assert collection.keep == ("nginx:1.27",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cri", "127.0.0.1:1"], "expected unix:///PATH, got 127.0.0.1:1"),
        (["--handler", "edera-zone="], "like edera-zone=edera, got 'edera-zone='"),
        (["--handler", "edera-zone"], "got 'edera-zone'"),
        (["--handler", "a=b", "--handler", "a=c"], "one handler for class 'a', got 'b' and 'c'"),
        (["--cgroup-parent", "kakuri"], "expected an absolute path"),
        (["--cgroup-parent", "/a/../b"], "expected an absolute path"),
        (["--pull-timeout", "0"], "expected seconds from 1 to 86400, got 0"),
        (["--pull-stall-timeout", "nan"], "got nan"),
        (["--image-min-age", "nan"], "expected a number, got 'nan'"),
        (["--image-max-age-hours", "nan"], "expected a number, got 'nan'"),
        (["--image-gc-interval", "nan"], "expected a number, got 'nan'"),
        (["--ended-logs-mb", "0"], "0 is not in the range"),
        (["--dns-server", "127.0.0.1"], "a resolver that zones can reach, got '127.0.0.1'"),
        (["--dns-server", "10.0.0.1"] * 4, "expected at most 3, got 4"),
        (["--dns-search", "a b"], "expected a domain like example.com, got 'a b'"),
        (["--keep-image", "A B"], "expected an image reference like nginx:1.27, got 'A B'"),
    ],
)
def test_option_with_an_invalid_value_is_a_bad_parameter(settings, options, message):
    with pytest.raises(click.BadParameter) as refusal:
        settings(*options)
    assert message in refusal.value.message


def test_low_threshold_above_the_high_one_raises_daemon_error(settings):
    with pytest.raises(DaemonError, match="expected at most --image-gc-high, 50"):
        settings("--image-gc-high", "50", "--image-gc-low", "60")


def test_help_shows_the_options_of_zones_and_of_the_command():
    @click.command()
    @click.option("--other")
    @zone_options
    def command(other, *, zones): ...

    help_ = CliRunner().invoke(command, ["--help"]).output
    assert "--other" in help_
    assert "--cgroup-parent" in help_


def test_handlers_are_pairs_of_class_and_handler():
    assert read_handlers(["edera-zone=edera", "plain=runc"]) == {
        "edera-zone": "edera",
        "plain": "runc",
    }
    with pytest.raises(click.BadParameter, match="got none"):
        read_handlers([])


RANGES = [
    ("--ended-logs-mb", 1, 10**9, lambda zones: zones.ended_log_bytes / 2**20),
    ("--pull-timeout", 1, 86_400, lambda zones: zones.pulls.timeout),
    ("--pull-stall-timeout", 1, 86_400, lambda zones: zones.pulls.stall_timeout),
    ("--image-gc-high", 80, 100, lambda zones: zones.collection.high),
    ("--image-gc-low", 0, 85, lambda zones: zones.collection.low),
    ("--image-min-age", 0, 100 * 365 * 86_400, lambda zones: zones.collection.min_age),
    ("--image-max-age-hours", 0, 100 * 365 * 24, lambda zones: zones.collection.max_age / 3600),
    ("--image-gc-interval", 1, 86_400, lambda zones: zones.collection.interval),
    ("--metrics-zones", 0, 100_000, lambda zones: zones.metrics_zones),
]


@pytest.mark.parametrize(("name", "low", "high", "of"), RANGES)
def test_option_accepts_the_bounds_of_its_range(settings, name, low, high, of):
    for value in (low, high):
        assert of(settings(name, str(value))) == value


@pytest.mark.parametrize(("name", "low", "high", "of"), RANGES)
def test_option_refuses_values_beyond_its_range(settings, name, low, high, of):
    beyond = [str(low - 1) if low else "-1", str(high + 1)]
    if name == "--pull-stall-timeout":
        beyond[0] = "0.5"  # 0 is for no limit
    for value in beyond:
        with pytest.raises((click.BadParameter, DaemonError)):
            settings(name, value)


def test_thresholds_of_image_removal_may_be_equal_and_the_high_one_100(settings):
    collection = settings("--image-gc-high", "100", "--image-gc-low", "100").collection
    assert (collection.high, collection.low) == (100, 100)
    collection = settings("--image-gc-high", "1", "--image-gc-low", "0").collection
    assert (collection.high, collection.low) == (1, 0)
    for options in (("--image-gc-high", "0", "--image-gc-low", "0"), ("--image-gc-low", "101")):
        with pytest.raises(click.BadParameter):
            settings(*options)


def test_defaults_of_images_pulls_and_names_are_the_documented_ones(settings):
    zones = settings()
    collection = zones.collection
    assert (collection.high, collection.low, collection.interval) == (85, 80, 300)
    assert (collection.min_age, collection.max_age, collection.keep) == (120, 0, ())
    assert (zones.pulls.timeout, zones.pulls.stall_timeout) == (1800, 120)
    assert (zones.has_hosts, zones.dns_servers, zones.dns_searches) == (True, (), ())


def test_options_that_may_be_repeated_keep_all_values(settings):
    zones = settings(
        "--dns-server", "10.0.0.1", "--dns-server", "10.0.0.2", "--dns-server", "10.0.0.3",
        *(part for number in range(32) for part in ("--dns-search", f"d{number}.example")),
        "--keep-image", "a", "--keep-image", "b", "--hosts-file",
    )  # fmt: skip
    assert zones.dns_servers == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert zones.dns_searches == tuple(f"d{number}.example" for number in range(32))
    assert (zones.collection.keep, zones.has_hosts) == (("a", "b"), True)
    with pytest.raises(click.BadParameter, match="expected at most 32, got 33"):
        settings(*(part for number in range(33) for part in ("--dns-search", f"d{number}.a")))


@pytest.mark.parametrize("path", ["/a", "/a/b.slice", "/a/..b", "/", "/a..b/c"])
def test_cgroup_parent_is_an_absolute_path(settings, path):
    assert settings("--cgroup-parent", path).cgroup_parent == path


@pytest.mark.parametrize("path", ["", "a", "a/b", "/a/..", "/../a", "..", "/a\0b"])
def test_cgroup_parent_that_is_not_an_absolute_path_below_the_root_raises_bad_parameter(
    settings, path
):
    with pytest.raises(click.BadParameter, match="below the cgroup root"):
        settings("--cgroup-parent", path)


@pytest.mark.parametrize(
    "shown",
    [
        "unix:///var/lib/edera/protect/cri.socket", "edera-zone=edera", "/var/log/kakuri", "2048",
        "1800", "120", "85", "80", "300", "hosts-file", "0;",
    ],
)  # fmt: skip
def test_help_shows_the_defaults(shown):
    @click.command()
    @zone_options
    def command(*, zones): ...

    output = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=200).output.split())
    assert re.search(rf"\[default: {re.escape(shown)}", output)


def test_help_shows_a_default_for_each_option_that_has_one():
    @click.command(context_settings={"terminal_width": 400, "max_content_width": 400})
    @zone_options
    def command(*, zones): ...

    output = CliRunner().invoke(command, ["--help"]).output
    helps = re.split(r"\n  (?=--)", output)[1:]
    without = {each.split()[0] for each in helps if "[default:" not in each}
    assert without == {"--keep-image", "--help"}
    assert len(helps) > 15

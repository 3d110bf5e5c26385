import pytest
from kakuri_tcp import Endpoint, EndpointError


@pytest.mark.parametrize(
    ("text", "endpoint", "spelled"),
    [
        ("127.0.0.1:9000", Endpoint.tcp("127.0.0.1", 9000), "127.0.0.1:9000"),
        ("tcp://localhost:0", Endpoint.tcp("localhost", 0), "localhost:0"),
        ("[::1]:9000", Endpoint.tcp("::1", 9000), "[::1]:9000"),
        ("tcp://[fe80::1%eth0]:1", Endpoint.tcp("fe80::1%eth0", 1), "[fe80::1%eth0]:1"),
        (
            "tls://node-1.example:443",
            Endpoint.tls("node-1.example", 443),
            "tls://node-1.example:443",
        ),
        ("unix:///run/x.sock", Endpoint.unix("/run/x.sock"), "unix:/run/x.sock"),
        ("unix:/run/x.sock", Endpoint.unix("/run/x.sock"), "unix:/run/x.sock"),
    ],
)
def test_endpoint_is_parsed_and_formatted(text, endpoint, spelled):
    assert Endpoint.parse(text) == endpoint
    assert str(endpoint) == spelled
    assert Endpoint.parse(spelled) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "", "9000", ":9000", "host", "host:", "host:x", "host:+1", "host:٣", "host:65536", "::1:9000",
        "[::1]", "[host]:1", "[::1:1", "127.1:80", "0x7f.1:80", "1.2.3.256:80", "a b:1", "a/b:1",
        "-a:1", "a..b:1", "*:80", "http://a:1", "tcp://a", "a." * 150 + "a:1", "a" * 64 + ":1", "a." + "b" * 64 + ".:1", "host\n:1", "a:1\n",
        "unix:", "unix:x", "unix://x/y", "unix:@x", "unix:\0x", "unix:/a\0b", "unix:/a/",
        "unix:/" + "a" * 107, "unix:/\ud800",
    ],
)  # fmt: skip
def test_text_that_is_not_an_endpoint_raises_endpoint_error_that_quotes_it(text):
    with pytest.raises(EndpointError, match=r"^expected .*, got"):
        Endpoint.parse(text)


def test_label_of_a_host_name_has_at_most_63_characters():
    assert Endpoint.parse("a" * 63 + "." + "b" * 63 + ".:1").port == 1


def test_bare_path_raises_endpoint_error_with_the_form_of_a_unix_socket():
    with pytest.raises(EndpointError, match=r"got '/run/x\.sock'; a Unix socket is unix:PATH$"):
        Endpoint.parse("/run/x.sock")


def test_url_raises_endpoint_error_with_all_forms_of_endpoints():
    expected = r"^expected HOST:PORT, .* unix:///PATH, got 'http://a:1'$"
    with pytest.raises(EndpointError, match=expected):
        Endpoint.parse("http://a:1")


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("localhost:1", True),
        ("LOCALHOST.:1", True), ("[::ffff:127.0.0.1]:1", True), ("tls://localhost:1", True),
        ("unix:/x", True), ("0.0.0.0:1", False), ("[::]:1", False), ("10.0.0.1:1", False),
        ("[::ffff:10.0.0.1]:1", False), ("localhost.example:1", False), ("[fe80::1%lo]:1", False),
    ],
)  # fmt: skip
def test_is_loopback_is_true_for_addresses_of_this_machine_only(text, is_loopback):
    assert Endpoint.parse(text).is_loopback is is_loopback


def test_address_has_no_scheme_except_unix():
    assert Endpoint.parse("tls://[::1]:5").address == "[::1]:5"
    assert Endpoint.parse("unix:/x").address == "unix:/x"

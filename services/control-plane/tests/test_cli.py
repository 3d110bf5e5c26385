import pytest
from kakuri_control_plane._cli import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agent", "127.0.0.1:0"], "expected a port to connect to"),
        (["--agent-timeout", "nan"], "expected seconds from 0.1 to 300, got nan"),
        (["--agent-timeout", "0"], "expected seconds from 0.1 to 300, got 0"),
        (["--allowed-host", "http://a.b:80/x"], "expected a host name"),
        (["--allowed-host", "a.example:80"], "expected a host name"),
        (["--allowed-host", ""], "expected a host name"),
        (
            ["--agent-user", "no such user"],
            "expected the name or number of a user, got 'no such user'",
        ),
        (["--agent-user", "-1"], "expected the name or number of a user, got '-1'"),
    ],
)
def test_invalid_option_of_the_control_plane_is_one_line_and_status_2(capsys, arguments, words):
    with pytest.raises(SystemExit) as ended:
        main(["--listen", "127.0.0.1:0", *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line

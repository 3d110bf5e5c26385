"""Large documents and unusual names, all the way into a real process."""

import hashlib


def test_largest_strings_reach_the_process(system):
    script = 'printf %s "$PEM" | wc -c; printf %s "$1" | wc -c'
    system.run("long", "sh", "-c", script, "sh", "a" * 131_071, env={"PEM": "x" * 100_000})
    assert system.await_end("long")["state"] == "succeeded", system.workload("long")
    assert system.log("long").split() == [b"100000", b"131071"]


def test_thousands_of_arguments_and_variables_reach_the_process(system):
    env = {f"V{number}": str(number) for number in range(5_000)}
    system.run("many", "sh", "-c", "echo $#; env | grep -c ^V", "sh", *["a"] * 20_000, env=env)
    assert system.await_end("many")["state"] == "succeeded", system.workload("many")
    assert system.log("many").split() == [b"20000", b"5000"]


def test_variable_names_that_a_shell_cannot_set_reach_the_process(system):
    env = {
        "discovery.type": "single-node",
        "ProgramFiles(x86)": "c",
        "a-b": "d e",
        "größe": "ü",
        "escaped": '\x1b\x07\\"\n',
    }
    system.run("names", "env", "-0", env=env)
    assert system.await_end("names")["state"] == "succeeded"
    seen = system.log("names").split(b"\0")
    assert {f"{name}={value}".encode() for name, value in env.items()} <= set(seen)


def test_document_of_240_kb_runs_and_is_unchanged(system):
    script = "echo '" + "é" * 55_000 + "' | md5sum"
    env = {"OTHER": "y" * 120_000}
    system.run("large", "sh", "-c", script, env=env)
    assert system.await_end("large")["state"] == "succeeded", system.workload("large")
    expected = hashlib.md5(("é" * 55_000 + "\n").encode(), usedforsecurity=False).hexdigest()
    assert system.log("large").split()[0].decode() == expected

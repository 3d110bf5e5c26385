"""The examples in the docstrings of the central functions are correct."""

import doctest
from dataclasses import dataclass

import kakuri_json
import pytest

NAMES = ("IncrementalParser", "decode", "decode_lines", "dumps", "encode", "loads")


@pytest.mark.parametrize("name", NAMES)
def test_docstring_examples_print_what_they_show(name):
    known = {each: getattr(kakuri_json, each) for each in NAMES}
    known |= {"__name__": "__main__", "dataclass": dataclass}
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for test in finder.find(known[name], name, module=False, globs=known):
        runner.run(test)
    assert runner.failures == 0
    assert runner.tries > 0

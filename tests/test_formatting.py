"""What people read, by its own examples and at its edges."""

import doctest
from pathlib import Path

import pytest

from gapfc import formatting
from gapfc.formatting import first_line, folder_name, from_here


def test_examples_in_docstrings():
    failed, tried = doctest.testmod(formatting)
    assert failed == 0
    assert tried > 4


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", "a_b"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (" .hidden", "hidden"),
        ("a\nb:c", "a_b_c"),
    ],
)
def test_a_folder_name_has_no_separator_and_hides_nothing(text, name):
    assert folder_name(text) == name


def test_a_path_is_told_from_here_where_it_lies_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here("outputs/run") == str(Path("outputs/run"))
    assert from_here(tmp_path / "outputs") == "outputs"
    assert from_here("/elsewhere") == "/elsewhere"


def test_the_first_line_that_holds_anything():
    assert first_line("\n  why \nlong") == "why"
    assert first_line("") == ""

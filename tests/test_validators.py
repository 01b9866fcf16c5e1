"""What settings take, and how a wrong one is told."""

import pytest

from gapfc.errors import UserError
from gapfc.validators import flag, is_whole, list_of, number, one_of, whole


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: whole("a", True), "a takes a whole number; got true"),
        (lambda: whole("a", 1.0, least=1), "a takes a whole number of at least 1; got 1.0"),
        (lambda: whole("a", 0, least=1), "a takes a whole number of at least 1; got 0"),
        (lambda: whole("a", 9, 0, 8), "a takes a whole number from 0 to 8; got 9"),
        (lambda: whole("a", None, takes="epochs"), "a takes epochs; got null"),
        (lambda: number("a", "1"), "a takes a number; got 1"),
        (lambda: number("a", float("nan")), "a takes a number; got nan"),
        (
            lambda: number("a", 1, least=0, below=1),
            "a takes a number of at least 0 and below 1; got 1",
        ),
        (
            lambda: number("a", 0, above=0, most=1),
            "a takes a number above 0 and of at most 1; got 0",
        ),
        (lambda: number("a", 2, 0, 1), "a takes a number from 0 to 1; got 2"),
        (lambda: flag("a", 1), "a takes true or false; got 1"),
        (lambda: one_of("a", "d", ("b", "c")), "a takes b or c; got d"),
        (lambda: one_of("a", 1, ("auto", True, False)), "a takes auto, true or false; got 1"),
        (lambda: list_of("a", (1, True), is_whole, "numbers"), "a takes numbers; got [1, true]"),
        (lambda: list_of("a", "1", str.isdigit, "numbers"), "a takes numbers; got 1"),
        (lambda: list_of("a", [], is_whole, "numbers"), "a takes numbers; got []"),
        (lambda: whole("a", ""), "a takes a whole number; got nothing"),
        (lambda: whole("a", ["b", [None]]), "a takes a whole number; got [b, [null]]"),
        (lambda: list_of("a", 3, is_whole, "numbers"), "a takes numbers; got 3"),
    ],
)
def test_a_wrong_value_is_told_with_what_the_setting_takes(check, message):
    with pytest.raises(UserError) as caught:
        check()
    assert str(caught.value) == message


def test_a_right_value_comes_back():
    assert whole("a", 1, least=1) == 1
    assert number("a", 1, above=0, most=1) == 1.0
    assert flag("a", False) is False
    assert list_of("a", [2, 1], is_whole, "numbers") == [2, 1]
    assert list_of("a", (), is_whole, "numbers", empty=True) == ()
    assert one_of("a", "c", ("b", "c")) == "c"
    assert one_of("a", False, ("auto", True, False)) is False

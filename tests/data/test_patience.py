"""Work that takes long says so; what is quick says nothing."""

import io
import logging
import sys

import pytest

from gapfc.data import patience
from gapfc.data.patience import followed


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Each item takes as many seconds as it says."""
    now = [0.0]
    monkeypatch.setattr(patience.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(patience, "leave_if_gone", lambda: False)

    def work(seconds):
        for number in seconds:
            now[0] += number
            yield number

    return work


def test_what_is_quick_is_silent(clock, caplog, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with caplog.at_level(logging.INFO):
        assert list(followed(clock([0.3] * 3), 3, "reading")) == [0.3] * 3
    assert not caplog.messages
    assert sys.stderr.getvalue() == ""


def test_what_is_slow_says_so_once_where_there_is_no_terminal(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert len(list(followed(clock([0.3] * 30), 30, "decoding 30 photos"))) == 30
    assert caplog.messages == ["decoding 30 photos …"]


def test_a_terminal_gets_a_bar_that_goes(clock, caplog, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with caplog.at_level(logging.INFO):
        assert len(list(followed(clock([0.5] * 20), 20, "decoding 20 photos"))) == 20
    assert not caplog.messages
    shown = sys.stderr.getvalue()
    assert "decoding 20 photos  50%|" in shown
    assert shown.rstrip(" ").endswith("\r")

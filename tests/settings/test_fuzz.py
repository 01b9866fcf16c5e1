"""Any setting, given any value: a result, or a few words and exit code 2. Never a traceback."""

import contextlib
import io
import sys
import tempfile
from functools import lru_cache

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from gapfc.cli.main import dispatch
from gapfc.errors import UserError
from gapfc.settings.compose import Composer

TINY = [
    "dataset.train_limit=8",
    "dataset.test_limit=8",
    "dataset.image_size=16",
    "trainer.epochs=1",
    "trainer.batch_size=4",
]
NARROW = ["backbone.widths=[4,4]", "backbone.pool_after=[1]"]
COMMANDS = {
    "train": [*TINY],
    "transfer": [*TINY, "source.dataset=digits", "protocol=scratch"],
    "inspect": [*TINY, "repeats=1"],
}
CHOICES = [
    *(
        f"head={name}"
        for name in ("fc", "gap", "gem", "nin", "spp", "sppf", "spp_fixed", "attn", "lse")
    ),
    *(f"backbone={name}" for name in ("nin", "resnet_cifar", "squeezenet1_1")),
    *(f"optimizer={name}" for name in ("adamw", "sgd")),
    *(f"schedule={name}" for name in ("constant", "cosine", "one_cycle", "plateau", "step")),
    *(f"augment={name}" for name in ("none", "photo")),
    "dataset=synthetic_shapes",
]

SCALARS = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 1, -0.5, 1.5, 1e30, -1e30, 10**9 + 1, 10**400]),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.sampled_from(
        ["", " ", "/etc/passwd", "../..", "~", "auto", "none", "${", "${nothing}", "$"]
    ),
    st.sampled_from(
        ["a\nb", "a\tb", "\x1b[31m", "ü", "a=b", "a,b", "#", "???", "null", "x" * 5000]
    ),
    st.integers(),
    st.floats(),
    st.text("abc/.-_ ", max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=5,
)


def typed(value):
    """`value` as it is written behind key=."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return hex(value) if abs(value) > 10**300 else str(value)
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{typed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        escaped = value.replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)


@lru_cache
def keys(command, choice):
    """The keys that `gapfc <command> <choice> --cfg job` prints, and the nodes above them."""

    def below(node, prefix=""):
        for name in node:
            child = node._get_node(name)
            yield f"{prefix}{name}"
            if isinstance(child, DictConfig) and not child._is_none():
                yield from below(child, f"{prefix}{name}.")

    return list(below(Composer([*COMMANDS[command], choice]).compose(command)))


@st.composite
def arguments(draw):
    command = draw(st.sampled_from(sorted(COMMANDS)))
    choice = draw(st.sampled_from(CHOICES))
    key = draw(st.sampled_from(keys(command, choice)))
    narrow = [] if choice.startswith("backbone") or command == "transfer" else NARROW
    form = draw(st.sampled_from(["{}={}", "{}={}", "{}={}", "++{}={}", "~{}"]))
    return [
        command,
        *COMMANDS[command],
        choice,
        *narrow,
        form.format(key, typed(draw(VALUES))),
    ]


def no_training(asked, experiment, directory, held=None):
    directory.close()
    return 0


def outcome(words):
    """Exit code, standard output and standard error; an unexpected exception comes through."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = dispatch(words)
        except UserError as error:
            code = 2
            err.write(str(error))
        finally:
            torch.set_flush_denormal(False)  # Hypothesis draws subnormal numbers
    return code, out.getvalue(), err.getvalue()


def check(words):
    code, out, err = outcome(words)
    shown = f"{words}\n{out}\n{err}"
    assert "Traceback" not in out + err, shown
    if code == 1:  # a row of the table says what cannot be built
        assert words[0] == "inspect", shown
        assert "error: " in out, shown
        return
    assert code in (0, 2), shown
    if code == 2:
        assert 0 < len(err.splitlines()) <= 6, shown
        assert len(err) < 1000, shown


@pytest.fixture
def folder(monkeypatch):
    """A folder of its own, in which nothing is trained."""
    with tempfile.TemporaryDirectory() as path:
        monkeypatch.chdir(path)
        monkeypatch.setattr(sys, "argv", sys.argv)
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in ("HYDRA_FULL_ERROR", "GAPFC_DATA"):
            monkeypatch.setenv(name, "data")
        monkeypatch.setattr("gapfc.experiment.begin.execute", no_training)
        yield


FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@given(words=arguments())
@settings(FUZZ, max_examples=15)
def test_any_value_of_any_setting_ends_in_a_result_or_in_a_few_words(folder, words):
    check(words)


@pytest.mark.slow
@given(words=arguments())
@settings(FUZZ, max_examples=200)
def test_any_value_of_any_setting_ends_in_a_result_or_in_a_few_words_200(folder, words):
    check(words)

"""An error inside a class of the user's own says so behind its traceback."""

import importlib
import sys

import pytest
from omegaconf import OmegaConf
from processes import run

from gapfc.settings.explain import from_own_code

HEAD = """
from torch import nn


class Middle(nn.Module):
    accepts_any_size = True

    def __init__(self, feature_shape, num_classes):
        super().__init__()
        self.linear = nn.Linear(feature_shape[0] + 1, num_classes)

    def forward(self, features):
        return self.linear(features[:, :, 0, 0])
"""


@pytest.mark.slow
def test_the_traceback_of_a_head_of_ones_own_ends_with_its_line(tmp_path):
    (tmp_path / "settings" / "head").mkdir(parents=True)
    named = "name: middle\n_target_: middle.Middle\n"
    (tmp_path / "settings" / "head" / "middle.yaml").write_text(named)
    (tmp_path / "middle.py").write_text(HEAD)
    given = ("--config-dir", "settings", "head=middle", "trainer.device=cpu")
    code, _, err = run("train", *given, folder=tmp_path)
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1] == (
        "gapfc: error: this came from middle.py, line 13: the file of head._target_=middle.Middle"
    )


def test_errors_from_elsewhere_are_nobody_s_own(tmp_path, monkeypatch):
    (tmp_path / "mine_alone.py").write_text("def fail():\n    raise KeyError(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_alone", raising=False)
    with pytest.raises(KeyError) as caught:
        importlib.import_module("mine_alone").fail()
    config = OmegaConf.create({"optimizer": {"_target_": "mine_alone.fail"}, "head": None})
    assert "mine_alone.py, line 2: the file of optimizer" in from_own_code(caught.value, config)
    for target in ("gapfc.heads.GAP", "nowhere.at_all", "", "${a}", None):
        config = OmegaConf.create({"head": {"_target_": target}})
        assert from_own_code(caught.value, config) is None
    assert from_own_code(caught.value, {}) is None

"""What every run waits for before it trains."""

import gc
import re

import pytest

from gapfc.system.garbage import loading

# Each is a quarter of a second or more.
NOT_FOR_A_RUN_OF_DIGITS = {
    "pandas", "scipy", "sklearn", "sympy", "torch._dynamo", "torch._inductor", "torchvision",
}  # fmt: skip


@pytest.mark.slow
def test_a_run_imports_only_what_it_needs(gapfc):
    done = gapfc(
        "train", "head=gap", "trainer.epochs=1", "dataset.train_limit=64",
        "backbone.widths=[4,6]", "backbone.pool_after=[1]",
        env={"PYTHONPROFILEIMPORTTIME": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"^import time:.*\| *(\S+)$", done.stderr, re.M))
    assert {"torch", "matplotlib", "gapfc.engine.fit"} <= imported
    assert not NOT_FOR_A_RUN_OF_DIGITS & imported


def test_garbage_is_not_looked_for_while_modules_load():
    assert gc.isenabled()
    before = gc.get_freeze_count()
    kept = []
    try:
        with loading():
            assert not gc.isenabled()
            kept = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(kept)
        with pytest.raises(KeyError), loading():
            raise KeyError
        assert gc.isenabled()
    finally:
        gc.unfreeze()

"""Numbers too near to 0 cost no time, in whichever thread."""

import subprocess
import sys

PROGRAM = """
import torch
from gapfc.engine.device import flush_subnormals

flush_subnormals()
torch.set_num_threads(2)
small, normal = (torch.full((1_000_000,), value) for value in (1e-39, 1.2e-38))
print((small * 0.5).count_nonzero().item(), (normal * 1.0).count_nonzero().item())
"""


def test_every_thread_takes_them_for_zero():
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["0", "1000000"]

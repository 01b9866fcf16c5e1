"""torch.export's program: for PyTorch without gapfc, ahead-of-time compilers and ExecuTorch."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch

from gapfc.trained.export.format import Format, Runner
from gapfc.trained.export.program import Network, exporting, trace

FACTS = "gapfc.json"  # among the extra files


def write(network: Network, facts: Mapping[str, str], any_size: bool) -> bytes:
    """The file, with `facts` as the extra file gapfc.json. Raises NotExported."""
    file = io.BytesIO()
    program = trace(network, any_size)
    with exporting():
        torch.export.save(program, file, extra_files={FACTS: json.dumps(facts, indent=2)})
    return file.getvalue()


def read(content: bytes, network: Network) -> Runner:
    """What runs the file."""
    with exporting():
        run: Runner = torch.export.load(io.BytesIO(content)).module()
    return run


EXPORTED_PROGRAM = Format("program of torch.export", write, read, "torch.export.load")

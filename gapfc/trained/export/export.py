"""From a trained model to a file: written, run again, and kept only if it gives the same logits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gapfc import __version__
from gapfc.errors import UserError
from gapfc.formatting import listed
from gapfc.records.atomic import atomic_write
from gapfc.records.inputs import CLASSES, TRANSFORM, Inputs
from gapfc.trained.export.check import Agreement, compare
from gapfc.trained.export.exported_program import EXPORTED_PROGRAM
from gapfc.trained.export.format import Format
from gapfc.trained.export.onnx import ONNX
from gapfc.trained.export.program import Network, NotExported
from gapfc.trained.export.safetensors import SAFETENSORS
from gapfc.trained.model import TrainedModel

FORMATS = {".onnx": ONNX, ".pt2": EXPORTED_PROGRAM, ".safetensors": SAFETENSORS}
INSTALL = 'pip install "gapfc[onnx]"'


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        size: in bytes.
        any_size: whether it takes images of any size; else of the size of training alone.
        agreement: with the model; None if what runs such files is not installed.
        note: why it does not take any size although the model does, or None.
    """

    path: Path
    size: int
    network: Network
    inputs: Inputs
    any_size: bool
    agreement: Agreement | None
    note: str | None

    @property
    def format(self) -> Format:
        """What it was written by."""
        return FORMATS[self.path.suffix]


def check_target(path: Path, raw: bool = False, force: bool = False) -> None:
    """Raise UserError if no model could be written to `path`: told before a model is loaded."""
    if path.suffix not in FORMATS:
        raise UserError(
            f"{path}: a model is written as FILE.onnx (for other runtimes), FILE.pt2 "
            "(torch.export's program) or FILE.safetensors (the weights alone)"
        )
    if raw and not FORMATS[path.suffix].takes_images:
        raise UserError("--raw: weights alone take no images; it is for .onnx and .pt2")
    if path.is_dir():
        raise UserError(f"{path} is a folder")
    if path.exists() and not force:
        raise UserError(f"{path} exists: --force writes over it")
    missing = [name for name in FORMATS[path.suffix].needs if find_spec(name) is None]
    if missing:
        raise UserError(f"{path.suffix} files need {listed(missing)}: {INSTALL}")


def export(
    model: TrainedModel,
    path: Path,
    names: Mapping[str, str],
    *,
    raw: bool = False,
    force: bool = False,
) -> Exported:
    """Write `model` to `path`, whose ending says in which format.

    A model that takes any image size is written so; where that fails, for the size of training.

    Args:
        model: in evaluation mode, on the CPU.
        names: further facts to be stored with it, such as {"head": "gap"}.
        raw: the file's input is what normalising gives, not pixels.
        force: write over a file.

    Raises:
        UserError: if the format can't hold this network, if what was written gives other logits
            (it is not kept then), or if the file cannot be written.
    """
    check_target(path, raw, force)
    network = Network(model, raw)
    made = FORMATS[path.suffix]
    stored = _facts(model, network) | dict(names)
    note = None
    for any_size in (True, False) if network.takes_any_size else (False,):
        try:
            content = made.write(network, stored, any_size)
            run = made.read(content, network)
            agreement = None if run is None else compare(network, run, any_size)
            break
        except NotExported as error:
            note = str(error)
    else:
        raise UserError(f"{path} was not written. {made.name}: {note}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda file: file.write(content))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    return Exported(path, len(content), network, model.inputs, any_size, agreement, note)


def _facts(model: TrainedModel, network: Network) -> dict[str, str]:
    """What a user of the file needs beside it, each as text: lists and null as JSON."""
    record = model.inputs.as_record()
    facts = {CLASSES: record[CLASSES], **record[TRANSFORM]}
    takes = "float32, normalised" if network.raw else "uint8, 0 to 255"
    return {
        "gapfc": __version__,
        "images": f"{takes}, RGB, [batch, 3, height, width]",
        **{k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()},
    }

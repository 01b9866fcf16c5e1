"""`gapfc export`: a trained model as a file for other programs."""

import argparse
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gapfc.errors import UserError
from gapfc.formatting import from_here, listed, printable_lines, times

if TYPE_CHECKING:
    from gapfc.records.inputs import Inputs
    from gapfc.trained.export.export import Exported

INSTALL = 'pip install "gapfc[onnx]"'

DESCRIPTION = """\
Writes the model of a run, with the weights that validation chose, in one of three formats:

  FILE.onnx         for onnxruntime, OpenVINO, TensorRT, browsers, … (pip install "gapfc[onnx]")
  FILE.pt2          a program of torch.export, for PyTorch without gapfc
  FILE.safetensors  the weights alone, by name

Each is run again, and kept only if its logits are the model's. The first two take uint8 images
[batch, 3, height, width], RGB from 0 to 255, of any batch size, and of any image size where the
head takes any. Normalising is inside (--raw: outside); resizing is not. The classes, and what is to
be done to an image, are stored in the file.
"""
EXAMPLES = """\
examples:
  gapfc export outputs/train/digits/convnet/gap/20260101-120000-s0 digits.onnx
  gapfc export outputs/train/digits/convnet/gap/20260101-120000-s0 digits.pt2 --raw

settings:
  trust=true             build classes that the run names even if gapfc does not know them
"""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc export`."""
    made = argparse.ArgumentParser(
        prog="gapfc export",
        usage="gapfc export RUN FILE.onnx|FILE.pt2|FILE.safetensors [--raw] [--force] [trust=true]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("run", metavar="RUN", help="the directory of a completed run")
    made.add_argument("file", metavar="FILE", help="where to; its ending says in which format")
    made.add_argument("setting", nargs="?", help=argparse.SUPPRESS)
    made.add_argument(
        "--raw", action="store_true", help="take float32 images that are normalised already"
    )
    made.add_argument("--force", action="store_true", help="write over FILE")
    made.add_argument("--config-dir", metavar="DIR", help="with the classes that the run uses")
    return made


def main(argv: list[str]) -> int:
    """Write, check and say what was written; returns 0. Raises UserError for what went wrong."""
    options = parser().parse_intermixed_args(argv)
    if options.setting not in (None, "trust=true", "trust=false"):
        raise UserError(f"{options.setting}: gapfc export takes a run, a file, and trust=true")

    # Imported here, since torch takes a second: --help answers before that.
    import torch

    from gapfc.records.run import open_run
    from gapfc.settings.trust import Vouched
    from gapfc.trained.export.export import check_target, export
    from gapfc.trained.load import load_run

    path = Path(options.file).expanduser()
    check_target(path, options.raw, options.force)
    run = open_run(options.run)
    vouched = Vouched.in_python(options.setting == "trust=true", options.config_dir)
    model = load_run(run, replace(vouched, how=Vouched.how), torch.device("cpu"))
    names = {part: run.name(part) for part in ("head", "backbone", "dataset")}
    if sys.stderr.isatty():
        print(printable_lines(f"Writing {path} …"), file=sys.stderr)
    done = export(model, path, names, raw=options.raw, force=options.force)
    print(printable_lines("\n".join(_lines(done))))
    return 0


def _lines(done: "Exported", width: int = 80) -> list[str]:
    """What was written: a file, its input and output, how near it comes to the model."""
    network, inputs = done.network, done.inputs
    parts: dict[str, str] = {}
    if done.format.takes_images:
        sides = "height, width" if done.any_size else ", ".join(map(str, inputs.size))
        kind = "float32" if network.raw else "uint8"
        pixels = f"normalised: {_normalised(inputs)}" if network.raw else "RGB, 0 to 255"
        parts["images"] = f"{kind} [batch, 3, {sides}], {pixels}"
        parts["logits"] = f"float32 [batch, {len(inputs.classes)}]"
        parts["size"] = _size(done)
    parts["checked"] = _checked(done)
    if not done.format.takes_images:
        parts["inside"] = "backbone.… and head.…, with classes, mean, std and size as metadata"
    lines = [f"{from_here(done.path)}: {done.format.name}, {_bytes(done.size)}"]
    for name, text in parts.items():
        first, *rest = textwrap.wrap(text, width - 11, break_long_words=False)
        lines += [f"  {name:<9}{first}", *(" " * 11 + line for line in rest)]
    return lines


def _size(done: "Exported") -> str:
    inputs = done.inputs
    own = times(inputs.size)
    if inputs.image_size is None:
        before = f"trained on images of their own sizes, one of them {own}"
    else:
        how = {"squash": "resized to", "crop": "cropped to"}[inputs.resize]
        before = f"trained on images {how} {times(inputs.image_size)}"
        if inputs.canvas is not None:
            before += f", on a black {own}"
        before += ": do so before, it is not done inside"
    if done.any_size:
        return f"any; {before}"
    why = f" ({done.note})" if done.note else ""
    return f"{own} only{why}; {before}"


def _checked(done: "Exported") -> str:
    agreement = done.agreement
    if agreement is None:
        return f"not: {done.format.runs_in} is not installed ({INSTALL})"
    return (
        f"in {done.format.runs_in}, on images {listed([times(s) for s in agreement.shapes])}: "
        f"logits differ by at most {agreement.difference:.1e} (the largest is "
        f"{agreement.largest:.2g})"
    )


def _normalised(inputs: "Inputs") -> str:
    mean, std = ([round(n, 4) for n in numbers] for numbers in (inputs.mean, inputs.std))
    return f"(pixel / 255 - {mean}) / {std}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"

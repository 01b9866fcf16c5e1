"""`gapfc export`: a trained model as a file for other programs."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gapfc.cli.chosen_run import chosen_run
from gapfc.cli.options import Options, paths_and_settings, values
from gapfc.errors import UserError
from gapfc.formatting import from_here, listed, printable_lines, times, wrapped

if TYPE_CHECKING:
    from gapfc.records.inputs import Inputs
    from gapfc.trained.export.export import Exported

WIDTH = 80

DESCRIPTION = """\
Writes the model of a run, with the weights that validation chose, in one of three formats:

  FILE.onnx         for onnxruntime, OpenVINO, TensorRT, browsers, …
                    (needs pip install "gapfc[onnx]")
  FILE.pt2          a program of torch.export, for PyTorch without gapfc
  FILE.safetensors  the weights alone, by name

Each is run again, and kept only if its logits are the model's. The first two
take uint8 images [batch, 3, height, width], RGB from 0 to 255: batches of any
size, and images of any size where the head takes any. Normalising is inside
(with --raw it is not), resizing never is. The classes, and what is done to an
image before, are stored in the file.
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
    usage = "gapfc export RUN FILE.onnx|.pt2|.safetensors [--raw] [--force] [trust=true]"
    made = Options("export", DESCRIPTION, EXAMPLES, usage)
    made.add_argument(
        "words",
        nargs="+",
        metavar="RUN FILE",
        help="a completed run (of a folder, the newest); where to write its model",
    )
    made.add_argument(
        "--raw", action="store_true", help="take float32 images that are normalised already"
    )
    made.add_argument("--force", action="store_true", help="write over FILE")
    made.add_argument("--config-dir", metavar="DIR", help="with the classes that the run uses")
    return made


def main(argv: list[str]) -> int:
    """Write, check and say what was written; returns 0. Raises UserError for what went wrong."""
    options = parser().parse_intermixed_args(argv)
    words, settings = paths_and_settings(options.words)
    (trust,) = values("export", settings, "trust")
    if len(words) != 2:
        raise UserError(
            f"gapfc export takes a run directory and a file, FILE.onnx, .pt2 or .safetensors; got "
            f"{shlex.join(words) or 'nothing'}"
        )

    # Imported here, since torch takes a second: --help answers before that.
    import torch

    from gapfc.settings.trust import Vouched
    from gapfc.trained.export.export import check_target, export
    from gapfc.trained.load import load_run

    path = Path(words[1]).expanduser()
    check_target(path, options.raw, options.force)
    run = chosen_run(words[0])
    vouched = Vouched.of(trust == "true", options.config_dir)
    model = load_run(run, vouched, torch.device("cpu"))
    names = {part: run.name(part) for part in ("head", "backbone", "dataset")}
    if sys.stderr.isatty():
        print(printable_lines(f"Writing {path} …"), file=sys.stderr)
    done = export(model, path, names, raw=options.raw, force=options.force)
    print(printable_lines("\n".join(_lines(done))))
    return 0


def _lines(done: "Exported") -> list[str]:
    """What was written: a file, its input and output, how near it comes to the model."""
    network, inputs = done.network, done.inputs
    parts: dict[str, str] = {}
    if done.format.takes_images:
        sides = "height, width" if done.any_size else ", ".join(map(str, inputs.size))
        kind = "float32" if network.raw else "uint8"
        pixels = f"normalised: {_normalised(inputs)}" if network.raw else "RGB from 0 to 255"
        parts["images"] = f"{kind} [batch, 3, {sides}], {pixels}"
        parts["logits"] = f"float32 [batch, {len(inputs.classes)}]"
        parts["size"] = _size(done)
    else:
        parts["weights"] = "backbone.… and head.…; metadata: classes, mean, std, size, …"
    parts["checked"] = _checked(done)
    lines = [f"{from_here(done.path)}: {done.format.name}, {_bytes(done.size)}"]
    for name, text in parts.items():
        lines.append(wrapped(f"  {name:<9}{text}", WIDTH, hang=" " * 9))
    return lines


def _size(done: "Exported") -> str:
    inputs, own = done.inputs, times(done.inputs.size)
    if inputs.image_size is None:
        trained = "trained on images of their own sizes"
    else:
        to = times(inputs.image_size)
        share = inputs.crop_share
        shorter = f" to {round(min(inputs.image_size) / share)}" if share < 1 else ""
        trained = {
            "squash": f"resize images to {to} first",
            "crop": f"first resize the shorter side of images{shorter}, and cut out the middle, "
            f"{to}",
            "pad": f"first resize images to fit into {to}, and fill the rest with the mean colour",
        }[inputs.resize]
        if inputs.canvas is not None:
            trained += f", then set them into the middle of a black {own}"
    if done.any_size:
        return f"any (trained at {own}); {trained}"
    return f"{own} only{f' ({done.note})' if done.note else ''}; {trained}"


def _checked(done: "Exported") -> str:
    from gapfc.trained.export.export import INSTALL

    agreement, where = done.agreement, done.format.runs_in
    if agreement is None:
        return f"no: {where} is not installed ({INSTALL})"
    shapes = listed([times(shape) for shape in agreement.shapes])
    if not agreement.difference:
        return f"with {where}, on {shapes}: the same logits as the model's"
    return (
        f"with {where}, on {shapes}: logits differ from the model's by "
        f"{agreement.difference:.1e} at most (the largest is {agreement.largest:.2g})"
    )


def _normalised(inputs: "Inputs") -> str:
    mean, std = ([round(n, 4) for n in numbers] for numbers in (inputs.mean, inputs.std))
    return f"(pixel / 255 - {mean}) / {std}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"

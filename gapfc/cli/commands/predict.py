"""`gapfc predict`: what a trained model sees in images."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gapfc.cli.chosen_run import chosen_run
from gapfc.cli.options import Options, paths_and_settings, values
from gapfc.errors import UserError
from gapfc.formatting import from_here, plural, printable, printable_lines
from gapfc.records.atomic import atomic_write
from gapfc.records.run_directory import check_not_of_run
from gapfc.system.allocator import keep_freed_memory
from gapfc.system.interruption import Interrupted, Interruption
from gapfc.validators import whole

if TYPE_CHECKING:
    from gapfc.records.run import Run
    from gapfc.trained.images import ImageFile
    from gapfc.trained.map_folder import MapFolder
    from gapfc.trained.model import TrainedModel
    from gapfc.trained.output import Output
    from gapfc.trained.predict import Prediction, Skipped
    from gapfc.trained.tally import Tally

DESCRIPTION = """\
Says which class the model of a run sees in each image, and how sure it is: a line per image. The
run directory is all that is needed. Images are resized as the run's own test images were.

Folders are read as dataset=folder reads them. Where their subfolders have the names of classes,
the accuracy is told as well. A file that cannot be read, or is not there, is named and skipped.
"""
EXAMPLES = """\
settings (key=value):
  trainer.device=cpu     auto | cpu | cuda
  trust=true             build classes that the run names even if gapfc does not know them

exit code: 0 if there was an image that could be read, 1 if there was none, 2 for an error, 130 if
interrupted: what was predicted until then is written all the same.

examples:
  gapfc predict outputs/train/folder/resnet18/gap/20260101-120000-s0 holiday.jpg
  gapfc predict outputs/train/folder/resnet18/gap/20260101-120000-s0 photos --csv photos.csv
  gapfc predict outputs/train/folder/resnet18/gap/20260101-120000-s0 photos --cam maps --top 3
"""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc predict`."""
    usage = "gapfc predict RUN IMAGE_OR_FOLDER… [--top N] [--json] [--csv FILE] [--cam FOLDER]"
    made = Options("predict", DESCRIPTION, EXAMPLES, usage)
    made.add_argument(
        "words",
        nargs="+",
        metavar="RUN IMAGE_OR_FOLDER",
        help="a completed run (of a folder of runs, the newest), and images",
    )
    made.add_argument(
        "--top", type=int, default=1, metavar="N", help="tell the N likeliest classes, not only one"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of lines")
    made.add_argument(
        "--csv",
        metavar="FILE",
        help="write a table instead of lines, once all is done; - for standard output",
    )
    made.add_argument(
        "--cam",
        metavar="FOLDER",
        help="write <image>.cam.png there: where in the image the evidence for its class is",
    )
    made.add_argument("--config-dir", metavar="DIR", help="with the classes that the run uses")
    return made


def main(argv: list[str]) -> int:
    """Predict and tell; returns the exit code. Raises UserError for what is wrong before that."""
    options = parser().parse_intermixed_args(argv)
    words, settings = paths_and_settings(options.words)
    trust, device = values("predict", settings, "trust", "trainer.device")
    if len(words) < 2:
        raise UserError("gapfc predict takes a run, then images or folders of them")
    whole("--top", options.top, 1)
    if options.json and options.csv == "-":
        raise UserError("--json and --csv - both print to standard output: give one of them")

    # Imported here, since torch takes a second: a misspelt option is reported before that.
    from gapfc.engine.device import choose_device
    from gapfc.settings.trust import Vouched
    from gapfc.trained.images import find_images
    from gapfc.trained.load import load_run
    from gapfc.trained.map_folder import MapFolder
    from gapfc.trained.predict import check_has_maps

    if options.csv not in (None, "-"):
        _check_table(Path(options.csv).expanduser(), words[1:])
    on = choose_device(device)
    run = chosen_run(words[0])
    keep_freed_memory()
    model = load_run(run, Vouched.of(trust == "true", options.config_dir), on)
    images = find_images(words[1:], model.classes)
    maps = None
    if options.cam is not None:
        check_has_maps(model)
        maps = MapFolder(options.cam)
    with Interruption() as interruption:
        return _carry_out(options, run, model, images, maps, interruption)


def _check_table(path: Path, images: Sequence[str]) -> None:
    """UserError if the table would be written over something else, or cannot be written."""
    from gapfc.data.sources.folder import EXTENSIONS

    check_not_of_run(path)
    given = {Path(image).expanduser().resolve() for image in images}
    if path.name.lower().endswith(EXTENSIONS) or path.resolve() in given - {Path.cwd()}:
        raise UserError(f"--csv {path}: that is the name of an image; give one such as photos.csv")
    if path.is_dir() or not path.parent.is_dir():
        kind = "is a folder" if path.is_dir() else "is in no folder that exists"
        raise UserError(f"--csv {path} {kind}: give the name of a file")


def _data_on_stdout(options: argparse.Namespace) -> bool:
    """Whether standard output is for programs."""
    return options.json or options.csv == "-"


def _carry_out(
    options: argparse.Namespace,
    run: "Run",
    model: "TrainedModel",
    images: "Sequence[ImageFile]",
    maps: "MapFolder | None",
    interruption: Interruption,
) -> int:
    from gapfc.trained.output import Csv, Json, Lines
    from gapfc.trained.tally import Tally

    tally, code = Tally(), 0
    outputs: list[Output] = []
    if options.json:
        outputs.append(Json(sys.stdout, from_here(run.path), model.classes, tally))
    elif options.csv is None:
        outputs.append(Lines(sys.stdout, model.classes, [image.path for image in images]))

    def write(table: BinaryIO | None) -> None:
        nonlocal code
        if table is not None:
            shown = options.csv == "-" and sys.stdout.isatty()
            outputs.append(Csv(table, model.classes, options.top, shown))
        code = _predict(options, model, images, maps, outputs, tally, interruption)

    if options.csv is None:
        write(None)
    elif options.csv == "-":
        write(sys.stdout.buffer)
    else:
        try:
            atomic_write(Path(options.csv).expanduser(), write)
        except BrokenPipeError:  # of standard output: what reads the JSON has left
            raise
        except OSError as error:
            raise UserError(f"--csv {options.csv} cannot be written: {error.strerror}") from error
    _report(options, _caution(run, model, images), model, tally, maps)
    return code or int(not tally.predicted)


def _predict(
    options: argparse.Namespace,
    model: "TrainedModel",
    images: "Sequence[ImageFile]",
    maps: "MapFolder | None",
    outputs: "Sequence[Output]",
    tally: "Tally",
    interruption: Interruption,
) -> int:
    """Everything, to all `outputs`; returns 0, or 129, 130 or 143 if stopped, which ends them."""
    from tqdm import tqdm

    from gapfc.trained.predict import predict

    # Lines on a terminal show by themselves how far it is.
    lines_shown = not _data_on_stdout(options) and options.csv is None and sys.stdout.isatty()
    code = 0
    for output in outputs:
        output.begin()
    with tqdm(
        total=len(images),
        disable=lines_shown or not sys.stderr.isatty(),
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
        unit="image",
    ) as bar:
        try:
            for batch in predict(model, images, options.top, maps is not None, interruption.check):
                for seen in batch:
                    _show(seen, model, maps, outputs, tally)
                bar.update(len(batch))
        except Interrupted as stop:
            code = stop.exit_code
            done, of = tally.predicted + tally.skipped, plural(len(images), "image")
            _tell(f"{stop}, after {done:,} of {of}")
    for output in outputs:
        output.end()
    return code


def _show(
    seen: "Prediction | Skipped",
    model: "TrainedModel",
    maps: "MapFolder | None",
    outputs: "Sequence[Output]",
    tally: "Tally",
) -> None:
    from gapfc.data.files import reason
    from gapfc.data.photo import UNREADABLE
    from gapfc.trained.predict import Skipped

    tally.add(seen)
    for output in outputs:
        output.add(seen)
    if isinstance(seen, Skipped):
        _tell(f"Skipped {seen.image.path}: {seen.reason}")
    elif maps is not None and seen.top:
        try:
            maps.write(seen, model.inputs)
        except UserError:
            raise
        except UNREADABLE as error:  # changed since it was predicted
            _tell(f"No map of {seen.image.path}: {reason(error)}")


def _caution(run: "Run", model: "TrainedModel", images: "Sequence[ImageFile]") -> str | None:
    """What to say behind an accuracy that tells little, as the images are the run's own."""
    from gapfc.trained.own_images import trained_on

    labelled = (image.path for image in images if image.label is not None)
    if not trained_on(run.config, model.classes, labelled):
        return None
    said = "These include images that it was trained on"
    if run.accuracy is None:
        return said
    split, share = run.accuracy
    return f"{said}: its {split} accuracy is {share:.1%}"


def _report(
    options: argparse.Namespace,
    caution: str | None,
    model: "TrainedModel",
    tally: "Tally",
    maps: "MapFolder | None",
) -> None:
    said = tally.lines(model.classes, caution)
    if options.csv not in (None, "-"):
        said.append(f"Wrote {options.csv}: {plural(tally.predicted, 'row')}")
    if maps is not None:
        said.append(f"Wrote {plural(maps.written, 'map')} to {maps.path}")
    out = sys.stderr if _data_on_stdout(options) else sys.stdout
    if said and not _data_on_stdout(options) and options.csv is None:
        print(file=out)
    for line in said:
        print(printable(line, 1000), file=out)


def _tell(line: str) -> None:
    """A line on standard error, above the bar."""
    from tqdm import tqdm

    sys.stdout.flush()
    tqdm.write(printable_lines(line), file=sys.stderr)

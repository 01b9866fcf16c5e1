"""`gapfc predict`: what a trained model sees in images."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gapfc.cli.chosen_run import chosen_run
from gapfc.errors import UserError
from gapfc.formatting import from_here, plural, printable, printable_lines
from gapfc.records.atomic import atomic_write
from gapfc.system.allocator import keep_freed_memory
from gapfc.system.interruption import Interrupted, Interruption
from gapfc.validators import one_of, whole

if TYPE_CHECKING:
    from gapfc.trained.images import ImageFile
    from gapfc.trained.map_folder import MapFolder
    from gapfc.trained.model import TrainedModel
    from gapfc.trained.output import Output, Tally
    from gapfc.trained.predict import Prediction, Skipped

DESCRIPTION = """\
Says which class the model of a run sees in each image, and how sure it is: a line per image. The
run directory is all that is needed. Images are resized as the run's own test images were.

Folders are read as dataset=folder reads them. Where their subfolders have the names of classes,
the accuracy is told as well. A file that cannot be read is named and skipped.
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


@dataclass(frozen=True)
class Asked:
    """What was typed, checked as far as it can be without torch."""

    run: str
    images: tuple[str, ...]
    device: str
    trust: bool
    config_dir: str | None
    top: int
    json: bool
    csv: str | None
    cam: str | None

    @property
    def data_on_stdout(self) -> bool:
        """Whether standard output is for programs."""
        return self.json or self.csv == "-"


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc predict`."""
    made = argparse.ArgumentParser(
        prog="gapfc predict",
        usage="gapfc predict RUN IMAGE_OR_FOLDER… [--top N] [--json] [--csv FILE] [--cam FOLDER]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    asked = _asked(parser().parse_intermixed_args(argv))

    # Imported here, since torch takes a second: a misspelt option is reported before that.
    from gapfc.engine.device import choose_device
    from gapfc.settings.trust import Vouched
    from gapfc.trained.images import find_images
    from gapfc.trained.load import load_run
    from gapfc.trained.predict import check_has_maps

    if asked.csv is not None and asked.csv != "-":
        _check_table(Path(asked.csv).expanduser(), asked.images)
    device = choose_device(asked.device)
    run = chosen_run(asked.run)
    vouched = replace(Vouched.in_python(asked.trust, asked.config_dir), how=Vouched.how)
    keep_freed_memory()
    model = load_run(run, vouched, device)
    images = find_images(asked.images, model.classes)
    maps = None
    if asked.cam is not None:
        from gapfc.trained.map_folder import MapFolder

        check_has_maps(model)
        maps = MapFolder(asked.cam)
    with Interruption() as interruption:
        return _carry_out(
            replace(asked, run=from_here(run.path)), model, images, maps, interruption
        )


def _asked(options: argparse.Namespace) -> Asked:
    settings = {"trust": "false", "trainer.device": "auto"}
    words = []
    for word in options.words:
        key, equals, value = word.partition("=")
        if equals and key in settings and not Path(word).exists():
            settings[key] = value
        elif equals and not Path(word).exists():
            raise UserError(
                f"{word}: there is no such file, and the settings of gapfc predict are "
                f"{' and '.join(settings)}"
            )
        else:
            words.append(word)
    if len(words) < 2:
        raise UserError("gapfc predict takes a run, then images or folders of them")
    whole("--top", options.top, 1)
    if options.json and options.csv == "-":
        raise UserError("--json and --csv - both print to standard output: give one of them")
    return Asked(
        run=words[0],
        images=tuple(words[1:]),
        device=one_of("trainer.device", settings["trainer.device"], ("auto", "cpu", "cuda")),
        trust=one_of("trust", settings["trust"], ("true", "false")) == "true",
        config_dir=options.config_dir,
        top=options.top,
        json=options.json,
        csv=options.csv,
        cam=options.cam,
    )


def _check_table(path: Path, images: Sequence[str]) -> None:
    """UserError if the table would be written over something else, or cannot be written."""
    from gapfc.data.sources.folder import EXTENSIONS
    from gapfc.records.run_directory import check_not_of_run

    check_not_of_run(path)
    given = {Path(image).expanduser().resolve() for image in images}
    if path.name.lower().endswith(EXTENSIONS) or path.resolve() in given - {Path.cwd()}:
        raise UserError(f"--csv {path}: that is the name of an image; give one such as photos.csv")
    if path.is_dir() or not path.parent.is_dir():
        kind = "is a folder" if path.is_dir() else "is in no folder that exists"
        raise UserError(f"--csv {path} {kind}: give the name of a file")


def _carry_out(
    asked: Asked,
    model: "TrainedModel",
    images: "Sequence[ImageFile]",
    maps: "MapFolder | None",
    interruption: Interruption,
) -> int:
    from gapfc.trained.output import Csv, Json, Lines, Tally

    outputs: list[Output] = []
    if asked.json:
        outputs.append(Json(sys.stdout, asked.run, model.classes))
    elif asked.csv is None:
        outputs.append(Lines(sys.stdout, model.classes, [image.path for image in images]))
    tally, table = Tally(), asked.csv
    if table is None:
        code = _predict(asked, model, images, maps, outputs, tally, interruption)
    elif table == "-":
        shown = sys.stdout.isatty()
        outputs.append(Csv(sys.stdout.buffer, model.classes, asked.top, shown))
        code = _predict(asked, model, images, maps, outputs, tally, interruption)
    else:
        codes = []

        def write(file: BinaryIO) -> None:
            rows = Csv(file, model.classes, asked.top)
            every = [*outputs, rows]
            codes.append(_predict(asked, model, images, maps, every, tally, interruption))

        try:
            atomic_write(Path(table).expanduser(), write)
        except BrokenPipeError:  # of standard output: what reads the JSON has left
            raise
        except OSError as error:
            raise UserError(f"--csv {table} cannot be written: {error.strerror}") from error
        (code,) = codes
    _report(asked, model, tally, maps)
    return code or int(not tally.predicted)


def _predict(
    asked: Asked,
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
    lines_shown = not asked.data_on_stdout and asked.csv is None and sys.stdout.isatty()
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
            for batch in predict(model, images, asked.top, maps is not None, interruption.check):
                for seen in batch:
                    _show(seen, model, maps, outputs, tally)
                bar.update(len(batch))
        except Interrupted as stop:
            code = stop.exit_code
            done, of = tally.predicted + tally.skipped, plural(len(images), "image")
            _tell(f"{stop}, after {done:,} of {of}")
    for output in outputs:
        output.end(tally)
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


def _report(asked: Asked, model: "TrainedModel", tally: "Tally", maps: "MapFolder | None") -> None:
    said = tally.lines(model.classes)
    if asked.csv not in (None, "-"):
        said.append(f"Wrote {asked.csv}: {plural(tally.predicted, 'row')}")
    if maps is not None:
        said.append(f"Wrote {plural(maps.written, 'map')} to {maps.path}")
    out = sys.stderr if asked.data_on_stdout else sys.stdout
    if said and not asked.data_on_stdout and asked.csv is None:
        print(file=out)
    for line in said:
        print(printable(line, 1000), file=out)


def _tell(line: str) -> None:
    """A line on standard error, above the bar."""
    from tqdm import tqdm

    sys.stdout.flush()
    tqdm.write(printable_lines(line), file=sys.stderr)

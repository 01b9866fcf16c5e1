"""`gapfc evaluate`: what trained models make of images that were moved, resized or corrupted."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gapfc.cli.options import Options, paths_and_settings
from gapfc.errors import UserError
from gapfc.formatting import from_here, listed, plural, printable_lines
from gapfc.records.identity import MACHINE
from gapfc.settings.arguments import check_arguments
from gapfc.settings.compose import Composer, CompositionError, without_hydra
from gapfc.settings.explain import explain
from gapfc.system.allocator import keep_freed_memory
from gapfc.system.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from gapfc.evaluation.evaluate import Evaluated
    from gapfc.evaluation.other_images import OtherImages
    from gapfc.records.probes import Probes

CONFIG = "train"  # the settings that it takes are some of these
CHANGEABLE = ("data_root", *MACHINE)

DESCRIPTION = """\
Measures trained models again, on their test images. Numbers go to probes.json and, image by image,
to probes.npz in each run directory, and to its TensorBoard events; results.json stays as it is.
What is there already is not measured again.
"""
EXAMPLES = """\
probes:
  shift        is the same seen when the image is moved by some pixels
  size         is the same seen in smaller and larger images
  corruption   is the same seen in noisy, blurred, pale, bright and coarse images
  calibration  is the model as sure as it is right; what a temperature mends
  cam          does the evidence for a class lie in the object (images with boxes)
  position     does what the head pools still tell where the object is (images with boxes)

settings (key=value):
  dataset=NAME           measure on the test images of another data set with the same classes
  data_root=DIR          where data sets are, if not where the runs found them
  trainer.device=cpu     auto | cpu | cuda
  trainer.eval_batch_size=64
  trust=true             build classes that a run names even if gapfc does not know them

examples:
  gapfc evaluate outputs
  gapfc evaluate outputs/train/digits --probe shift,size
  gapfc evaluate outputs --data photos/next_year
  gapfc evaluate outputs/train/mnist dataset=kmnist
"""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc evaluate`."""
    usage = "gapfc evaluate RUN… [--probe a,b] [--data FOLDER | dataset=NAME] [key=value …]"
    made = Options("evaluate", DESCRIPTION, EXAMPLES, usage)
    made.add_argument(
        "words", nargs="+", metavar="RUN", help="run directories, or folders of them; settings"
    )
    made.add_argument("--probe", metavar="NAMES", help="default: shift,size,corruption,calibration")
    made.add_argument(
        "--data", metavar="FOLDER", help="other images: a folder with one folder for each class"
    )
    made.add_argument("--again", action="store_true", help="measure also what is already there")
    made.add_argument("--config-dir", metavar="DIR", help="with the classes that the runs use")
    return made


def main(argv: list[str]) -> int:
    """Measure, write and print.

    Returns 0; 1 if something asked for is missing in the end; 129, 130 or 143 if stopped.
    Raises UserError for anything that is wrong before the first run.
    """
    options = parser().parse_intermixed_args(argv)
    paths, settings = paths_and_settings(options.words)
    if not paths:
        raise UserError("gapfc evaluate takes run directories, or folders of them: outputs")
    config = _compose(settings, options.config_dir)

    # Imported here, since torch takes a second: a misspelt setting is reported before that.
    from gapfc.evaluation.evaluate import evaluate_runs
    from gapfc.probes.registry import USUAL, known
    from gapfc.settings.trust import Vouched

    asked = USUAL if options.probe is None else options.probe.split(",")
    probes = known(asked, f"--probe {options.probe}")
    keep_freed_memory()
    bar = sys.stderr.isatty()
    interruption = Interruption()
    try:
        with interruption:
            other = _other_images(options.data, settings, config)
            typed = {word.partition("=")[0] for word in settings} & set(CHANGEABLE)
            changes = {key: OmegaConf.select(config, key) for key in {*typed, "trainer.device"}}
            done = evaluate_runs(
                paths,
                probes,
                Vouched.by(config),
                changes=changes,
                other=other,
                again=options.again,
                progress=bar,
                check=interruption.check,
                tell=_nothing if bar else _print,
            )
    except Interrupted as stop:
        print(f"{stop}: what was measured until now is kept, and the same command goes on.")
        return stop.exit_code
    _show(done, paths, other, problems=bar)
    return int(any(one.problems for one in done))


def _compose(settings: Sequence[str], config_dir: str | None) -> DictConfig:
    """The settings typed, checked, among all that `gapfc train` takes."""
    for word in settings:
        key = word.partition("=")[0]
        if key not in ("trust", "dataset", *CHANGEABLE) and not key.startswith("dataset."):
            raise UserError(
                f"{word}: a run is measured as it was trained; gapfc evaluate takes "
                f"{', '.join(('dataset', *CHANGEABLE, 'trust'))}"
            )
        if key.startswith("dataset.") and key not in CHANGEABLE and not _dataset(settings):
            raise UserError(f"{word} is of another data set: say which one, dataset=NAME")
    arguments = [*settings, *(["--config-dir", config_dir] if config_dir else [])]
    try:
        if arguments:
            check_arguments("evaluate", CONFIG, arguments)
        loaded = Composer(arguments).load(CONFIG, run_mode=RunMode.RUN)
    except CompositionError as error:
        raise UserError(explain(error, "evaluate", CONFIG, arguments)) from error
    HydraConfig.instance().set_config(loaded)  # as Hydra does: it says where the configs are from
    return without_hydra(loaded)


def _dataset(settings: Sequence[str]) -> bool:
    return any(word.startswith("dataset=") for word in settings)


def _other_images(
    folder: str | None, settings: Sequence[str], config: DictConfig
) -> "OtherImages | None":
    from gapfc.evaluation.other_images import read_dataset, read_folder

    if folder is not None and _dataset(settings):
        raise UserError("--data and dataset= both say which images: give one of them")
    if folder is not None:
        return read_folder(folder)
    return read_dataset(config) if _dataset(settings) else None


def _show(
    done: "Sequence[Evaluated]",
    paths: Sequence[str],
    other: "OtherImages | None",
    problems: bool,
) -> None:
    from gapfc.evaluation.table import an_eighth, table

    if problems:
        for one in done:
            for problem in one.problems:
                _print(f"{from_here(one.run.path)}: {problem}")
    found = [one for one in done if one.probes is not None]
    if not found:
        return
    there = sum(not one.measured for one in found)
    of = f" of {other.name}" if other is not None else ""
    on = listed(sorted({f"{_images(one.probes)}{of}" for one in found if one.probes is not None}))
    said = f"{plural(len(found), 'run')}, on {on}"
    print(f"\n{said}{f', {there} already measured (--again: anew)' if there else ''}\n")
    print(f"{table(found)}\n")
    shift = an_eighth(found[0].probes.values) if found[0].probes else None
    if other is not None:
        print(f"In each run directory: probes-{other.name}.json")
    elif shift is not None:
        print(f"gapfc compare {shlex.join(paths)} --metric probe.shift.zero.{shift}.drop")
    else:
        print("In each run directory: probes.json")


def _images(probes: "Probes") -> str:
    """Which were looked at; those for validation may have chosen the weights."""
    split = {"val": "validation"}.get(str(probes.data.get("split")), "test")
    return f"{len(probes.index):,} {split} images"


def _print(line: str) -> None:
    print(printable_lines(line), flush=True)


def _nothing(line: str) -> None:
    pass

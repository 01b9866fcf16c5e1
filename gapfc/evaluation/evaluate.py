"""Probes of trained models: the runs are found, measured, and what is found is put beside them.

Shift and size of 15 runs of digits (5 heads, 3 seeds, backbone.widths=[16,32,64,128], 359 test
images, some 45 passes over them for each run) took 51 s of CPU time in one thread of an AMD EPYC
that others used too (n = 1), nine tenths of them in forward passes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gapfc.errors import UserError
from gapfc.evaluation.loaded import DataSets, Loaded, data_key, load
from gapfc.evaluation.other_images import OtherImages
from gapfc.formatting import from_here
from gapfc.probes.images import Images
from gapfc.probes.measure import Begin, measure, merged
from gapfc.probes.subject import Subject
from gapfc.records.faults import disk_fault
from gapfc.records.predictions import PREDICTIONS, read_predictions
from gapfc.records.probes import CLEAN, STEM, Probes, read_probes, write_probes
from gapfc.records.run import Run, find_runs, read_run
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.trust import Vouched
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.probes import log_probes
from gapfc.trained.network import check_complete

# How many predictions rounding on another device may move: this share, or this many.
MOST_OFF, MOST_IMAGES_OFF = 0.01, 3

Show = Callable[[str, int], None]


@dataclass(frozen=True)
class Evaluated:
    """What came of one run.

    Attributes:
        probes: all that is known of it now; None if nothing could be measured.
        measured: the probes that were carried out now; the others were already there.
        problems: why what was asked for is not there, in one line or two each.
    """

    run: Run
    probes: Probes | None = None
    measured: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def runs_below(paths: Sequence[str | Path]) -> list[Run]:
    """Every run at or below `paths`, once; those of one data set together.

    Raises UserError for a path that does not exist, or has no run.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        root = Path(path).expanduser()
        if not root.is_dir():
            raise UserError(f"{root} is not a directory: give run directories, or folders of them")
        runs = [run.resolve() for run in find_runs(root)]
        if not runs:
            raise UserError(f"there is no run below {root}")
        for run in runs:
            if run not in found:
                found[run] = read_run(run)
    return sorted(found.values(), key=lambda run: data_key(run.config))


def evaluate_runs(
    paths: Sequence[str | Path],
    probes: Sequence[str],
    vouched: Vouched,
    *,
    changes: Mapping[str, Any] | None = None,
    other: OtherImages | None = None,
    again: bool = False,
    progress: bool = False,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Evaluated]:
    """Measure every run at or below `paths`; what it has of `probes` already is not measured again.

    A run whose files are not complete or not sound is passed over, with its `problems`. Findings
    are written run by run: whoever stops this keeps those of the runs that are done.

    Args:
        paths: run directories, or folders of them.
        probes: names in `gapfc.probes.registry`.
        vouched: what the configs of the runs may name beyond gapfc's own classes.
        changes: settings by dotted key that this machine wants otherwise, such as data_root.
        other: images to measure on in place of the runs' own test images.
        again: measure also what is there.
        progress: show a bar.
        check: called after each batch, and may raise to stop there.
        tell: is given a line after each run.

    Raises:
        UserError: for a path without a run.
    """
    runs = runs_below(paths)
    evaluation = _Evaluation(tuple(probes), vouched, changes or {}, other, again, check)
    done = []
    with _bar(len(runs) * len(probes), progress) as show:
        for count, run in enumerate(runs, 1):
            label, before = f"{_label(run)} [{count} of {len(runs)}]", (count - 1) * len(probes)
            show(label, before)
            done.append(evaluation.of(run, partial(_begin, show, label, before)))
            tell(f"[{count} of {len(runs)}] {from_here(run.path)}: {_said(done[-1])}")
    return done


class _Evaluation:
    """What the runs have in common: what is asked, and the images that they share."""

    def __init__(
        self,
        names: tuple[str, ...],
        vouched: Vouched,
        changes: Mapping[str, Any],
        other: OtherImages | None,
        again: bool,
        check: Callable[[], None],
    ) -> None:
        self._names, self._vouched, self._changes = names, vouched, changes
        self._other, self._again, self._check = other, again, check
        self._data = DataSets()
        self._images: tuple[object, Images] | None = None
        self._stem = STEM if other is None else f"{STEM}-{other.name}"

    def of(self, run: Run, begin: Begin) -> Evaluated:
        try:
            check_complete(run)
            if not self._missing(run):
                return Evaluated(run, read_probes(run.path, self._stem))
            # Owned: no one else trains or measures it meanwhile.
            directory = RunDirectory.resume(run.path)
            try:
                return self._measure(run, begin)
            finally:
                directory.close()
        except UserError as error:
            return Evaluated(run, problems=(str(error),))
        except OSError as error:
            if disk_fault(error, run.path, run.command) is None:
                raise
            where = error.filename or run.path
            return Evaluated(run, problems=(f"{where} cannot be written: {error.strerror}",))

    def _missing(self, run: Run) -> list[str]:
        if self._again:
            return list(self._names)
        there = self._there(run)
        return [name for name in self._names if there is None or name not in there.values]

    def _there(self, run: Run) -> Probes | None:
        try:
            return read_probes(run.path, self._stem)
        except (OSError, ValueError):
            return None  # none yet, or damaged: to be measured anew

    def _measure(self, run: Run, begin: Begin) -> Evaluated:
        names = self._missing(run)  # another process may have been at it until now
        trained = load(run, self._vouched, self._changes, self._data, self._check)
        subject = self._subject(trained)
        found, problems = measure(subject, names, subject.loader.dataset.name, begin)
        told = tuple(problems.values())
        measured = tuple(name for name in names if name not in problems)
        if not measured:
            return Evaluated(run, self._there(run), problems=told)
        if self._other is not None:
            found.data["split"] = self._other.split
        elif trained.loader.settings.image_size is not None:  # else tested at many sizes
            _check_same_images(run, found)
        probes = merged(self._there(run), found)
        write_probes(run.path, probes, self._stem)
        log = TensorBoardLog(run.path)
        try:
            under = "probe" if self._other is None else f"probe/{self._other.name}"
            log_probes(log, found.values, int(run.results.get("steps") or 0), under)
        finally:
            log.close()
        return Evaluated(run, probes, measured, told)

    def _subject(self, trained: Loaded) -> Subject:
        loader = trained.loader
        if self._other is not None:
            loader = loader.over(self._other.as_test_images_of(trained.dataset))
        dataset = loader.dataset
        split = "val" if dataset.test is None else "test"
        size = trained.input_size
        key = (data_key(trained.run.config), dataset.classes, split, size)
        if self._images is None or self._images[0] != key:
            self._images = None  # before the next are read: there may be no room for both
            self._images = (key, Images(loader, split, size))
        return Subject(
            trained.model,
            trained.untrained,
            loader,
            split,
            self._images[1],
            size,
            trained.precision,
            trained.device,
            trained.config.seed,
            self._check,
        )


def _check_same_images(run: Run, found: Probes) -> None:
    """UserError if the model does not see what predictions.npz says it saw, beyond rounding."""
    try:
        then = read_predictions(run.path)
    except (OSError, ValueError):
        return  # none, or damaged: nothing to hold against
    if sorted(then.index.tolist()) != sorted(found.index.tolist()):
        raise UserError("its test images are no longer those that it was tested on")
    order, other = then.index.argsort(), found.index.argsort()
    changed = int((then.right[order] != found.yes[CLEAN][0][other]).sum())
    if changed > max(MOST_OFF * len(then), MOST_IMAGES_OFF):
        raise UserError(
            f"of its {len(then)} test images {changed} are right or wrong otherwise than "
            f"{PREDICTIONS} says: images or weights have been changed since"
        )


def _begin(show: Show, label: str, before: int, probe: str, number: int) -> None:
    show(f"{label}: {probe}", before + number)


def _label(run: Run) -> str:
    try:
        return f"{run.name('head')} s{run.seed}"
    except (KeyError, TypeError, ValueError):
        return run.path.name


def _said(done: Evaluated) -> str:
    if done.problems:
        return "; ".join(done.problems)
    return f"measured {', '.join(done.measured)}" if done.measured else "already there"


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Show]:
    """A progress bar; what is given shows a text, and moves it to where so much is done."""
    with tqdm(
        total=total,
        disable=not shown,
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left",
    ) as bar:

        def step(text: str, done: int) -> None:
            bar.set_description_str(text, refresh=False)
            bar.update(done - bar.n)
            bar.refresh()

        yield step

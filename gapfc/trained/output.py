"""Predictions as they come: lines to read, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO, Protocol, TextIO

from gapfc.formatting import NOTHING, no_formula, printable
from gapfc.records.inputs import spelled
from gapfc.trained.predict import Prediction, Skipped
from gapfc.trained.tally import CONFIDENCE, Tally

WIDEST = 48  # characters of a column of paths; longer ones take the room they need


class Output(Protocol):
    """Where predictions go, one by one."""

    def begin(self) -> None:
        """Before the first."""

    def add(self, seen: Prediction | Skipped) -> None:
        """One more."""

    def end(self) -> None:
        """After the last, or the last before an interruption."""


class Lines:
    """A line for each image. paths: of all of them, for the width of their column."""

    def __init__(self, out: TextIO, classes: Sequence[str], paths: Sequence[str]) -> None:
        self._out = out
        self._classes = [printable(name, 40) for name in classes]
        self._path = min(WIDEST, max(len(printable(path)) for path in paths))
        self._class = min(24, max(map(len, self._classes)))

    def begin(self) -> None:
        """Nothing: there is no header."""

    def add(self, seen: Prediction | Skipped) -> None:
        """Path, class, probability, and the next ones."""
        if isinstance(seen, Skipped):
            return
        cells = [
            f"{self._classes[number]:<{self._class}} {probability:6.1%}"
            for number, probability in seen.top
        ] or [NOTHING]
        print(f"{printable(seen.image.path):<{self._path}}  {'   '.join(cells)}", file=self._out)

    def end(self) -> None:
        """Show what is not shown yet."""
        self._out.flush()


class Json:
    """One JSON object, written piece by piece, in ASCII. tally: of what is added."""

    def __init__(self, out: TextIO, run: str, classes: Sequence[str], tally: Tally) -> None:
        self._out, self._run, self._classes = out, run, list(classes)
        self._tally = tally
        self._skipped: list[dict[str, str]] = []
        self._between = "\n  "

    def begin(self) -> None:
        """The run and its classes."""
        classes = json.dumps([spelled(name) for name in self._classes])
        run = json.dumps(spelled(self._run))
        self._out.write(f'{{"run": {run},\n "classes": {classes},\n "images": [')

    def add(self, seen: Prediction | Skipped) -> None:
        """An object for an image; what was skipped comes at the end."""
        path = spelled(seen.image.path)
        if isinstance(seen, Skipped):
            self._skipped.append({"path": path, "reason": spelled(seen.reason)})
            return
        top = [{"class": self._name(n), "probability": p} for n, p in seen.top]
        label = None if seen.image.label is None else self._name(seen.image.label)
        first = top[0] if top else {"class": None, "probability": None}
        record = {"path": path, **first, "top": top, "label": label}
        self._out.write(f"{self._between}{json.dumps(record, allow_nan=False)}")
        self._between = ",\n  "

    def end(self) -> None:
        """What was skipped, and the accuracy."""
        accuracy, tally = None, self._tally
        if tally.interval is not None:
            accuracy = {
                "value": tally.accuracy,
                "images": tally.labelled,
                "low": tally.interval[0],
                "high": tally.interval[1],
                "confidence": CONFIDENCE,
            }
        skipped = json.dumps(self._skipped)
        self._out.write(f'],\n "skipped": {skipped},\n "accuracy": {json.dumps(accuracy)}}}\n')
        self._out.flush()

    def _name(self, number: int) -> str:
        return spelled(self._classes[number])


class Csv:
    """A row for each image, UTF-8.

    top: classes in a row. shown: on a terminal, which names must not control; to programs they
    are told as they are.
    """

    def __init__(
        self, out: BinaryIO, classes: Sequence[str], top: int, shown: bool = False
    ) -> None:
        self._out = out
        self._classes = classes
        self._top = min(top, len(classes))
        self._spelled = partial(printable, longest=10**5) if shown else spelled

    def begin(self) -> None:
        """The names of the columns."""
        further = [
            f"{name}_{n}" for n in range(2, self._top + 1) for name in ("class", "probability")
        ]
        self._row(["path", "class", "probability", *further, "label"])

    def add(self, seen: Prediction | Skipped) -> None:
        """A row; none for what was skipped."""
        if isinstance(seen, Skipped):
            return
        cells: list[object] = [seen.image.path]
        for number, probability in seen.top:
            cells += [self._classes[number], probability]
        cells += [""] * (2 * (self._top - len(seen.top)))
        label = seen.image.label
        self._row([*cells, "" if label is None else self._classes[label]])

    def end(self) -> None:
        """Show what is not shown yet."""
        self._out.flush()

    def _row(self, cells: Sequence[object]) -> None:
        line = io.StringIO()
        safe = [
            no_formula(self._spelled(cell) if isinstance(cell, str) else cell) for cell in cells
        ]
        csv.writer(line, lineterminator="\n").writerow(safe)
        self._out.write(line.getvalue().encode())

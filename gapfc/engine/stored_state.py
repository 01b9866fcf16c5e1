"""What a checkpoint says, checked entry by entry before any of it is loaded.

All raise UserError, which names the entry, what was expected and what was found.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from gapfc.engine.trial import trial_step
from gapfc.errors import UserError
from gapfc.records.metrics_csv import COLUMNS, LARGEST_WHOLE
from gapfc.validators import is_number, is_whole

# What results.json is computed from.
NEEDED = ("epoch", "step", "seconds", "val_accuracy")


def check_like(entry: str, value: Any, ours: Any) -> None:
    """`value` has the structure of `ours`: names, shapes, types; numbers are finite."""
    if isinstance(ours, Tensor):
        if not isinstance(value, Tensor) or _form(value) != _form(ours):
            refuse_entry(entry, f"to be {_form(ours)}", value)
    elif isinstance(ours, Mapping):
        check_names(entry, value, ours)
        for name, item in ours.items():
            check_like(f"{entry}.{name}", value[name], item)
    elif is_whole(ours):
        _check_whole(entry, value)
    elif is_number(ours):
        if not is_number(value):
            refuse_entry(entry, "to be a finite number", value)
    elif value != ours:
        refuse_entry(entry, f"to be {ours!r}", value)


def check_names(entry: str, value: Any, names: Mapping[Any, Any]) -> None:
    """`value` is a mapping with exactly these `names`."""
    if not isinstance(value, Mapping):
        refuse_entry(entry, "to be a mapping", value)
    for name in names:
        if name not in value:
            refuse_entry(f"{entry}.{name}", "to be there", "nothing")
    for name in value:
        if name not in names:
            refuse_entry(f"{entry}.{str(name)[:60]}", "not to be there", value[name])


def check_optimizer(value: Any, optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """`value` is the state of such an optimizer, over parameters of the same shapes.

    Returns the names of the groups' entries that training changes: the others are settings.
    """
    groups = optimizer.state_dict()["param_groups"]
    names, counts = trial_step(optimizer)
    check_names("optimizer", value, {"state": None, "param_groups": None})
    stored = value["param_groups"]
    if not isinstance(stored, list) or len(stored) != len(groups):
        refuse_entry("optimizer.param_groups", f"to be a list of {len(groups)}", stored)
    for index, (theirs, group) in enumerate(zip(stored, groups, strict=True)):
        entry = f"optimizer.param_groups.{index}"
        if not isinstance(theirs, Mapping) or theirs.get("params") != group["params"]:
            refuse_entry(entry, f"to have params {str(group['params'])[:40]}", theirs)
        if not is_number(theirs.get("lr")) or theirs["lr"] < 0:
            refuse_entry(f"{entry}.lr", "to be a number of at least 0", theirs.get("lr"))
        for name, ours in counts.items():
            _check_count(f"{entry}.{name}", theirs.get(name), ours)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not isinstance(value["state"], Mapping):
        refuse_entry("optimizer.state", "to be a mapping", value["state"])
    for index, held in value["state"].items():
        entry = f"optimizer.state.{str(index)[:60]}"
        if not is_whole(index) or not 0 <= index < len(parameters):
            refuse_entry(entry, f"to be of one of {len(parameters)} parameters", held)
        check_names(entry, held, names[index])
        for name, ours in names[index].items():
            _check_held(f"{entry}.{name}", held[name], ours, parameters[index])
    return ("lr", *counts)


def check_progress(value: Any, ours: Mapping[str, Any], steps: int | None) -> None:
    """`value` are the fields of a `Progress`; steps: batches in an epoch."""
    check_names("progress", value, ours)
    for name in ("epoch", "batch", "step", "images", "best_epoch"):
        _check_whole(f"progress.{name}", value[name])
    if steps is not None and value["batch"] > steps:
        refuse_entry("progress.batch", f"to be at most the {steps} of an epoch", value["batch"])
    if not is_number(value["seconds"]) or value["seconds"] < 0:
        refuse_entry("progress.seconds", "to be a number of at least 0", value["seconds"])
    epoch, best = value["epoch"], value["best_epoch"]
    if best > epoch:
        refuse_entry("progress.best_epoch", f"to be at most the {epoch} done", best)
    for name in ("best_accuracy", "best_loss"):
        # Not finite is possible: the loss of a model that is all but lost.
        if not isinstance(value[name], float if best else type(None)):
            takes = "a number" if best else "None before an epoch is done"
            refuse_entry(f"progress.{name}", f"to be {takes}", value[name])
    history = value["history"]
    if not isinstance(history, list) or len(history) != epoch:
        found = f"{len(history)} rows" if isinstance(history, list) else history
        refuse_entry("progress.history", f"to have a row for each of {epoch} epochs", found)
    for index, row in enumerate(history):
        _check_row(f"progress.history.{index}", row, index + 1)
    sums = value["sums"]
    if not isinstance(sums, Mapping):
        refuse_entry("progress.sums", "to be a mapping", sums)
    for name, pair in sums.items():
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_real, pair)):
            refuse_entry(f"progress.sums.{str(name)[:60]}", "to be a sum and a count", pair)


def refuse_entry(entry: str, expected: str, found: Any) -> NoReturn:
    """Say that `entry` was `expected` to be something else than `found`."""
    said = _form(found) if isinstance(found, Tensor) else str(found)[:60]
    raise UserError(
        f"The checkpoint does not belong to this run, or is damaged: {entry} was expected "
        f"{expected}; it holds {said}"
    )


def _check_count(entry: str, value: Any, ours: bool | int | float) -> None:
    """A number or a flag that an optimiser keeps in a group."""
    if isinstance(ours, bool):
        if not isinstance(value, bool):
            refuse_entry(entry, "to be true or false", value)
    else:
        check_like(entry, value, ours)


def _check_held(entry: str, value: Any, ours: Any, parameter: Tensor) -> None:
    """A part of the state of `parameter`; ours: of a parameter of one number."""
    if not isinstance(ours, Tensor):
        return check_like(entry, value, ours)
    # Adafactor remembers rows and columns; a count has no dimension.
    if not isinstance(value, Tensor) or value.dtype != ours.dtype or value.ndim != ours.ndim:
        refuse_entry(entry, f"to be {_type(ours)} of {ours.ndim} dimensions", value)
    if any(n not in (1, size) for n, size in zip(value.shape, parameter.shape, strict=False)):
        refuse_entry(entry, f"to fit {_form(parameter)}", value)
    return None


def _check_row(entry: str, row: Any, epoch: int) -> None:
    if not isinstance(row, Mapping):
        refuse_entry(entry, "to be a row of metrics.csv", row)
    for name, cell in row.items():
        if name not in COLUMNS:
            refuse_entry(f"{entry}.{str(name)[:60]}", "to be a column of metrics.csv", cell)
        if cell is not None and not _is_real(cell):
            refuse_entry(f"{entry}.{name}", "to be a number", cell)
    for name in NEEDED:
        if not _is_real(row.get(name)):
            refuse_entry(f"{entry}.{name}", "to be a number", row.get(name))
    if row["epoch"] != epoch:
        refuse_entry(f"{entry}.epoch", f"to be {epoch}", row["epoch"])
    _check_whole(f"{entry}.epoch", row["epoch"])
    _check_whole(f"{entry}.step", row["step"])


def _check_whole(entry: str, value: Any) -> None:
    if not is_whole(value) or not 0 <= value <= LARGEST_WHOLE:
        refuse_entry(entry, "to be a whole number of at least 0", value)


def _is_real(value: object) -> bool:
    """Whether it is an int or a float, also one that is not finite."""
    return isinstance(value, float) or (is_whole(value) and abs(value) <= LARGEST_WHOLE)


def _form(tensor: Tensor) -> str:
    """As in `float32 [3, 4]`."""
    return f"{_type(tensor)} {list(tensor.shape)}"


def _type(tensor: Tensor) -> str:
    dense = "" if tensor.layout == torch.strided else f"{tensor.layout} "
    return f"{dense}{tensor.dtype}".replace("torch.", "")

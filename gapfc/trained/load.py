"""`gapfc.load`: a trained model, from its run directory alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gapfc.engine.checkpoint import BEST
from gapfc.engine.device import choose_device
from gapfc.engine.out_of_memory import is_out_of_memory
from gapfc.errors import UserError
from gapfc.records.inputs import Inputs
from gapfc.records.results import RESULTS
from gapfc.records.run import Run, open_newest
from gapfc.settings.trust import Vouched
from gapfc.trained.model import TrainedModel
from gapfc.trained.network import admitted, check_complete, fill, read_best, untrained

# What a user does to vouch for more.
HOW = "trust=True, or config_dir= with the folder of configs it was made with"


def load(
    run: str | Path,
    *,
    device: str | torch.device = "cpu",
    trust: bool = False,
    config_dir: str | Path | None = None,
) -> TrainedModel:
    """The model of a run, with the weights that validation chose, in evaluation mode.

    No data set is needed. The global random state stays as it is.

    Args:
        run: the directory of a completed run of `gapfc train` or `transfer`, or a folder of runs:
            then the newest of them.
        device: cpu, cuda, cuda:1, …, or auto: a GPU if there is one.
        trust: build whatever classes its config names; they run as programs. Without, only
            gapfc's own are built.
        config_dir: the folder of your own configs that it was made with; the classes that these
            name are built as well.

    Raises:
        UserError: if the run is not complete, or a file of it is missing, damaged, from before
            gapfc 0.1.0 or not of this run; if its config names classes that are not vouched for.
    """
    vouched = replace(Vouched.of(trust, config_dir), how=HOW)
    return load_run(open_newest(run), vouched, _device(device))


def load_run(run: Run, vouched: Vouched, device: torch.device) -> TrainedModel:
    """As `load`, of a run that was found. vouched: what its config may name beyond gapfc's own."""
    try:
        check_complete(run)
    except UserError as error:
        raise UserError(f"{run.path}: {error}") from error
    config = admitted(run, vouched)
    best = read_best(run)
    inputs = _inputs(run, best)
    seeded = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=seeded):
            model = untrained(run, config, len(inputs.classes), inputs.size)
        fill(model, run, best)
        return TrainedModel(model.backbone, model.head, inputs).to(device)
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(f"{run.path}: there is not enough memory for its network") from error
        raise


def _inputs(run: Run, best: Mapping[str, Any]) -> Inputs:
    """What the run recorded of its classes and of what its network takes."""
    places = {run.path / RESULTS: run.results, run.checkpoints / BEST: best}
    found = []
    for place, content in places.items():
        try:
            found.append(Inputs.from_record(content))
        except ValueError as error:
            raise UserError(f"{place}: {error}") from error
    recorded, beside_weights = found
    if recorded is None:
        again = shlex.join(["gapfc", run.command, *run.overrides])
        raise UserError(
            f"{run.path} was made by an earlier gapfc, which did not record the classes of its "
            f"network and what it takes. Train it again: {again}"
        )
    # The best.pt of a run that was begun by an earlier gapfc, and resumed, may have none.
    if beside_weights is not None and beside_weights != recorded:
        raise UserError(
            f"{run.checkpoints / BEST} is of another run than {RESULTS} beside it: they differ in "
            "the classes or in what the network takes. Put the run's own file back."
        )
    return recorded


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        return choose_device("auto")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"device={device} takes auto, cpu, cuda or cuda:1") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={device}: torch sees no such device here. Take device='cpu'.")
    return found

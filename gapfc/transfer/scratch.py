"""The reference: the same target, budget and seed without a source."""

from collections.abc import Mapping, Sequence
from typing import Any

from gapfc.measure.convergence import convergence
from gapfc.records.identity import group_hash
from gapfc.records.run import Run, runs_of

SCRATCH = "scratch"
# What says where the features come from, and how they are taken.
FROM_ELSEWHERE = ("source", "protocol")


def target_hash(config: Mapping[str, Any]) -> str:
    """What runs of one target, head and budget share, whatever their protocol and source."""
    return group_hash({k: v for k, v in config.items() if k not in FROM_ELSEWHERE})


def find_scratch(config: Mapping[str, Any]) -> Run | None:
    """The newest completed scratch run of the target, head, budget and seed in `config`."""
    found = [
        run
        for run in runs_of("transfer", config, besides=FROM_ELSEWHERE)
        if run.completed and run.config.get("protocol") == SCRATCH
    ]
    return found[-1] if found else None


def against_scratch(
    scratch: Run | None,
    accuracy: float | None,
    history: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Gain in test accuracy over scratch, and when its best validation accuracy was reached.

    Args:
        scratch: of `find_scratch`.
        accuracy: of this run, on the test images.
        history: its epochs, with val_accuracy, step and seconds.

    Returns:
        fields of results.json's `transfer`, all null without a scratch run.
    """
    if scratch is None:
        return {"gain_over_scratch": None, "scratch": None, "convergence_against_scratch": None}
    results = scratch.results
    theirs = (results["test"] or {}).get("accuracy")
    best = (results["val"] or {}).get("accuracy")
    measured = [row for row in history if row["val_accuracy"] is not None]
    convergence_fields = None
    if best is not None and measured:
        steps, seconds, accuracies = (
            [row[key] for row in measured] for key in ("step", "seconds", "val_accuracy")
        )
        reached = convergence(steps, seconds, accuracies, [best])["to_accuracy"]
        convergence_fields = {
            "accuracy": best,
            **next(iter(reached.values())),
            "scratch_epochs": results["best_epoch"],
        }
    return {
        "gain_over_scratch": None if accuracy is None or theirs is None else accuracy - theirs,
        "scratch": str(scratch.path.resolve()),
        "convergence_against_scratch": convergence_fields,
    }

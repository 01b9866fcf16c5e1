"""The reference: the same target, budget and seed without a source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gapfc.measure.convergence import convergence
from gapfc.records.results import ResultsError, group_hash, read_results

SCRATCH = "scratch"


def target_hash(config: Mapping[str, Any]) -> str:
    """What runs of all protocols and sources share that have one target, head and budget."""
    return group_hash({k: v for k, v in config.items() if k not in ("source", "protocol")})


def find_scratch(output_root: str, target: str, seed: int) -> tuple[Path, dict[str, Any]] | None:
    """The newest completed scratch run of a target hash and seed, and its results."""
    found = []
    for folder in Path(output_root).expanduser().glob(f"transfer/*/*/*/*-s{seed}*"):
        try:
            results = read_results(folder)
        except ResultsError:
            continue
        transfer = results.get("transfer") or {}
        wanted = (transfer.get("protocol"), transfer.get("target"), results["seed"])
        if wanted == (SCRATCH, target, seed) and results["status"] == "completed":
            found.append((folder, results))
    return max(found, key=lambda entry: entry[0].name, default=None)


def against_scratch(
    scratch: tuple[Path, Mapping[str, Any]] | None,
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
    path, results = scratch
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
        "scratch": str(path.resolve()),
        "convergence_against_scratch": convergence_fields,
    }

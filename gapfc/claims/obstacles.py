"""Why a contrast cannot be tested with these runs, whatever its interval says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gapfc.claims.arms import SeedRuns
from gapfc.claims.claim import Contrast
from gapfc.claims.measured import Measured, errors
from gapfc.claims.rates import Rate
from gapfc.claims.verdict import OPPOSITE, SUPPORTED, UNDECIDED, Verdict
from gapfc.compare.limits import FEWEST_ERRORS
from gapfc.formatting import plural
from gapfc.records.run import Run


def diverged_runs(runs: Sequence[Run]) -> tuple[str, str]:
    """Of those, how many, and what would help; both empty if there are none."""
    lost = sum(not run.completed for run in runs)
    return (
        (f"{plural(lost, 'run')} diverged", "smaller rates would help (preset.rates)")
        if lost
        else ("", "")
    )


def obstacle_of(
    contrast: Contrast, runs: Mapping[str, SeedRuns], rates: Mapping[str, Rate]
) -> tuple[str, str]:
    """Why the contrast is not testable here, and what would help; both empty if it is."""
    both = [run for name in (contrast.of, contrast.against) for run in runs[name].values()]
    if any(m.startswith(("parameters.", "macs.")) for m in contrast.all_metrics):
        return "", ""
    if any(run.results["feature_map"][1:] == [1, 1] for run in both):
        return "the feature map is 1×1, on which every head is fc", "larger images would help"
    for name in (contrast.of, contrast.against):
        if rates[name].obstacle:
            return (
                f"{name}: {rates[name].obstacle}",
                "other rates to choose from would help (preset.rates)",
            )
    if contrast.says == "kept" or (
        contrast.says == "lower" and not any(_falls(metric) for metric in contrast.metrics)
    ):
        return "", ""  # near the ceiling there is all the more room below
    wrong = errors(contrast, list(runs[contrast.against].values()))
    if wrong is not None and wrong < FEWEST_ERRORS:
        return (
            f"near the ceiling: {contrast.against} gets only {wrong:.0f} test images wrong",
            "more test images or a harder task would help",
        )
    return "", ""


def _falls(metric: str) -> bool:
    """Whether errors are what the metric counts: there must be some to have fewer of."""
    return metric.endswith(".drop") or metric.startswith("generalization_gap.")


def despite_censoring(verdict: Verdict, contrast: Contrast, measured: Measured) -> Verdict:
    """A run that never reached the target counts with its last step, which is too few.

    That is safe only where it makes the verdict harder to reach.
    """
    ours, theirs = measured.censored_of, measured.censored_against
    if not ours and not theirs:
        return verdict
    # Whose being slow speaks for the claim, and whose against it.
    for_it, against_it = (theirs, ours) if contrast.says == "lower" else (ours, theirs)
    if {SUPPORTED: against_it, OPPOSITE: for_it}.get(verdict.kind) == 0:
        return verdict
    return Verdict(
        UNDECIDED,
        f"{plural(ours, 'run')} of {contrast.of} and {theirs} of {contrast.against} never reached "
        "the target",
        "more epochs would help",
        verdict.p,
    )

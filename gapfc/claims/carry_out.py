"""Claims put to the test: the runs, their probes, and the verdict of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gapfc.claims.claim import NO_RATE, OWN_RATE, Arm, Claim, Contrast, Settings
from gapfc.claims.measured import FEWEST_ERRORS, Measured, errors, measure
from gapfc.claims.preset import Preset
from gapfc.claims.rates import LR, Rate, choose_rate
from gapfc.claims.runs import Runs, merged
from gapfc.claims.verdict import (
    CONFIDENCE,
    NOT_TESTABLE,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
    Verdict,
    corrected,
    decide,
    in_unit,
    joined,
)
from gapfc.compare.collect import with_probes
from gapfc.errors import UserError
from gapfc.formatting import duration, plural, printable
from gapfc.records.run import Run

PROBE = "probe."
SeedRuns = dict[int, Run]


@dataclass(frozen=True)
class Answer:
    """What one contrast says: the estimate, and the verdict on it alone."""

    contrast: Contrast
    measured: Measured
    verdict: Verdict
    primary: bool


@dataclass(frozen=True)
class Tested:
    """A claim with its verdict on the images of `variant`.

    Attributes:
        verdict: of all primary contrasts together, corrected for all claims of the command.
        answers: primary contrasts first.
        rates: by arm. runs: by arm, then seed.
    """

    claim: Claim
    variant: str
    verdict: Verdict
    answers: tuple[Answer, ...]
    rates: dict[str, Rate]
    runs: dict[str, SeedRuns]


@dataclass
class Trial:
    """Carries out claims; `tell` is given a line for each thing that is done.

    Attributes:
        typed: the settings that the user typed, for all runs; a claim's own win over them.
        probe: measures the runs of these folders by these probes; of runs where that failed, why.
    """

    preset: Preset
    typed: Settings
    runs: Runs
    probe: Callable[[Sequence[Path], Sequence[str]], Mapping[Path, str]]
    tell: Callable[[str], None]

    def test(self, claims: Sequence[Claim]) -> list[Tested]:
        """Every claim on every variant of the preset that has its images."""
        self.check(claims)
        todo = self._todo(claims)
        tested = [
            self._one(claim, variant, f"[{number} of {len(todo)}]")
            for number, (claim, variant) in enumerate(todo, 1)
        ]
        verdicts = corrected([each.verdict for each in tested])
        return [
            replace(each, verdict=verdict) for each, verdict in zip(tested, verdicts, strict=True)
        ]

    def check(self, claims: Sequence[Claim]) -> None:
        """Refuse what no run takes, before the first is made: UserError that names the arm."""
        for claim, variant in self._todo(claims):
            arms = _Arms(claim.arms, variant, self.preset, self.typed, self.runs)
            for arm in claim.arms.values():
                try:
                    arms.check(arm)
                except UserError as error:
                    where = f"claim/{claim.name}.yaml, arm {printable(arm.name)}"
                    raise UserError(f"{where}: {error}") from error

    def _todo(self, claims: Sequence[Claim]) -> list[tuple[Claim, str]]:
        return [
            (claim, variant) for claim in claims for variant in self.preset.variants(claim.arms)
        ]

    def _one(self, claim: Claim, variant: str, place: str) -> Tested:
        start, made = time.monotonic(), self.runs.made
        arms = _Arms(claim.arms, variant, self.preset, self.typed, self.runs)
        wanted = dict.fromkeys(
            name for contrast in claim.contrasts for name in (contrast.of, contrast.against)
        )
        deciding = {name for each in claim.primary for name in (each.of, each.against)}
        impossible: dict[str, str] = {}
        for count, name in enumerate(wanted, 1):
            try:
                arms.of(name)
            except UserError as error:
                if name in deciding:
                    raise
                impossible[name] = str(error)  # a control that these images or settings don't allow
                self.tell(f"{place} claim {claim.number} on {variant}: {name}: left out: {error}")
                continue
            self.tell(
                f"{place} claim {claim.number} on {variant}: {name}, arm {count} of {len(wanted)}"
                f" ({arms.rate(name).words})"
            )
        made_arms = [name for name in wanted if name not in impossible]
        problems = self._probe(claim, {name: arms.of(name) for name in made_arms})
        runs = {name: _with_probes(arms.of(name)) for name in made_arms}
        rates = {name: arms.rate(name) for name in made_arms}
        answers = tuple(
            _left_out(contrast, impossible)
            or self._answer(claim, contrast, runs, rates, problems, contrast in claim.primary)
            for contrast in claim.contrasts
        )
        verdict = joined([answer.verdict for answer in answers if answer.primary])
        self.tell(
            f"{place} claim {claim.number} on {variant}: {verdict.kind}  "
            f"({plural(self.runs.made - made, 'run')} made, {duration(time.monotonic() - start)})"
        )
        return Tested(claim, variant, verdict, answers, rates, runs)

    def _probe(self, claim: Claim, runs: Mapping[str, SeedRuns]) -> dict[Path, str]:
        problems: dict[Path, str] = {}
        wanted: dict[Path, set[str]] = {}
        for contrast in claim.contrasts:
            probes = {m.split(".")[1] for m in contrast.all_metrics if m.startswith(PROBE)}
            probes.discard("clean")
            for name in (contrast.of, contrast.against) if probes else ():
                for run in runs.get(name, {}).values():
                    if run.completed:
                        wanted.setdefault(run.path, set()).update(probes)
        for together in sorted({tuple(sorted(each)) for each in wanted.values()}):
            paths = [path for path, each in wanted.items() if each == set(together)]
            problems |= self.probe(paths, together)
        return problems

    def _answer(
        self,
        claim: Claim,
        contrast: Contrast,
        runs: Mapping[str, SeedRuns],
        rates: Mapping[str, Rate],
        problems: Mapping[Path, str],
        primary: bool,
    ) -> Answer:
        of, against = runs[contrast.of], runs[contrast.against]
        contrast = _placed(contrast, next(iter(against.values())))
        measured = measure(contrast, of, against)
        obstacle, remedy = _diverged([*of.values(), *against.values()])
        if not obstacle and measured.estimate is None:
            failed = [run.path for run in (*of.values(), *against.values())]
            obstacle = next((problems[path] for path in failed if path in problems), "")
        if not obstacle and not measured.obstacle:
            obstacle, remedy = _obstacle(contrast, runs, rates)
        if obstacle:
            measured = replace(measured, obstacle=obstacle, remedy=remedy)
        if measured.obstacle or measured.estimate is None:
            verdict = Verdict(NOT_TESTABLE, measured.obstacle, measured.remedy)
        else:
            # A control in another unit has no margin of its own: it says in which direction.
            same = contrast.unit == claim_unit(claim)
            margin = in_unit(contrast, claim.margin) if same else 0.0
            verdict = decide(measured.estimate, margin, contrast, measured.exact, CONFIDENCE)
            verdict = _despite_censoring(verdict, contrast, measured)
        return Answer(contrast, measured, verdict, primary)


class _Arms:
    """The runs of a claim's arms on one variant, each made when it is asked for."""

    def __init__(
        self, arms: Mapping[str, Arm], variant: str, preset: Preset, typed: Settings, runs: Runs
    ) -> None:
        self._arms, self._variant, self._preset = arms, variant, preset
        self._typed, self._runs = typed, runs
        self._rates: dict[str, Rate] = {}
        self._made: dict[str, SeedRuns] = {}

    def rate(self, name: str) -> Rate:
        """The learning rate of an arm, chosen if it has not been."""
        if name not in self._rates:
            self._rates[name] = self._rate(self._arms[name])
        return self._rates[name]

    def of(self, name: str) -> SeedRuns:
        """The runs of an arm, by seed."""
        if name not in self._made:
            arm, rate = self._arms[name], self.rate(name)
            seeds = self._preset.seeds[: arm.seeds]
            self._made[name] = {seed: self._run(arm, rate.value, seed) for seed in seeds}
        return self._made[name]

    def _rate(self, arm: Arm) -> Rate:
        if arm.rate == NO_RATE:
            return Rate(None, "the usual rate")
        if arm.rate != OWN_RATE:
            other = self.rate(arm.rate)
            return replace(other, words=f"as {arm.rate}: {other.words}")
        return choose_rate(self._preset, lambda rate, seed: self._run(arm, rate, seed))

    def check(self, arm: Arm) -> None:
        """UserError for settings that its runs do not take."""
        self._runs.check(self._settings(arm), transfer=arm.source is not None)

    def _run(self, arm: Arm, rate: float | None, seed: int) -> Run:
        settings = merged(self._settings(arm), {} if rate is None else {LR: rate}, {"seed": seed})
        if arm.source is None:
            return self._runs.have(settings)
        return self._runs.have(settings, self.of(arm.source)[seed].path)

    def _settings(self, arm: Arm) -> Settings:
        data = self._preset.data[self._variant][arm.data]
        settings = merged(self._preset.settings, data, self._typed, arm.settings)
        if arm.source is not None:
            for key in [key for key in settings if key.split(".")[0] == "backbone"]:
                del settings[key]  # it is the source's
        return settings


def _left_out(contrast: Contrast, impossible: Mapping[str, str]) -> Answer | None:
    """The answer of a control whose runs can't be; None for all others."""
    reason = impossible.get(contrast.of) or impossible.get(contrast.against)
    if reason is None:
        return None
    measured = Measured(None, None, None, obstacle=reason)
    return Answer(contrast, measured, Verdict(NOT_TESTABLE, reason), primary=False)


def _placed(contrast: Contrast, run: Run) -> Contrast:
    """`{eighth}` in metrics is an eighth of the images' side: the power of two, up to it."""
    side = min((run.results.get("input") or [3, 8, 8])[1:])
    eighth = str(2 ** max(0, int(math.log2(side / 8))))
    metrics, others = (
        tuple(metric.replace("{eighth}", eighth) for metric in each)
        for each in (contrast.metrics, contrast.against_metrics)
    )
    return replace(contrast, metrics=metrics, against_metrics=others)


def claim_unit(claim: Claim) -> str:
    """The unit that the claim's margin is in."""
    return claim.primary[0].unit


def _with_probes(runs: SeedRuns) -> SeedRuns:
    found, problems = with_probes(list(runs.values()))
    if problems:
        raise UserError(problems[0])
    return dict(zip(runs, found, strict=True))


def _diverged(runs: Sequence[Run]) -> tuple[str, str]:
    """Of those, how many, and what would help; both empty if there are none."""
    lost = sum(not run.completed for run in runs)
    return (
        (f"{plural(lost, 'run')} diverged", "smaller rates would help (preset.rates)")
        if lost
        else ("", "")
    )


def _obstacle(
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


def _despite_censoring(verdict: Verdict, contrast: Contrast, measured: Measured) -> Verdict:
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

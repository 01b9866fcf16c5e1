"""Claims put to the test: the runs, their probes, and the verdict of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gapfc.claims.arms import Arms, Planned, SeedRuns
from gapfc.claims.claim import Claim, Contrast, Settings
from gapfc.claims.measured import Measured, measure
from gapfc.claims.obstacles import despite_censoring, diverged_runs, obstacle_of
from gapfc.claims.preset import Preset
from gapfc.claims.rates import Rate
from gapfc.claims.runs import Runs
from gapfc.claims.verdict import (
    CONFIDENCE,
    NOT_TESTABLE,
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
from gapfc.sweep.progress import ends

PROBE = "probe."


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
    _left: set[Planned] = field(default_factory=set)
    _start: float = 0.0

    def test(self, claims: Sequence[Claim]) -> list[Tested]:
        """Every claim on every variant of the preset that has its images."""
        self.check(claims)
        todo = self._todo(claims)
        self._start = time.monotonic()
        self._left = set().union(*(self._planned(claim, variant) for claim, variant in todo))
        self.tell(f"about {plural(len(self._left), 'run')}, fewer where some are there already")
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
            arms = Arms(claim.arms, variant, self.preset, self.typed, self.runs)
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

    def _planned(self, claim: Claim, variant: str) -> set[Planned]:
        arms = Arms(claim.arms, variant, self.preset, self.typed, self.runs)
        return set().union(*(arms.planned(name) for name in _wanted(claim)))

    def _ends(self) -> str:
        """When all should be done, by the runs that this command has made so far."""
        if not self.runs.made or not self._left:
            return ""
        each = (time.monotonic() - self._start) / self.runs.made
        return ends(each * len(self._left))

    def _one(self, claim: Claim, variant: str, place: str) -> Tested:
        start, made = time.monotonic(), self.runs.made
        arms = Arms(claim.arms, variant, self.preset, self.typed, self.runs)
        wanted = _wanted(claim)
        deciding = {name for each in claim.primary for name in (each.of, each.against)}
        impossible: dict[str, str] = {}
        for count, name in enumerate(wanted, 1):
            self._left -= arms.planned(name)
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
                f" ({arms.rate(name).words}){self._ends()}"
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
        obstacle, remedy = diverged_runs([*of.values(), *against.values()])
        if not obstacle and measured.estimate is None:
            failed = [run.path for run in (*of.values(), *against.values())]
            obstacle = next((problems[path] for path in failed if path in problems), "")
        if not obstacle and not measured.obstacle:
            obstacle, remedy = obstacle_of(contrast, runs, rates)
        if obstacle:
            measured = replace(measured, obstacle=obstacle, remedy=remedy)
        if measured.obstacle or measured.estimate is None:
            verdict = Verdict(NOT_TESTABLE, measured.obstacle, measured.remedy)
        else:
            # A control in another unit has no margin of its own: it says in which direction.
            same = contrast.unit == claim.unit
            margin = in_unit(contrast, claim.margin) if same else 0.0
            verdict = decide(measured.estimate, margin, contrast, measured.exact, CONFIDENCE)
            verdict = despite_censoring(verdict, contrast, measured)
        return Answer(contrast, measured, verdict, primary)


def _wanted(claim: Claim) -> list[str]:
    """The arms that its contrasts read, those of primary ones first."""
    names = [name for each in claim.contrasts for name in (each.of, each.against)]
    return list(dict.fromkeys(names))


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


def _with_probes(runs: SeedRuns) -> SeedRuns:
    found, problems = with_probes(list(runs.values()))
    if problems:
        raise UserError(problems[0])
    return dict(zip(runs, found, strict=True))

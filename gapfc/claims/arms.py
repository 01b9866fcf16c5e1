"""The arms of a claim on one variant of the preset: their settings, rates and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from gapfc.claims.claim import NO_RATE, OWN_RATE, Arm, Settings
from gapfc.claims.preset import Preset
from gapfc.claims.rates import LR, Rate, choose_rate, usual_rate
from gapfc.claims.runs import Runs, merged
from gapfc.records.run import Run

SeedRuns = dict[int, Run]
Planned = tuple[str, str, int]  # settings, rate and seed of a run: one for each, over all claims


class Arms:
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
            if arm.rate == NO_RATE:
                self._rates[name] = usual_rate(self._made[name].values())
        return self._made[name]

    def _rate(self, arm: Arm) -> Rate:
        if arm.rate == NO_RATE:
            return usual_rate([])
        if arm.rate != OWN_RATE:
            other = self.rate(arm.rate)
            return replace(other, words=f"as {arm.rate}: {other.words}")
        return choose_rate(self._preset, lambda rate, seed: self._run(arm, rate, seed))

    def planned(self, name: str) -> set[Planned]:
        """The runs that an arm needs, while no rate is chosen and the grid is as it is."""
        arm, preset = self._arms[name], self._preset
        seeds, what = preset.seeds[: arm.seeds], self._what(arm)
        tried, rate = set[Planned](), arm.rate
        if rate == OWN_RATE:
            tried = {(what, str(lr), seed) for lr in preset.rates for seed in preset.rate_seeds}
            seeds = tuple(seed for seed in seeds if seed not in preset.rate_seeds)
        if rate != NO_RATE:
            chosen_for = arm if rate == OWN_RATE else self._arms[rate]
            rate = f"the best for {self._what(chosen_for)}"
        before = self.planned(arm.source) if arm.source is not None else set()
        return before | tried | {(what, rate, seed) for seed in seeds}

    def _what(self, arm: Arm) -> str:
        source = "" if arm.source is None else self._what(self._arms[arm.source])
        return json.dumps([self._settings(arm), source], sort_keys=True, default=str)

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

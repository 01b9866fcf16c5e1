"""Runs that claims are given in place of trained ones: made up, with known differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import HEADS, write_measured

from gapfc.claims.carry_out import Tested, Trial
from gapfc.claims.claim import Claim, Settings
from gapfc.claims.claim_file import parse_claim
from gapfc.claims.preset import Preset
from gapfc.records.probes import Probes, write_probes
from gapfc.records.run import Run, read_run

RATES = (0.001, 0.003, 0.01)


def preset(seeds: int = 5, **changes: Any) -> Preset:
    """Three rates, chosen by the first two seeds, on one variant called `made`."""
    node = {
        "name": "test", "seeds": list(range(seeds)), "rate_seeds": list(range(min(seeds, 2))),
        "rates": list(RATES), "beyond": 3, "settings": {}, "data": {"made": {"pictures": {}}},
    }  # fmt: skip
    return Preset.of({**node, **changes})


class Made:
    """In place of `Runs`: `make(settings)` gives the directory of a run, each asked for once."""

    def __init__(self, make: Callable[[Settings], Path]) -> None:
        self.make, self.made = make, 0
        self.known: dict[str, Run] = {}

    def check(self, settings: Settings, transfer: bool) -> None:
        """Everything is taken."""

    def have(self, settings: Settings, source: Path | None = None) -> Run:
        key = repr(sorted(settings.items())) + str(source)
        if key not in self.known:
            self.made += 1
            self.known[key] = read_run(self.make(settings))
        return self.known[key]


def claim(text: str) -> Claim:
    """gap against fc at the usual rate, by `text`, the rest of a claim in YAML."""
    return parse_claim(
        "planted",
        "{number: 1, sentence: So it is., source: me, reason: none, limits: none, margin: 2,"
        " arms: {gap: {head: gap, rate: default}, fc: {head: fc, rate: default},"
        " spp: {head: spp, head.levels: [1], rate: default}}, " + text + "}",
    )


def trial(make: Callable[[Settings], Path], of: Preset | None = None) -> Trial:
    return Trial(of or preset(), {}, Made(make), lambda paths, probes: {}, lambda line: None)


def verdict_of(made: Trial, asked: Claim) -> Tested:
    (tested,) = made.test([asked])
    return tested


def rights(
    seeds: int,
    images: int,
    gap: float,
    fc: float,
    generator: np.random.Generator,
    spread: float = 0.3,
) -> dict[str, np.ndarray]:
    """Whether each head is right, [S, I]: images differ in how hard they are to each head.

    The shares are `gap` and `fc` in the mean over all images that could have been drawn.
    """
    found = {}
    for head, share in (("gap", gap), ("fc", fc)):
        # A Beta with this mean: some images are nearly always right, others hardly ever.
        size = 1 / spread
        hard = generator.beta(share * size, (1 - share) * size, images)
        found[head] = generator.random((seeds, images)) < hard
    return found


def writer(root: Path, right: dict[str, np.ndarray], **options: Any) -> Callable[[Settings], Path]:
    """Writes a run as those of `rights` were."""

    def make(settings: Settings) -> Path:
        head, seed = settings["head"], settings["seed"]
        assert head in HEADS
        config = {"optimizer.lr": settings.get("optimizer.lr", 0.05)}
        return write_measured(root, head, seed, right[head][seed], config=config, **options)

    return make


def with_probe(
    make: Callable[[Settings], Path], shifted: dict[str, np.ndarray], clean: dict[str, np.ndarray]
) -> Callable[[Settings], Path]:
    """The same with probes.npz: shift.zero.4, four directions alike, and clean."""

    def made(settings: Settings) -> Path:
        path, head, seed = make(settings), settings["head"], settings["seed"]
        now, before = shifted[head][seed], clean[head][seed]
        accuracy, usual = float(now.mean()), float(before.mean())
        values = {
            "clean": {"accuracy": usual},
            "shift": {"zero": {"4": {"accuracy": accuracy, "drop": usual - accuracy}}},
        }
        yes = {"clean.accuracy": before[None], "shift.zero.4.accuracy": np.stack([now] * 4)}
        data = {"name": "digits", "split": "test", "images": len(now)}
        write_probes(path, Probes(data, values, np.arange(len(now)), yes))
        return path

    return made

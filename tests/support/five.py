"""A claim for each of the five verdicts, on made-up runs, as `gapfc claims` would tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from planted import preset, rights, trial, with_probe, writer

from gapfc.claims.carry_out import Tested
from gapfc.claims.claim_file import parse_claim

EVIL = "<script>alert(1)</script> | **bold** [x](http://evil) \x1b[31m"
CONTROL = {
    "name": "the other way",
    "of": "fc",
    "against": "gap",
    "shows": "the same from the other side",
}
TEXTS: dict[str, dict[str, Any]] = {
    "supported": {
        "sentence": "GAP is more robust to translation than fully connected layers.",
        "primary": {"metric": "probe.shift.zero.4.drop", "says": "lower"},
        "controls": [
            CONTROL, {"name": "test accuracy", "metric": "test.accuracy", "says": "higher"},
        ],
    },
    "opposite": {"primary": {"metric": "test.accuracy", "says": "higher"}, "controls": [CONTROL]},
    "equivalent": {"primary": {"metric": "test.accuracy", "says": "higher"}, "controls": [CONTROL]},
    "undecided": {"primary": {"metric": "test.accuracy", "says": "lower"}, "controls": [CONTROL]},
    "not testable": {"primary": {"metric": "probe.cam.pointing", "says": "higher"}},
    "factor": {
        "unit": "factor", "margin": 10,
        "sentence": "GAP has far fewer parameters than fully connected layers.",
        "primary": {"metric": "parameters.head", "says": "lower"},
        "controls": [
            {"name": "parameters of the whole", "metric": "parameters.total"},
            {"name": "seconds", "metric": "train_seconds"},
        ],
    },
}  # fmt: skip
SHARES = {"opposite": (0.6, 0.8), "equivalent": (0.7, 0.7), "undecided": (0.70, 0.75)}


def five(root: Path, evil: bool = False) -> list[Tested]:
    """One after the other: supported, opposite, equivalent, undecided, not testable; and exact.

    evil: with names and sentences that a page must not take for markup.
    """
    found = []
    for number, (kind, text) in enumerate(TEXTS.items(), 1):
        generator = np.random.default_rng(number)
        gap, fc = SHARES.get(kind, (0.9, 0.9))
        images = 20_000 if kind == "equivalent" else 400
        clean = rights(5, images, gap, fc, generator)
        if kind == "equivalent":  # the same images are hard for both
            clean["fc"] = clean["gap"] ^ (generator.random(clean["gap"].shape) < 0.01)
        make = writer(root / str(number), clean)
        if kind == "supported":
            make = with_probe(make, rights(5, images, 0.85, 0.6, generator), clean)
        found.append(_tested(number, kind, text, make, evil))
    return found


def _tested(number: int, kind: str, text: Mapping[str, Any], make: Any, evil: bool) -> Tested:
    names = {"gap": f"gap {EVIL}", "fc": f"fc {EVIL}"} if evil else {"gap": "gap", "fc": "fc"}

    def named(item: Mapping[str, Any]) -> dict[str, Any]:
        arms = {key: names[item[key]] for key in ("of", "against") if key in item}
        told = {key: f"{item[key]} {EVIL}" for key in ("name", "shows") if evil and key in item}
        return {**item, **arms, **told}

    primary = {"of": "gap", "against": "fc", "name": f"{kind}, as measured", **text["primary"]}
    said = text.get("sentence", f"GAP is what makes it {kind}.")
    content = {
        "number": number, "unit": text.get("unit", "points"), "margin": text.get("margin", 5),
        "sentence": f"{said} {EVIL}" if evil else said,
        "source": f"someone {EVIL}" if evil else "Lin, Chen & Yan 2014 (sec. 3.2).",
        "reason": f"so {EVIL}" if evil else "Five points are worth a choice of head.",
        "limits": f"all {EVIL}" if evil else "It is about networks that never saw shifted images.",
        "arms": {names[head]: {"head": head, "rate": "default"} for head in ("gap", "fc")},
        "primary": named(primary),
        "controls": [named(item) for item in text.get("controls", [])],
    }  # fmt: skip
    asked = parse_claim(f"claim{number}", yaml.safe_dump(content, sort_keys=False))
    (tested,) = trial(make, preset()).test([asked])
    return replace(tested, variant="digits")

"""Each verdict is the planted one, at its error rate: for new seeds and new test images."""

import numpy as np
import pytest
from planted import claim, preset, rights, trial, verdict_of, with_probe, writer

from gapfc.claims.claim import Contrast
from gapfc.claims.verdict import (
    EQUIVALENT,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
    Verdict,
    corrected,
    decide,
    joined,
)
from gapfc.compare.crossed import crossed

ACCURACY = "primary: {metric: test.accuracy, of: gap, against: fc, says: %s}"
MARGIN = 0.02  # of the claims in `planted`: two points


@pytest.mark.parametrize(
    ("says", "gap", "fc", "kind"),
    [
        ("higher", 0.75, 0.65, SUPPORTED),
        ("higher", 0.65, 0.75, OPPOSITE),
        ("lower", 0.65, 0.75, SUPPORTED),
        ("lower", 0.75, 0.65, OPPOSITE),
        ("kept", 0.75, 0.65, SUPPORTED),
        ("kept", 0.65, 0.75, OPPOSITE),
    ],
)
def test_a_large_difference(tmp_path, says, gap, fc, kind):
    right = rights(5, 2000, gap, fc, np.random.default_rng(0))
    tested = verdict_of(trial(writer(tmp_path, right)), claim(ACCURACY % says))
    assert tested.verdict.kind == kind
    assert tested.verdict.p < 0.001


@pytest.mark.parametrize(("says", "kind"), [("higher", EQUIVALENT), ("kept", SUPPORTED)])
def test_no_difference(tmp_path, says, kind):
    generator = np.random.default_rng(1)
    right = rights(5, 4000, 0.8, 0.8, generator)
    right["fc"] = right["gap"] ^ (generator.random(right["gap"].shape) < 0.005)
    tested = verdict_of(trial(writer(tmp_path, right)), claim(ACCURACY % says))
    assert tested.verdict.kind == kind


@pytest.mark.parametrize("says", ["higher", "lower", "kept"])
def test_too_few_images_for_a_difference_that_all_seeds_agree_on(tmp_path, says):
    """Seeds alone would be sure: they all see the same few images."""
    right = {head: np.tile(np.arange(100) >= 40, (5, 1)) for head in ("gap", "fc")}
    generator = np.random.default_rng(2)
    right["gap"][:, 36:40] = True  # four points better on this test set ...
    right["gap"][:, 90:93] = says != "kept"
    flips = generator.random((5, 100)) < 0.01
    right["gap"] = right["gap"] ^ flips
    if says == "lower":
        right = {"gap": right["fc"], "fc": right["gap"]}
    if says == "kept":
        right["gap"][:, 36:40] = False
    tested = verdict_of(trial(writer(tmp_path, right)), claim(ACCURACY % says))
    assert tested.verdict.kind == UNDECIDED
    assert "test images would decide it" in tested.verdict.change


def test_a_drop(tmp_path):
    generator = np.random.default_rng(3)
    clean, shifted = rights(5, 800, 0.95, 0.95, generator), rights(5, 800, 0.9, 0.7, generator)
    make = with_probe(writer(tmp_path, clean), shifted, clean)
    text = "primary: {metric: probe.shift.zero.4.drop, of: gap, against: fc, says: lower}"
    assert verdict_of(trial(make), claim(text)).verdict.kind == SUPPORTED


def test_both_primary_contrasts_have_to_hold(tmp_path):
    generator = np.random.default_rng(4)
    clean, shifted = rights(5, 800, 0.9, 0.88, generator), rights(5, 800, 0.9, 0.6, generator)
    make = with_probe(writer(tmp_path, clean), shifted, clean)
    text = (
        "primary: [{metric: probe.shift.zero.4.accuracy, of: gap, against: fc, says: higher}, "
        "{metric: test.accuracy, of: gap, against: fc, says: higher}]"
    )
    tested = verdict_of(trial(make), claim(text))
    assert [answer.verdict.kind for answer in tested.answers] == [SUPPORTED, UNDECIDED]
    assert tested.verdict.kind == UNDECIDED


def test_runs_are_asked_for_once_whatever_number_of_claims_needs_them(tmp_path):
    right = rights(3, 50, 0.8, 0.7, np.random.default_rng(5))
    made = trial(writer(tmp_path, right), preset(3))
    made.test([claim(ACCURACY % "higher"), claim(ACCURACY % "lower")])
    assert made.runs.made == 6


def draws(generator, number, seeds, images, effect, both=False):
    """d[s, i] of two heads whose true difference is `effect`, with effects of images and seeds."""
    for _ in range(number):
        tables = []
        for _ in range(2 if both else 1):
            # Heads differ for good on 6% of the images: by how much on each is its own draw.
            share = 0.06
            up = (1 + effect / share) / 2
            sign = np.where(generator.random(images) < up, 1, -1)
            of_image = np.where(generator.random(images) < share, sign, 0)
            noise = generator.choice([-1, 0, 1], (seeds, images), p=[0.02, 0.96, 0.02])
            by_seed = generator.normal(0, 0.002, (seeds, 1))
            tables.append(np.where(of_image != 0, of_image, noise) + by_seed)
        yield tables


def decided(tables, says):
    contrast = Contrast("c", ("m",), "gap", "fc", ("m",), says, "points")
    found = [decide(crossed(table), MARGIN, contrast, False, 0.95) for table in tables]
    return corrected([joined(found)])[0].kind


# What a verdict may not be where the truth is `effect`.
WRONG = {
    ("higher", 0.0): {SUPPORTED, OPPOSITE},
    ("higher", MARGIN): {SUPPORTED, OPPOSITE, EQUIVALENT},
    ("higher", -MARGIN): {SUPPORTED, OPPOSITE, EQUIVALENT},
    ("higher", 0.04): {OPPOSITE, EQUIVALENT},
    ("kept", -MARGIN): {SUPPORTED, OPPOSITE},
    ("kept", 0.0): {OPPOSITE},
}
RIGHT = {("higher", 0.0): EQUIVALENT, ("higher", 0.04): SUPPORTED, ("kept", 0.0): SUPPORTED}


def worst(effect):
    """Truth at the margin is wrong beyond it (alpha / 2) and within it (alpha)."""
    share = 0.075 if abs(effect) == MARGIN else 0.05
    return share + 3 * np.sqrt(share * (1 - share) / 1500)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("says", "effect"), WRONG)
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_share_of_wrong_verdicts(says, effect, seeds):
    """At most alpha, within three standard errors of 1,500 draws; and often it is the right one."""
    generator = np.random.default_rng([seeds, int(1000 * abs(effect)), effect < 0])
    kinds = [decided(d, says) for d in draws(generator, 1500, seeds, 1000, effect)]
    assert np.mean([kind in WRONG[says, effect] for kind in kinds]) <= worst(effect)
    if (says, effect) in RIGHT:
        assert np.mean([kind == RIGHT[says, effect] for kind in kinds]) > 0.4


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("effect", [MARGIN, -MARGIN])
def test_two_primary_contrasts_refute_no_more_often_than_one(effect):
    generator = np.random.default_rng(7)
    kinds = [decided(d, "higher") for d in draws(generator, 1500, 5, 1000, effect, both=True)]
    assert np.mean([kind in WRONG["higher", effect] for kind in kinds]) <= worst(effect)


def test_a_refutation_by_one_of_two_is_corrected_for_both():
    found = joined([Verdict(EQUIVALENT, p=0.03), Verdict(SUPPORTED, p=0.001)])
    assert corrected([found])[0].kind == UNDECIDED

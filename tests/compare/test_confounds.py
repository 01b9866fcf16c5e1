"""What besides the question may explain a difference: named above the table and in sentences."""

from itertools import product

import numpy as np
import pytest
from asked import answer
from synthetic import change, write_measured, write_run, write_transfer

from gapfc.compare.answer import Comparison, compare
from gapfc.compare.collect import collect
from gapfc.compare.output.page import html_text
from gapfc.compare.output.sentences import sentences
from gapfc.compare.output.table import markdown
from gapfc.compare.question import Question
from gapfc.errors import UserError
from gapfc.records.predictions import Predictions, write_predictions
from gapfc.records.probes import Probes, write_probes

ALIKE = {"head.hidden": [], "head.dropout": 0.0}


def compared(root, **question) -> Comparison:
    return compare(collect([root]), Question(**question))


def kinds(found: Comparison) -> dict[str, str]:
    return {confound.kind: confound.sentence for confound in found.confounds}


def predict(path, images: int) -> None:
    index = np.arange(images)
    share = np.ones(images)
    write_predictions(path, Predictions(index, index * 0, index * 0, share, share))


def test_what_fc_and_gap_differ_in_by_default(sweep):
    found = compared(sweep)
    assert kinds(found) == {
        "rate": "one learning rate for all, 0.05: no rate was chosen for each head "
        "(see sweep=learning_rate and --choose optimizer.lr)",
        "head_options": "heads differ in hidden and dropout, not in their pooling alone: fc has "
        "hidden=[512], dropout=0.5; gap, spp and nin have none of them",
        "head_parameters": "head parameters differ up to 819-fold: nin 5.13k, fc 4.20M "
        "(head.match_parameters_of makes them equal)",
    }
    assert [each.kind for each in found.confounds_of["gap"]] == list(kinds(found))
    assert set(found.confounds_of) == {"gap", "nin", "spp"}
    gap = next(told for told in sentences(found) if told.startswith("gap"))
    assert gap.endswith(
        " Bear in mind: one learning rate, hidden, dropout, head parameters 5.13k against 4.20M."
    )


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (40, "up to 2.5-fold: gap 40, fc 100"),
        (0.05, "up to 2,000-fold: gap 0, fc 100"),
        (0, "from none at all: gap 0, fc 100"),
        (90, None),
    ],
)
def test_head_parameters(tmp_path, gap, told):
    write_run(tmp_path, "fc", results={"parameters.head": 100})
    write_run(tmp_path, "gap", results={"parameters.head": gap})
    sentence = kinds(compared(tmp_path)).get("head_parameters")
    assert sentence == (
        told and f"head parameters differ {told} (head.match_parameters_of makes them equal)"
    )


def test_they_are_in_every_output(sweep, tmp_path, capsys):
    told = answer(sweep, tmp=tmp_path)
    assert [each["kind"] for each in told["confounds"]] == [
        "rate", "head_options", "head_parameters",
    ]  # fmt: skip
    assert told["confounds"][0]["groups"] == [row["label"] for row in told["rows"]]
    by_label = {row["label"]: row["confounds"] for row in told["rows"]}
    assert by_label["gap"] == ["rate", "head_options", "head_parameters"]
    assert by_label["fc"] == []
    assert "\nBear in mind: one learning rate for all, 0.05: no" in capsys.readouterr().out
    found = compared(sweep)
    assert markdown(found).startswith("- Bear in mind: one learning rate for all, 0.05")
    text = html_text(found, [])
    assert text.index("<li>one learning rate for all") < text.index("<h2>The table")


def test_what_is_asked_about_or_chosen_is_no_confound(tmp_path):
    for head in ("fc", "gap"):
        for rate in (0.1, 0.3):
            write_run(tmp_path, head, config={**ALIKE, "optimizer.lr": rate})
    assert "rate" not in kinds(compared(tmp_path, choose=("optimizer.lr",)))
    assert "rate" not in kinds(compared(tmp_path, by=("head", "optimizer.lr")))
    assert "head_options" not in kinds(compared(tmp_path, by=("head", "optimizer.lr")))


def test_one_rate_to_choose_from_is_no_choice(sweep):
    assert "rate" in kinds(compared(sweep, choose=("optimizer.lr",)))


def test_groups_that_do_not_differ_in_the_head_need_no_rates(tmp_path):
    for padding in ("zeros", "circular"):
        write_run(tmp_path, "gap", config={"backbone.padding": padding})
    assert compared(tmp_path, by=("backbone.padding",)).confounds == []


def test_the_heads_own_rate(tmp_path):
    write_run(tmp_path, "nin", config={"head.lr_multiplier": 10.0})
    write_run(tmp_path, "gap")
    found = compared(tmp_path, baseline="gap")
    assert kinds(found)["head_rate"] == (
        "heads learn at different multiples of optimizer.lr (head.lr_multiplier): gap 1, nin 10"
    )
    assert "head.lr_multiplier 10 against 1" in sentences(found)[0]
    asked = compared(tmp_path, by=("head", "head.lr_multiplier"), baseline="head=gap")
    assert "head_rate" not in kinds(asked)


RECIPE = {"name": "mine", "rates": {"gap": 0.03}, "rate": 0.01, "heads": {"gap": 10}, "head": 1.0}


def of_recipe(root, head, rate, factor=1.0, **recipe):
    settings = {"optimizer.lr": rate, "head.lr_multiplier": factor, "recipe": {**RECIPE, **recipe}}
    write_run(root, head, config={**ALIKE, **settings})


def test_rates_that_a_recipe_has_for_each_head_may_differ_and_are_told(tmp_path):
    of_recipe(tmp_path, "fc", 0.01)
    of_recipe(tmp_path, "gap", 0.03, 10.0)
    found = compared(tmp_path, baseline="fc")
    assert "head_rate" not in kinds(found)
    assert kinds(found)["rate"] == (
        "each head learns at the rate that recipe=mine has for it, found on other images: "
        "gap 0.03 (head ×10), fc 0.01 (see sweep=learning_rate and --choose optimizer.lr)"
    )
    assert "Bear in mind: rates of recipe=mine" in sentences(found)[0]


@pytest.mark.parametrize(
    "other",
    [
        {"rate": 0.02},  # typed
        {"rate": 0.03, "name": "other"},
        {"rate": 0.03, "rates": {"gap": 0.03, "nin": 1.0}},
        {"rate": 0.03, "rates": "a stranger's word"},
        {"rate": 0.03, "name": 5},
    ],
)
def test_other_rates_that_differ_are_refused_as_ever(tmp_path, other):
    of_recipe(tmp_path, "fc", 0.01)
    rate = other.pop("rate")
    of_recipe(tmp_path, "gap", rate, 10.0, **other)
    with pytest.raises(UserError, match=r"optimizer\.lr: 0\.01"):
        compared(tmp_path)


def test_frozen_backbones_are_compared_with_others_and_their_views_with_them(tmp_path):
    for trained, views in (("none", 4), ("all", None)):
        for seed in range(3):
            config = {"backbone.trainable": trained, "augment.views": views}
            write_run(tmp_path, "gap", seed, config=config)
    found = compare(collect([tmp_path]), Question(by=("backbone.trainable",)))
    assert {row.values for row in found.rows} == {("all",), ("none",)}


def test_recipes_are_compared_with_what_they_differ_in(tmp_path):
    for seed, head in product(range(2), ("gap", "fc")):
        for name, trained, rate, factor in (("a", "none", 0.003, 1.0), ("b", "last", 5e-6, 600.0)):
            config = {"optimizer.lr": rate, "head.lr_multiplier": factor, "augment.views": trained}
            recipe = {"name": name, "rate": rate, "head": factor}
            write_run(
                tmp_path, head, seed,
                config={**config, "backbone.trainable": trained, "recipe": recipe},
            )  # fmt: skip
    found = compared(tmp_path, by=["head", "recipe"])
    assert len(found.rows) == 4
    told = kinds(found)
    assert "the rate that recipe=a and b has for it" in told["rate"]
    assert "head_rate" not in told
    with pytest.raises(UserError, match=r"backbone\.trainable: .*\n.*\n.*optimizer\.lr"):
        compared(tmp_path)


@pytest.mark.parametrize("typed", ["optimizer.lr", "trainer.epochs"])
def test_what_was_typed_is_not_taken_for_the_recipes(tmp_path, typed):
    for seed in range(2):
        for name, rate in (("a", 0.003), ("b", 5e-6)):
            recipe = {"name": name, "rate": rate, "head": 1.0}
            other = {typed: 7} if name == "b" else {}
            config = {"optimizer.lr": rate, "head.lr_multiplier": 1.0, **other, "recipe": recipe}
            write_run(tmp_path, "gap", seed, config=config)
    with pytest.raises(UserError, match=typed):
        compared(tmp_path, by=["head", "recipe"])


def test_two_rates_of_one_head_are_no_group_by_any_recipe(tmp_path):
    of_recipe(tmp_path, "fc", 0.01)
    write_run(tmp_path, "fc", config={**ALIKE, "optimizer.lr": 0.02})
    with pytest.raises(UserError, match=r"optimizer\.lr"):
        compared(tmp_path)


@pytest.mark.parametrize(("relu", "same"), [(True, False), (False, True)])
def test_nin_without_relu_is_gap(tmp_path, relu, same):
    write_run(tmp_path, "gap")
    write_run(tmp_path, "nin", config={"head.relu": relu})
    write_run(tmp_path, "spp", config={"head.hidden": []})
    told = kinds(compared(tmp_path)).get("same_function")
    said = "gap and nin are the same function: nin with relu=false differs only in where the mean"
    assert (told == f"{said} stands") if same else told is None


def test_a_pyramid_of_one_bin_is_a_global_pool(tmp_path):
    write_run(tmp_path, "gap")
    write_run(tmp_path, "gmp")
    write_run(tmp_path, "spp", config={"head.levels": [1], "head.hidden": []})
    (found,) = [c for c in compared(tmp_path).confounds if c.kind == "same_function"]
    assert set(found.groups) == {"gmp", "spp"}
    assert found.sentence == f"{' and '.join(found.groups)} are the same function"


def test_a_map_of_one_position(tmp_path):
    for head in ("fc", "gap"):
        write_run(tmp_path, head, results={"feature_map": [512, 1, 1]})
    assert compared(tmp_path).confounds[0].sentence == (
        "the feature map is 1×1: on it there is nothing to pool, and every head is fc"
    )


@pytest.mark.parametrize("shape", [None, [], [1, 1], [[1], "1", {}]])
def test_strange_shapes_of_maps_are_passed_over(tmp_path, shape):
    for head in ("fc", "gap"):
        write_run(tmp_path, head, results={"feature_map": shape})
    assert "feature_map" not in kinds(compared(tmp_path))


def test_unequal_epochs(tmp_path):
    stop = {"trainer.early_stopping": 3}
    for seed, epochs in enumerate((7, 9)):
        write_run(tmp_path, "fc", seed, config=stop)
        write_run(tmp_path, "gap", seed, config=stop, results={"epochs": epochs})
    found = compared(tmp_path)
    assert kinds(found)["epochs"] == (
        "not all were trained for equally many epochs (early stopping): gap 8, fc 12 on average"
    )
    assert "epochs 8 against 12" in sentences(found)[0]


DROP = "probe.shift.zero.4.drop"


@pytest.mark.parametrize(("clean", "told"), [(0.9, None), (0.35, "drops from 35.0% against 95.0%")])
def test_a_head_that_has_learnt_nothing_can_lose_nothing(tmp_path, clean, told):
    for seed in range(3):
        for head, accuracy, drop in (("fc", 0.95, 0.2), ("gap", clean, 0.1)):
            shift = {"zero": {"4": {"drop": drop + seed / 100}}}
            values = {"clean": {"accuracy": accuracy}, "shift": shift}
            write_probes(write_run(tmp_path, head, seed), Probes({"name": "digits"}, values))
    found = compared(tmp_path, metric=DROP)
    assert ("unmoved" in kinds(found)) == (told is not None)
    assert told is None or told in sentences(found)[0]
    assert "unmoved" not in kinds(compared(tmp_path, metric="probe.clean.accuracy"))


@pytest.mark.parametrize(("seeds", "warned"), [(1, False), (2, True), (3, False)])
def test_two_seeds_say_little_of_the_spread_between_seeds(tmp_path, seeds, warned):
    for seed in range(seeds):
        for head, wrong in (("fc", 6), ("gap", 30 + seed)):
            write_measured(tmp_path, head, seed, np.arange(60) >= wrong)
    found = compared(tmp_path)
    assert ("holds the true difference in 87% of cases" in str(found.confounds)) == warned
    assert ("two seeds" in sentences(found)[0]) == warned
    assert "two_seeds" not in kinds(compared(tmp_path, interval="seeds"))


@pytest.mark.parametrize(("images", "near"), [(1000, True), (1600, False)])
def test_near_the_ceiling(tmp_path, images, near):
    for seed, accuracy in enumerate((0.98, 0.979, 0.981)):
        for head in ("fc", "gap"):
            predict(write_run(tmp_path, head, seed, accuracy=accuracy), images)
    found = compared(tmp_path)
    assert kinds(found).get("ceiling") == (
        "near the ceiling: fc makes 20 errors on 1000 test images, fewer than 30, so little is "
        "left to differ in"
        if near
        else None
    )
    assert ("near the ceiling" in sentences(found)[0]) == near
    assert "ceiling" not in kinds(compared(tmp_path, metric="train_seconds"))


def test_few_images_that_are_mostly_wrong_are_no_ceiling(tmp_path):
    for head in ("fc", "gap"):
        predict(write_run(tmp_path, head, 0, accuracy=0.6), 50)
    assert "ceiling" not in kinds(compared(tmp_path))


def test_a_difference_that_is_told_apart_was_not_near_the_ceiling(tmp_path):
    levels = {"fc": 0.98, "gap": 0.96, "nin": 0.98}
    for seed in range(3):
        for head, level in levels.items():
            predict(write_run(tmp_path, head, seed, accuracy=level + 0.001 * seed), 1000)
    for seed in range(3):  # nin: now above, now below
        change(
            next(tmp_path.glob(f"**/nin/*-s{seed}")),
            {},
            {"test.accuracy": 0.98 + 0.001 * (seed == 1)},
        )
        change(
            next(tmp_path.glob(f"**/gap/*-s{seed}")), {}, {"test.accuracy": 0.96 + 0.0012 * seed}
        )
    found = compared(tmp_path)
    assert [row.label for row in found.rows if row.told_apart(0.95)] == ["gap"]
    (ceiling,) = (each for each in found.confounds if each.kind == "ceiling")
    assert set(ceiling.groups) == {"fc", "nin"}
    assert ceiling.sentence.endswith("so little is left to differ in, which concerns nin")
    told = dict(zip(["nin", "gap"], sentences(found), strict=True))
    assert "near the ceiling" in told["nin"]
    assert "near the ceiling" not in told["gap"]


def test_damaged_predictions_are_passed_over(tmp_path):
    for head in ("fc", "gap"):
        path = write_run(tmp_path, head, accuracy=0.999)
        (path / "predictions.npz").write_bytes(b"PK nonsense")
    assert "ceiling" not in kinds(compared(tmp_path))


def test_of_transfer_a_linear_probe_has_no_rate(tmp_path):
    for head in ("fc", "gap"):
        write_transfer(tmp_path / "a", head, "linear_probe", 0)
        write_transfer(tmp_path / "b", head, "finetune", 0)
    assert "rate" not in kinds(compared(tmp_path / "a", by=("source.head",)))
    rate = kinds(compared(tmp_path / "b", by=("source.head",)))["rate"]
    assert rate.endswith("no rate was chosen for each head (--choose optimizer.lr)")

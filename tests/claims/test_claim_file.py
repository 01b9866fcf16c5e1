"""Claims as people write them: every key, what is wrong with one, and the ten that are shipped."""

import pytest
import yaml

from gapfc.claims.carry_out import Trial
from gapfc.claims.claim import Arm, Contrast
from gapfc.claims.claim_file import parse_claim
from gapfc.claims.preset import Preset
from gapfc.claims.runs import Runs, merged
from gapfc.errors import UserError
from gapfc.probes.registry import PROBES
from gapfc.settings.compose import CLAIM, Composer
from gapfc.settings.kinds import ARGUMENTS, KINDS, check_value
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched

COMPOSER = Composer([])
GROUPS = COMPOSER.groups()
SHIPPED = {
    name: parse_claim(name, COMPOSER.text(f"claim/{name}")) for name in COMPOSER.choices(CLAIM)
}
PRESETS = {
    name: Preset.of(plain(COMPOSER.compose("claims", [f"preset={name}"]).preset))
    for name in ("quick", "part", "full")
}
GOOD = {
    "number": 11,
    "sentence": "Mine is\nbetter.",
    "source": "me",
    "margin": 2,
    "reason": "I say so.",
    "limits": "All of it.",
    "arms": {"gap": {"head": "gap"}, "fc": {"head": "fc", "rate": "gap"}},
    "primary": {"metric": "test.accuracy", "of": "gap", "against": "fc", "says": "higher"},
}


def parse(**changes):
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return parse_claim("mine", yaml.safe_dump(content, sort_keys=False))


def test_a_claim_is_read_with_what_it_leaves_out():
    claim = parse(controls=[{"of": "fc", "against": "gap", "name": "back", "shows": " x "}])
    assert (claim.name, claim.number, claim.margin) == ("mine", 11, 2.0)
    assert claim.sentence == "Mine is better."
    assert claim.arms["gap"] == Arm("gap", "pictures", {"head": "gap"}, "own", None, None)
    assert claim.arms["fc"].rate == "gap"
    accuracy = ("test.accuracy",)
    assert claim.contrasts == (
        Contrast("gap against fc", accuracy, "gap", "fc", accuracy, "higher", "points", ""),
        Contrast("back", accuracy, "fc", "gap", accuracy, "higher", "points", "x"),
    )


def test_settings_are_shared_and_arms_win():
    claim = parse(
        settings={"augment": "none", "trainer.epochs": 3},
        data="shapes",
        arms={"gap": {"trainer.epochs": 5, "data": "far", "seeds": 2}, "fc": {"source": "gap"}},
    )
    assert claim.arms["gap"].settings == {"augment": "none", "trainer.epochs": 5}
    assert (claim.arms["gap"].data, claim.arms["gap"].seeds) == ("far", 2)
    assert (claim.arms["fc"].data, claim.arms["fc"].source) == ("shapes", "gap")


def test_an_arm_takes_the_rate_of_the_arm_at_the_end():
    arms = {"a": {"rate": "b"}, "b": {"rate": "c"}, "c": {}, "d": {"rate": "e"}}
    arms["e"] = {"rate": "default"}
    found = parse(arms=arms, primary={**GOOD["primary"], "of": "a", "against": "b"}).arms
    assert {name: arm.rate for name, arm in found.items()} == {
        "a": "c", "b": "c", "c": "own", "d": "default", "e": "default",
    }  # fmt: skip


def test_several_metrics_and_quotients():
    item = {**GOOD["primary"], "metric": ["a / b", "c"], "against_metric": "d"}
    (contrast,) = parse(primary=[item]).primary
    assert contrast.all_metrics == ("a", "b", "c", "d")


ARMS, PRIMARY = GOOD["arms"], GOOD["primary"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentense": "x"}, "no key sentense; did you mean sentence?"),
        ({"zzz": "x"}, "no key zzz; it takes number, sentence, source, margin, unit"),
        ({"number": 0}, "number takes a whole number of 1 or more; got 0"),
        ({"number": True}, "number takes a whole number of 1 or more; got True"),
        ({"number": ...}, "number takes a whole number of 1 or more; nothing is there"),
        ({"sentence": ...}, "sentence takes a sentence or more; nothing is there"),
        ({"reason": ["a"]}, "reason takes a sentence or more; got ['a']"),
        ({"limits": " "}, "limits takes a sentence or more"),
        ({"margin": 0}, "margin takes a number above 0, fixed before the runs are made; got 0"),
        ({"margin": -1}, "margin takes a number above 0"),
        (
            {"margin": "two"},
            "margin takes a number above 0, fixed before the runs are made; got two",
        ),
        ({"margin": float("inf")}, "margin takes a number above 0"),
        ({"margin": True}, "margin takes a number above 0"),
        ({"unit": "factor", "margin": 1}, "margin takes a number above 1"),
        ({"unit": "percent"}, "unit takes points or factor or value; got percent"),
        ({"data": ["a"]}, "data takes a name; got ['a']"),
        ({"arms": ...}, "arms takes names of arms, each with its settings, as in gap: {head: gap}"),
        ({"arms": "gap"}, "arms takes keys and values; got gap"),
        ({"arms": {**ARMS, "x": "fc"}}, "arms.x takes settings, as in {head: gap}; got fc"),
        ({"arms": {**ARMS, "x": {"a b": 1}}}, "arms.x takes dotted keys of gapfc train; got a b"),
        (
            {"arms": {**ARMS, "x": {"head": {"name": 1}}}},
            "arms.x.head takes one value; write head.… with a dot",
        ),
        ({"arms": {**ARMS, "x": {"seeds": 0}}}, "arms.x.seeds takes a whole number of 1 or more"),
        ({"arms": {**ARMS, "x": {"rate": 0.1}}}, "arms.x.rate takes a name; got 0.1"),
        (
            {"arms": {**ARMS, "x": {"rate": "gapp"}}},
            "arms.x.rate takes one of the arms gap, fc, x (did you mean gap?); got gapp",
        ),
        ({"arms": {**ARMS, "own": {}}}, "arms takes other names than own and default; got own"),
        (
            {"arms": {**ARMS, "x": {"rate": "x"}}},
            "arms.x.rate takes an arm that chooses its own rate",
        ),
        (
            {"arms": {**ARMS, "x": {"rate": "y"}, "y": {"rate": "z"}, "z": {"rate": "y"}}},
            "rate takes an arm that chooses its own rate",
        ),
        (
            {"arms": {**ARMS, "x": {"source": "y"}}},
            "arms.x.source takes one of the arms gap, fc, x",
        ),
        (
            {"arms": {**ARMS, "x": {"source": "y"}, "y": {"source": "x"}}},
            "arms.x.source takes an arm that is trained from scratch; got y",
        ),
        ({"settings": [1]}, "settings takes keys and values; got [1]"),
        ({"primary": ...}, "primary takes the contrast that decides, or a list of them; nothing"),
        ({"primary": []}, "primary takes the contrast that decides"),
        ({"primary": "gap"}, "primary takes a contrast with the keys name, metric, of, against"),
        ({"controls": [3]}, "controls takes a contrast with the keys name, metric"),
        ({"primary": {**PRIMARY, "sayz": 1}}, "no key primary.sayz; did you mean primary.says?"),
        (
            {"primary": {**PRIMARY, "says": "less"}},
            "primary.says takes higher or lower or kept; got less",
        ),
        ({"primary": {**PRIMARY, "says": ["lower"]}}, "primary.says takes higher or lower or kept"),
        (
            {"primary": {**PRIMARY, "of": "gab"}},
            "primary.of takes one of the arms gap, fc (did you mean gap?)",
        ),
        ({"primary": {**PRIMARY, "of": ["gap"]}}, "primary.of takes one of the arms gap, fc"),
        (
            {"primary": {"metric": "a", "says": "lower"}},
            "primary.of takes one of the arms gap, fc; nothing",
        ),
        (
            {"controls": {"against": "none"}},
            "controls.against takes one of the arms gap, fc; got none",
        ),
        (
            {"primary": {**PRIMARY, "metric": 3}},
            "primary.metric takes a metric such as test.accuracy",
        ),
        (
            {"primary": {**PRIMARY, "metric": []}},
            "primary.metric takes a metric such as test.accuracy",
        ),
        (
            {"primary": {"metric": "a", "of": "gap", "says": "kept"}},
            "primary.against takes another arm, or an against_metric; got gap",
        ),
        (
            {"primary": {**PRIMARY, "unit": "factor"}},
            "primary.unit takes points, the unit of the margin; got factor",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_its_key_takes(changes, message):
    with pytest.raises(UserError) as error:
        parse(**changes)
    said = str(error.value)
    assert said.startswith("claim/mine.yaml: ")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "claim/mine.yaml cannot be read: "),
        ("", "claim/mine.yaml holds no claim: it takes the keys number, sentence"),
        ("- a", "claim/mine.yaml holds no claim"),
        ("a: &x 1\nb: *x", "claim/mine.yaml cannot be read: it has an alias, *x"),
        ("a: !!python/object/apply:os.system [x]", "claim/mine.yaml cannot be read: "),
        ("3: a", "claim/mine.yaml cannot be read: its key 3 is not text"),
    ],
)
def test_what_is_not_a_claim_is_said_in_one_line(text, message):
    with pytest.raises(UserError) as error:
        parse_claim("mine", text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_ten_claims_are_shipped():
    assert sorted(claim.number for claim in SHIPPED.values()) == list(range(1, 11))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_claim_asks_for_probes_that_there_are(name):
    for metric in {m for contrast in SHIPPED[name].contrasts for m in contrast.all_metrics}:
        parts = metric.split(".")
        assert parts[0] in (
            "parameters", "macs", "generalization_gap", "test", "train", "convergence", "probe",
                "transfer",
        )  # fmt: skip
        if parts[0] == "probe" and parts[1] != "clean":
            assert parts[1] in PROBES


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_claim_has_images_and_settings_that_there_are(name, preset):
    claim, chosen = SHIPPED[name], PRESETS[preset]
    for variant in chosen.variants(claim.arms):
        for arm in claim.arms.values():
            layers = merged(chosen.settings, chosen.data[variant][arm.data], arm.settings)
            for key, value in layers.items():
                if key in GROUPS:
                    assert value in GROUPS[key]
                else:
                    assert key in KINDS or key in ARGUMENTS
                    check_value(key, value, {})


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_the_arms_of_a_shipped_claim_can_be_composed(name, preset):
    trial = Trial(PRESETS[preset], {}, Runs(Vouched()), lambda *_: {}, print)
    trial.check([SHIPPED[name]])

"""The table of kinds, the YAML files and their comments say the same of every key."""

import re

import pytest
import yaml

from gapfc.cli.yaml_comments import key_comments
from gapfc.errors import UserError
from gapfc.settings.compose import Composer
from gapfc.settings.kinds import ARGUMENTS, KINDS, check_settings
from gapfc.transfer.protocols import PROTOCOLS

COMPOSER = Composer([])
GROUPS = ("augment", "backbone", "dataset", "head", "optimizer", "preset", "schedule")
OF_RUNS = ("preset.settings", "preset.data")  # what lies below are settings of runs
FILES = [
    *((name, "") for name in ("train", "transfer", "inspect", "claims")),
    *(
        (f"{group}/{choice}", f"{group}.")
        for group in GROUPS
        for choice in ("_base", "_photos", *COMPOSER.groups()[group])
        if COMPOSER.text(f"{group}/{choice}")
    ),
]
COMMENTS = [
    (f"{prefix}{key}", comment, file)
    for file, prefix in FILES
    for key, comment in key_comments(COMPOSER.text(file)).items()
    if not f"{prefix}{key}".startswith(("hydra", "defaults", *(f"{node}." for node in OF_RUNS)))
]
TABLE = {**KINDS, **ARGUMENTS}
NODES = {"trainer", "source", "source.options", *GROUPS, "backbone.pool"}


def leaves(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict) and value and f"{prefix}{key}" not in OF_RUNS:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file[0])
def test_every_key_of_a_file_is_in_the_table_and_has_a_comment(file):
    path, prefix = file
    content = yaml.safe_load(COMPOSER.text(path))
    content = {k: v for k, v in content.items() if k not in ("defaults", "hydra")}
    told = {key for key, _, _ in COMMENTS}
    for key in leaves(content, prefix):
        assert key in TABLE, key
        assert key in told or key.endswith(("name", "_target_")), f"{key} has no comment"


@pytest.mark.parametrize(("key", "comment", "file"), COMMENTS)
def test_a_comment_says_what_the_table_allows(key, comment, file):
    if key in NODES or key in OF_RUNS:
        return
    allows = TABLE[key].allows
    assert allows(None) == bool(re.search(r"\bnull\b", comment)), "null"
    assert allows(True) == ("true | false" in comment or "auto | true" in comment), "true"
    first = comment.split(":")[0]
    if re.fullmatch(r"[\w-]+( \| [\w-]+)+( \(.*)?.*", first) and key != "dataset.image_size":
        for word in re.match(r"[\w-]+( \| [\w-]+)+", first)[0].split(" | "):
            if word in ("true", "false", "null", "n", "a"):
                continue
            assert allows(int(word) if word.isdigit() else word), word
        assert not allows("neither")
    numbers = allows(0.5) or allows(1)
    for words, inside, outside in (
        ("[0, 1)", 0, 1),
        ("from 0 to below 1", 0, 1),
        ("above 0, below 1", 0.5, 0),
        ("above 0, at most 1", 1, 0),
        ("from 0 to 1", 1, 1.5),
        ("1 or more", 1, 0),
        ("0 or more", 0, -1),
        ("above 0", 0.5, 0),
    ):
        if words in comment and numbers:
            assert allows(inside), words
            assert not allows(outside), words


def test_every_kind_refuses_what_no_setting_takes():
    for key, kind in TABLE.items():
        for value in (float("nan"), float("inf"), 10**400, -(10**30), "", "\0", [[[]]], object()):
            assert not kind.allows(value), (key, value)


def test_the_words_that_completion_offers_are_taken():
    for key, kind in TABLE.items():
        for word in kind.fixed:
            assert kind.allows(yaml.safe_load(word)), (key, word)


def test_completion_offers_every_word_of_a_key():
    assert COMPOSER.matches("transfer", "protocol=") == sorted(f"protocol={p}" for p in PROTOCOLS)
    device = [f"trainer.device={word}" for word in ("auto", "cpu", "cuda")]
    assert COMPOSER.matches("train", "trainer.device=") == device
    assert COMPOSER.matches("train", "trainer.device=c") == device[1:]
    taken = [f"trainer.device=cpu,{word}" for word in ("auto", "cuda")]
    assert COMPOSER.matches("train", "trainer.device=cpu,") == taken
    assert COMPOSER.matches("train", "trainer.epochs=") == [
        "trainer.epochs=15",
        "trainer.epochs=auto",
    ]
    assert COMPOSER.matches("train", "dataset.shots=") == ["dataset.shots=null"]
    assert COMPOSER.matches("train", "head.pool=") == []  # gap has no such option
    spp = [f"source.head=spp{end}" for end in ("", "_fixed", "f")]
    assert COMPOSER.matches("transfer", "source.head=spp") == spp
    assert "only=translation" in COMPOSER.matches("claims", "only=")


def test_the_protocols_are_those_there_are():
    assert all(KINDS["protocol"].allows(name) for name in PROTOCOLS)
    assert not KINDS["protocol"].allows("other")


@pytest.mark.parametrize("command", ["train", "transfer", "inspect", "claims"])
def test_every_command_is_as_the_table_has_it(command):
    check_settings(COMPOSER.compose(command, []))


def test_every_choice_is_as_the_table_has_it():
    groups = {group: COMPOSER.groups()[group] for group in GROUPS}
    for place in range(max(map(len, groups.values()))):  # several at once: composing takes its time
        given = [f"{group}={names[place % len(names)]}" for group, names in groups.items()]
        check_settings(COMPOSER.compose("claims", given), complete=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["trainer.epochs=null"],
            "trainer.epochs takes a whole number from 1 to 1000000, or auto; got null",
        ),
        (["augment.flip=null"], "augment.flip takes true or false; got null"),
        (["dataset.mean=-1"], "dataset.mean takes a number from 0 to 1, or three of them, or null"),
        (["head.name=[1]"], r"head.name takes a name; got \[1\]"),
        (["optimizer.betas=[]"], "optimizer.betas takes two numbers from 0 to below 1"),
        (["~head.name"], "head.name is missing: it can be changed, not dropped"),
        (["schedule.warmup_epochs=20"], "warmup_epochs=20 is more than trainer.epochs=15"),
        (["head.dropout=???"], r"head.dropout needs a value: it is \?\?\?"),
    ],
)
def test_a_wrong_value_is_named_with_what_its_key_takes(settings, message):
    with pytest.raises(UserError, match=message):
        check_settings(COMPOSER.compose("train", settings))


def test_a_class_of_the_users_own_may_call_its_arguments_as_it_likes():
    config = COMPOSER.compose("train", ["head._target_=mine.Head", "head.hidden=small"])
    check_settings(config)
    config.head.lr_multiplier = "small"
    with pytest.raises(UserError, match=r"head\.lr_multiplier takes a number"):
        check_settings(config)

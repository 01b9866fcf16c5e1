"""One colour and one marker for each head, in every picture; nothing differs by colour alone."""

import re

import pytest
import yaml
from synthetic import write_run, write_transfer

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.plots.look import (
    COLOURS,
    HEADS,
    OWN_COLOURS,
    OWN_MARKERS,
    looks,
    looks_of,
)
from gapfc.compare.question import Question
from gapfc.settings.paths import CONFIGS


def shown(look):
    return look.colour, look.marker


def test_every_head_of_gapfc_has_its_own_look():
    found = (CONFIGS / "head").glob("*.yaml")
    names = {yaml.safe_load(path.read_text())["name"] for path in found}
    assert names == set(HEADS)
    assert len({colour for colour, _, _ in HEADS.values()}) == len(HEADS)
    assert len({marker for _, marker, _ in HEADS.values()}) == len(HEADS)
    assert not {colour for colour, _, _ in HEADS.values()} & set(OWN_COLOURS)
    assert not {marker for _, marker, _ in HEADS.values()} & set(OWN_MARKERS)


@pytest.mark.parametrize("baseline", ["fc", "gap", "nin"])
def test_a_head_looks_the_same_whoever_is_beside_it_and_is_the_baseline(sweep, baseline):
    made = looks(compare(collect([sweep]), Question(baseline=baseline)))
    for head in ("fc", "gap", "nin", "spp"):
        assert shown(made[head]) == HEADS[head][:2]
        assert (made[head].label == f"{head} (baseline)") == (head == baseline)


def test_groups_of_one_head_share_its_colour_and_marker(tmp_path):
    for head in ("fc", "gap"):
        for rate in (0.1, 0.2, 0.3):
            write_run(tmp_path, head, 0, config={"optimizer.lr": rate})
    made = looks(compare(collect([tmp_path]), Question(by=("head", "optimizer.lr"))))
    for head in ("fc", "gap"):
        of_head = [look for label, look in made.items() if label.startswith(head)]
        assert {shown(look) for look in of_head} == {HEADS[head][:2]}
        assert len({str(look.dash) for look in of_head}) == 3


def test_of_transfer_it_is_the_source_head(transfers):
    made = looks(compare(collect([transfers]), Question(by=("source.head", "protocol"))))
    assert shown(made["gap, finetune"]) == HEADS["gap"][:2]


def test_a_target_head_where_no_source_is_asked_for(tmp_path):
    for head in ("gap", "spp"):
        write_transfer(tmp_path, head, "finetune", 0)
    made = looks(compare(collect([tmp_path]), Question(by=("head",))))
    assert shown(made["spp"]) == HEADS["spp"][:2]


def test_own_heads_keep_their_look_and_take_none_of_gapfc():
    names = ["attention", "mixer", "vlad"]
    together = looks_of({name: name for name in (*names, "gap")})
    for name in names:
        assert shown(looks_of({name: name})[name]) == shown(together[name])
        assert together[name].colour in OWN_COLOURS
    assert len({shown(look) for look in together.values()}) == 4


def test_own_heads_differ_as_far_as_the_palette_reaches():
    many = len(OWN_COLOURS) * len(OWN_MARKERS)
    made = looks_of({f"own{i}": f"own{i}" for i in range(many)})
    assert len({shown(look) for look in made.values()}) == many
    assert len(looks_of({f"own{i}": f"own{i}" for i in range(many + 9)})) == many + 9


def test_groups_that_no_head_tells_apart_take_the_palette_in_turn(tmp_path):
    for index in range(30):
        write_run(tmp_path, "gap", 0, config={"optimizer.lr": index / 100})
    made = looks(compare(collect([tmp_path]), Question(by=("optimizer.lr",))))
    alike = {(look.colour, look.marker, str(look.dash)) for look in made.values()}
    assert len(alike) == 30
    assert [made[label].colour for label in sorted(made)[: len(COLOURS)]] == list(COLOURS)


def test_colours_are_seen_on_paper_and_on_a_dark_page():
    assert len(set(COLOURS)) == len(set(COLOURS.values())) == len(COLOURS)
    assert {colour for colour, _, _ in HEADS.values()} | set(OWN_COLOURS) == set(COLOURS)
    for paper, dark in COLOURS.items():
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in (paper, dark))
        assert lightness(paper) < 0.75  # light colours vanish on paper
        assert lightness(dark) > 0.3


def lightness(colour):
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b

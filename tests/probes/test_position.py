"""What can be read of a place where it is known what is there to read."""

import pytest
import torch
from subjects import bare, composed, pictures

from gapfc.data.sources.synthetic_shapes import synthetic_shapes
from gapfc.errors import UserError
from gapfc.heads import FC, GAP
from gapfc.measure.linear_probe import solve
from gapfc.probes.position import position

NARROW = ["backbone.widths=[8,12,16]", "backbone.pool_after=[1,2]"]


def dots(count=240, side=6):
    """Grey images with one bright pixel each, evenly over all places."""
    place = torch.arange(count) % (side * side)
    row, column = place // side, place % side
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    images[torch.arange(count), :, row, column] = 200
    boxes = torch.stack([column, row, column + 1, row + 1], 1)
    return pictures(images, place % 3, boxes)


def test_a_mean_says_nothing_of_the_place_and_the_whole_map_all():
    data = dots()
    gap, fc = (bare(head((3, 6, 6), 3)) for head in (GAP, FC))
    found = position(composed("dataset.image_size=native", dataset=data, model=gap, untrained=fc))
    assert found.values["flat"] == {"accuracy": 1.0}
    assert found.values["untrained"] == {"accuracy": 1.0}  # fc's vector is the whole map
    # All means are equal, so that one and the same quadrant is named everywhere.
    assert found.values["pooled"]["accuracy"] == pytest.approx(0.25, abs=0.02)
    assert list(found.yes) == ["pooled.accuracy", "flat.accuracy", "untrained.accuracy"]
    for name, yes in found.yes.items():
        assert yes.shape == (1, 240)
        assert yes.dtype == bool
        assert yes.mean() == found.values[name.partition(".")[0]]["accuracy"]


@pytest.mark.parametrize("head", ["gap", "nin", "spp", "fc", "sppf"])
def test_equals_a_readout_of_what_hooks_see(head):
    given = [*NARROW, "dataset=synthetic_shapes", "dataset.train_images=200", f"head={head}"]
    subject = composed(*given, "dataset.test_images=60")
    found = position(subject)
    model, dataset = subject.model, subject.loader.dataset
    seen = {}
    before = {"nin": None, "sppf": "dropout"}.get(head, "classifier")

    def keep(name):
        return lambda _, arguments, result: seen.update({name: (arguments[0], result)})

    model.head.register_forward_hook(keep("head"))
    if before:
        model.head.get_submodule(before).register_forward_hook(keep("pooled"))
    features = {"pooled": {}, "flat": {}}
    for split in ("train", "val", "test"):
        parts = []
        for images, _ in subject.loader.evaluation(split):
            with torch.no_grad():
                logits = model(images)
            flat = seen["head"][0].flatten(1)
            parts.append((seen["pooled"][0] if before else logits, flat))
        features["pooled"][split], features["flat"][split] = map(
            torch.cat, zip(*parts, strict=True)
        )
    places = {}
    for split in ("train", "val", "test"):
        left, top, right, bottom = getattr(dataset, split).boxes.unbind(1)
        places[split] = ((left + right) / 2 >= 16) + 2 * ((top + bottom) / 2 >= 16).long()
    for name, parts in features.items():
        fitted = solve((parts["train"], places["train"]), (parts["val"], places["val"]), 4)
        right = (parts["test"] @ fitted.weight.T + fitted.bias).argmax(1) == places["test"]
        assert found.yes[f"{name}.accuracy"][0].tolist() == right.tolist()
    assert found.values["untrained"] == found.values["pooled"]  # this one is untrained


def test_the_quadrants_are_those_of_the_stored_images_at_any_size():
    data = dots()
    found = position(
        composed("dataset.image_size=[9,18]", dataset=data, model=bare(GAP((3, 9, 18), 3)))
    )
    assert found.values["flat"] == {"accuracy": 1.0}


def test_what_cannot_be_read_is_named():
    with pytest.raises(UserError, match=r"probe position needs to know .* dataset=digits does not"):
        position(composed("dataset=digits", *NARROW))
    held = ["dataset=synthetic_shapes", "dataset.holdout_quadrants=[bottom_left]", *NARROW]
    with pytest.raises(UserError, match=r"none has one in bottom_left: .*holdout_quadrants=\[\]"):
        position(composed(*held, "dataset.train_images=100"))
    source = synthetic_shapes("nowhere", train_images=60).train
    data = pictures(source.images, source.labels, source.boxes, 6)
    own = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(UserError, match="what the head pools, and Sequential does not say it"):
        position(composed(dataset=data, model=bare(own)))

"""What each rank has of a batch: together all of it, once, in the pairs that mixing mixes."""

from unittest.mock import Mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapfc.data.dataset import load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.engine.mixing import Mixing
from gapfc.errors import UserError
from gapfc.ranks.ranks import ALONE, Ranks
from gapfc.ranks.team import check_share
from gapfc.settings.compose import Composer

SIZES = st.integers(1, 7).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(2 * size, 40 + 2 * size))
)


def ranks_of(size):
    return [Ranks(rank, size) for rank in range(size)]


@given(SIZES)
def test_shares_are_a_batch_once_and_nearly_alike(case):
    size, count = case
    shares = [each.share(count) for each in ranks_of(size)]
    assert torch.cat(shares).sort().values.tolist() == list(range(count))
    assert all(share.tolist() == sorted(share.tolist()) for share in shares)
    lengths = [len(share) for share in shares]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 2


@given(SIZES)
def test_weighted_means_of_shares_have_the_mean_of_the_batch(case):
    size, count = case
    values = torch.arange(count, dtype=torch.float64).square()
    means = [each.weight(count) * values[each.share(count)].mean() for each in ranks_of(size)]
    assert torch.stack(means).mean().item() == pytest.approx(values.mean().item())


def test_alone_has_everything():
    assert ALONE.share(5).tolist() == [0, 1, 2, 3, 4]
    assert ALONE.weight(5) == 1
    assert ALONE.most(3) == 3
    parts = [torch.ones(2, 1), torch.zeros(1, 1)]
    assert ALONE.interleaved(parts, 1) == parts


@given(SIZES, st.sampled_from([Mixing(mixup=0.4), Mixing(cutmix=1.0)]), st.integers(0, 5))
def test_a_share_of_the_mixed_batch_is_the_mixed_share(case, mixing, step):
    size, count = case
    images = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(count))
    labels = torch.arange(count)
    whole, partners, weight = mixing(images, labels, (0, 0, step))
    for each in ranks_of(size):
        own = each.share(count)
        mixed, own_partners, own_weight = mixing(images[own], labels[own], (0, 0, step))
        assert torch.equal(mixed, whole[own])
        assert torch.equal(own_partners, partners[own])
        assert own_weight == weight


@pytest.mark.parametrize(
    "settings",
    [
        ["augment=shift"],
        ["augment=randaugment", "dataset.sampler=balanced"],
        ["augment=crop_flip", "augment.views=3", "dataset.residency=stream"],
        ["augment=shift", "dataset.image_size=32", "dataset.train_sizes=[16,32]"],
    ],
)
def test_batches_hold_the_same_images_however_many_share_them(settings):
    config = Composer([]).compose("train", ["trainer.batch_size=25", *settings])
    dataset = load(config.dataset, ".")

    def epochs(ranks):
        loader = Loader(dataset, LoaderSettings.of(config), torch.device("cpu"), ranks=ranks)
        batches = loader.training()
        return batches, [list(batches.epoch(0, 3)), list(batches.epoch(1))]

    whole, expected = epochs(ALONE)
    for each in ranks_of(3):
        batches, found = epochs(each)
        assert batches.steps == whole.steps
        assert batches.weight == each.weight(25) != 1
        own = each.share(25)
        for got, all_of in zip(found, expected, strict=True):
            assert len(got) == len(all_of)
            for (images, labels), (every_image, every_label) in zip(got, all_of, strict=True):
                assert torch.equal(images, every_image[own])
                assert torch.equal(labels, every_label[own])
        assert torch.equal(batches.preview(16), whole.preview(16))


def test_evaluation_is_in_turns_and_all_check_equally_often():
    config = Composer([]).compose("train", ["trainer.eval_batch_size=40"])
    dataset = load(config.dataset, ".")
    checks, parts = [], []
    for each in ranks_of(3):
        check = Mock()
        loader = Loader(dataset, LoaderSettings.of(config), torch.device("cpu"), check)
        batches = loader.evaluation("test", ranks=each)
        labels = [labels for _, labels in batches]
        parts.append(list(zip(batches.parts, labels, strict=True)))
        checks.append(check.call_count)
    assert len(set(checks)) == 1
    turns = [found[turn] for turn in range(len(parts[0])) for found in parts if turn < len(found)]
    assert torch.cat([places for places, _ in turns]).tolist() == dataset.test.places.tolist()
    assert torch.equal(torch.cat([labels for _, labels in turns]), dataset.test.labels)


def test_a_batch_that_is_too_small_is_refused():
    check_share(8, Ranks(0, 4))
    check_share(1, ALONE)
    with pytest.raises(UserError, match=r"batch_size=7 on 4 devices: each needs 2.* 8 or more"):
        check_share(7, Ranks(0, 4))

"""A few views of each image: the same in every epoch and for every seed, all of them shown."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gapfc.data.augment import Augmentation
from gapfc.data.order import epoch_generator
from gapfc.data.views import Views

FLIP_AND_SHIFT = {"flip": True, "crop_padding": 2}


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 3), st.integers(0, 3))
def test_an_image_is_drawn_in_one_of_its_views_and_in_no_other(count, images, seed, epoch):
    views = Views(Augmentation(FLIP_AND_SHIFT, (0, 0, 0)), count, images)
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    chosen = views.choose(images, epoch_generator(seed, epoch))
    random = views.draw(order, epoch_generator(seed, epoch))
    assert chosen.min() >= 0
    assert chosen.max() < count
    for row, (image, view) in enumerate(zip(order.tolist(), chosen.tolist(), strict=True)):
        assert torch.equal(random[row], views.random(view)[image])


def test_all_views_come_and_they_differ():
    views = Views(Augmentation(FLIP_AND_SHIFT, (0, 0, 0)), 4, 10)
    assert views.choose(200, epoch_generator(0, 0)).unique().tolist() == [0, 1, 2, 3]
    assert len(torch.stack([views.random(view) for view in range(4)]).unique(dim=0)) == 4

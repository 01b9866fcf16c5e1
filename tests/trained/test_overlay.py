"""The picture of a class activation map: where the colour is, and what is written."""

import io

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from gapfc.records.inputs import Inputs
from gapfc.tensorboard.activation_maps import COLOURS, STRENGTH
from gapfc.trained.overlay import overlay_png


def inputs(**changed):
    return Inputs(**{"classes": ("a", "b"), "mean": (0.5,) * 3, "std": (0.5,) * 3, "size": (32, 32),
                     "image_size": (32, 32)} | changed)  # fmt: skip


def drawn(activation, height, width, name="a", **changed):
    """The photo's part of the picture, [height, width, 3], and all of it."""
    photo = torch.full((3, height, width), 100, dtype=torch.uint8)
    png = overlay_png(photo, activation, inputs(**changed), name, 0.987)
    picture = np.asarray(Image.open(io.BytesIO(png)))
    return picture[:height, :width].astype(int), picture


def coloured(level):
    return (1 - STRENGTH) * 100 + STRENGTH * 255 * np.array(
        matplotlib.colormaps[COLOURS](level)[:3]
    )


def test_colours_are_those_of_the_map_over_grey():
    activation = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    photo, picture = drawn(activation, 300, 400)
    np.testing.assert_allclose(photo[0, 0], coloured(0.0), atol=2)
    np.testing.assert_allclose(photo[0, -1], coloured(1.0), atol=2)
    np.testing.assert_allclose(photo[75, 200], coloured(0.5), atol=4)  # halfway, bilinear
    assert picture.shape[0] > 300
    assert (picture[300:] < 128).any()  # words


def test_without_evidence_nothing_is_coloured_and_it_is_said():
    photo, picture = drawn(torch.zeros(2, 2), 300, 400)
    assert (photo == 100).all()
    assert (np.ptp(picture.astype(int), axis=2) == 0).all()
    assert not np.array_equal(picture, drawn(torch.zeros(2, 2), 300, 400, "b")[1])


def test_what_is_cut_off_has_no_colour():
    photo, _ = drawn(torch.ones(2, 2), 300, 400, resize="crop")
    seen = np.ptp(photo, axis=2) > 0
    assert seen[:, 50:350].all()
    assert not seen[:, :50].any()
    assert not seen[:, 350:].any()


def test_what_a_share_cuts_off_has_no_colour_either():
    photo, _ = drawn(torch.ones(2, 2), 300, 400, resize="crop", crop_share=0.8, image_size=(32, 32))
    seen = np.ptp(photo, axis=2) > 0
    rows, columns = seen.any(axis=1).nonzero()[0], seen.any(axis=0).nonzero()[0]
    # 300 rows become 40, of which 32 are kept: 30 of 300 are cut off on either side
    assert (rows[0], rows[-1] + 1) == (30, 270)
    assert (columns[0], columns[-1] + 1) == (pytest.approx(80, abs=5), pytest.approx(320, abs=5))
    assert seen[30:270, columns[0] : columns[-1] + 1].all()


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (30, 40)])
def test_what_speaks_from_the_padding_is_left_out(size):
    activation = torch.zeros(32, 32)
    activation[:4] = activation[-4:] = 1.0
    if size[0] > size[1]:
        activation = activation.T
    photo, _ = drawn(activation, *size, resize="pad")
    np.testing.assert_allclose(photo, np.broadcast_to(coloured(0.0), photo.shape), atol=2)
    photo, _ = drawn(1 - activation, *size, resize="pad")
    np.testing.assert_allclose(photo, np.broadcast_to(coloured(1.0), photo.shape), atol=2)


def test_what_speaks_from_the_canvas_is_left_out():
    activation = torch.zeros(32, 32)
    activation[:, :4] = 1.0  # black margin
    photo, _ = drawn(activation, 300, 400, image_size=(16, 16), canvas=(32, 32))
    np.testing.assert_allclose(photo, np.broadcast_to(coloured(0.0), photo.shape), atol=2)


@pytest.mark.parametrize("name", ["a" * 500, "Ж中", "x\ny", "$\\frac$"])
def test_any_photo_and_any_name_can_be_drawn(name):
    for height, width in ((8, 8), (1, 900), (900, 1)):
        _, picture = drawn(torch.ones(1, 3), height, width, name)
        assert picture.shape[1] >= 240
        assert picture.shape[0] > height

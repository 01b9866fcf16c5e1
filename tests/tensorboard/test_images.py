"""Pictures, pixel by pixel."""

import io
import warnings

import pytest
import torch
from PIL import Image

from gapfc.tensorboard.activation_maps import Example, activation_picture
from gapfc.tensorboard.confusion_matrix import confusion_picture
from gapfc.tensorboard.images import grid, png


def test_grid_puts_images_in_reading_order():
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 4, 6) * 10
    sheet = grid(images, gap=1, smallest=1)
    assert sheet.shape == (3, 2 * 5 - 1, 3 * 7 - 1)
    corners = sheet[0, ::5, ::7]
    assert corners.tolist() == [[0, 10, 20], [30, 40, 255]]
    assert (sheet[:, 4, :] == 255).all()
    assert (sheet[:, :, 6] == 255).all()


def test_grid_enlarges_small_images_without_smoothing():
    image = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).reshape(1, 1, 2, 2)
    sheet = grid(image, smallest=5)
    assert sheet.shape == (3, 6, 6)
    assert sheet[0].unique().tolist() == [0, 255]
    assert (sheet[:, :3, :3] == 0).all()
    assert (sheet[:, :3, 3:] == 255).all()


def test_grid_takes_fractions_as_they_are():
    images = torch.tensor([0.0, 0.5, 1.0, 7.0]).reshape(4, 1, 1, 1)
    assert grid(images, gap=0, smallest=1)[1].tolist() == [[0, 128], [255, 255]]


def test_png_keeps_every_pixel():
    image = torch.randint(0, 256, (3, 4, 9), dtype=torch.uint8)
    opened = Image.open(io.BytesIO(png(image)))
    assert (opened.size, opened.mode) == ((9, 4), "RGB")
    assert list(opened.tobytes()) == image.permute(1, 2, 0).flatten().tolist()


@pytest.mark.parametrize("classes", [2, 10, 41, 100])
def test_confusion_is_dark_on_the_diagonal_alone(classes):
    picture = confusion_picture(
        torch.eye(classes, dtype=torch.long) * 9, [f"c{i}" for i in range(classes)]
    )
    assert picture.dtype == torch.uint8
    dark = (picture[0] < 30) & (picture[2] > 80)  # the end of the blue scale
    rows, columns = dark.nonzero().unbind(1)
    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    # Of a K x K square the diagonal is 1/K, less what the counts cover.
    assert dark.sum() / (height * width) == pytest.approx(1 / classes, rel=0.4)
    down, across = (rows - rows.min()) / height, (columns - columns.min()) / width
    assert (down - across).abs().max() <= 1 / classes + 0.02


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_large_images_are_shrunk_to_means_and_stay_in_their_places(kind):
    images = torch.zeros(2, 3, 200, 200, dtype=kind)
    images[1, :, ::2] = 200 if kind is torch.uint8 else 200 / 255
    sheet = grid(images, gap=2)
    assert sheet.dtype is torch.uint8
    assert sheet.shape == (3, 100, 202)
    assert sheet[:, :, :100].unique().tolist() == [0]
    assert sheet[:, :, 102:].unique().tolist() == [100]


def test_confusion_labels_are_text_and_not_formulas():
    names = ["$5 bill$", "a_b^c", "a name that is far too long for an axis", "d" * 3]
    plain = confusion_picture(torch.zeros(4, 4, dtype=torch.long), names)
    other = confusion_picture(torch.zeros(4, 4, dtype=torch.long), ["", "", "", ""])
    assert plain.shape[0] == 3
    # Names take room beside the axes, and do not push the matrix out of the picture.
    assert (plain < 128).sum() > (other < 128).sum()


def test_classes_in_a_script_that_the_font_lacks_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion_picture(torch.eye(2), ("猫", "犬"))


def test_confusion_refuses_other_classes():
    with pytest.raises(ValueError, match="2 classes"):
        confusion_picture(torch.zeros(3, 3, dtype=torch.long), ["a", "b"])


def test_confusion_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    confusion_picture(torch.eye(3, dtype=torch.long), ["a", "b", "c"])
    assert dict(matplotlib.rcParams) == before


def example(**changes):
    fields = {
        "image": torch.zeros(3, 8, 8), "activation": torch.zeros(2, 2), "label": "cat",
        "prediction": "dog", "probability": 0.714,
    }  # fmt: skip
    return Example(**(fields | changes))


def test_an_activation_map_is_titled_by_both_classes_and_the_probability():
    assert example().title == "true  cat\npred. dog 71%"
    long = example(label="a very long name indeed", prediction="$x$\n")
    assert long.title == "true  a very lon…\npred. $x$\\n 71%"


def test_an_activation_map_is_yellow_where_high_and_violet_where_low():
    maps = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    picture = activation_picture([example(activation=maps)]).int()
    red, green, blue = picture
    yellow = (red > 100) & (green > 90) & (blue < 60)
    violet = (red < 80) & (green < 30) & (blue > 40)
    below = slice(picture.shape[1] // 2, None)
    assert yellow[below].any()
    assert violet[below].any()
    ys, xs = yellow[below, : picture.shape[2] // 4].nonzero().unbind(1)
    violet_ys, violet_xs = violet[below, : picture.shape[2] // 4].nonzero().unbind(1)
    assert xs.float().mean() > violet_xs.float().mean()
    assert ys.float().mean() < violet_ys.float().mean()


def test_a_blank_activation_map_says_so():
    # On the black image nothing but the words is white.
    def white(activation):
        picture = activation_picture([example(activation=activation)])
        half, quarter = picture.shape[1] // 2, picture.shape[2] // 4
        return picture[:, half : half + 100, 20 : quarter - 20].min(0).values.gt(200).sum()

    assert white(torch.zeros(2, 2)) > 100
    assert white(torch.ones(2, 2)) == 0


def test_many_activation_maps_are_four_in_a_row():
    sizes = [activation_picture([example()] * n).shape[1] for n in (0, 1, 4, 5, 8)]
    assert sizes[0] == sizes[1] == sizes[2] < sizes[3] == sizes[4]
